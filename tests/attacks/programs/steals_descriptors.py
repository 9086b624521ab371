"""Takes descriptors out of other processes."""

for pid in [*elders(), TARGET["victim"]]:
    if pid == os.getpid():
        continue
    fd, _ = syscall("pidfd_open", pid, 0)
    for number in range(32) if fd >= 0 else ():
        found, _ = syscall("pidfd_getfd", fd, number, 0)
        if found >= 0:
            breach(f"has descriptor {number} of process {pid}")
