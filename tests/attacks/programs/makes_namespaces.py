"""Makes namespaces of its own, in which it would be root, and enters those of others."""

for flag, name in ((0x10000000, "user"), (0x20000, "mount"), (0x20000000, "pid"), (0x40000000, "net"),
                   (0x8000000, "ipc"), (0x4000000, "uts"), (0x2000000, "cgroup"), (0x80, "time")):  # fmt: skip
    if syscall("unshare", flag)[0] == 0:
        breach(f"made a {name} namespace")
    if syscall("unshare", flag | 0x10000000)[0] == 0:
        breach(f"made a {name} namespace under a user namespace")
args = (ctypes.c_uint64 * 11)(0x10000000 | 0x20000, 0, 0, 0, 17)
found, _ = syscall(435, ctypes.byref(args), 88)
if found == 0:
    os._exit(0)
if found > 0:
    breach("cloned into a user namespace")
for pid in elders():
    for name in ("user", "mnt", "net", "pid"):
        fd = quietly(os.open, f"/proc/{pid}/ns/{name}", os.O_RDONLY)
        if fd is not None and pid != os.getpid() and syscall("setns", fd, 0)[0] == 0:
            breach(f"entered the {name} namespace of {pid}")
    fd, _ = syscall("pidfd_open", pid, 0)
    if fd >= 0 and syscall("setns", fd, 0x20000 | 0x40000000)[0] == 0:
        breach(f"entered the namespaces of {pid}")
