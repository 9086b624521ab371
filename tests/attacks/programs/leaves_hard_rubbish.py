"""Leaves what is hard to clean away: endless depth, folders nobody may enter, links out, names that are no text."""

if quietly(os.fork) == 0:
    for _ in range(20_000):
        try:
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
        except OSError:
            break
    os._exit(0)
time.sleep(0.2)
for folder in everywhere():
    for name in (b"\xff\xfe", b"new\nline", b"-rf", b"$(reboot)", b"a" * 255):
        quietly(os.mkdir, os.path.join(folder.encode(), name))
    for name, goal in (("link", TARGET["folder"]), ("secret", TARGET["secret"]), ("loop", "loop"), ("root", "/")):
        quietly(os.symlink, goal, os.path.join(folder, name))
    quietly(os.mkfifo, os.path.join(folder, "fifo"))
    locked = os.path.join(folder, "locked")
    quietly(os.makedirs, os.path.join(locked, "deep"))
    quietly(os.chmod, locked, 0)
quietly(os.chmod, ".", 0)
