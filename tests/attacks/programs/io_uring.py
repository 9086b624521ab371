"""Asks for a ring, by which files and sockets can be used without a system call that a filter would see."""

params = ctypes.create_string_buffer(120)
fd, _ = syscall("io_uring_setup", 8, params)
if fd >= 0:
    breach("has an io_uring")
