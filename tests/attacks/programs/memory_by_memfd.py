"""Fills files that live in memory only: they belong to no address space."""

kept = [quietly(os.memfd_create, f"m{number}") for number in range(16)]
block = b"x" * (1 << 20)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for _ in range(4096):
    for fd in kept:
        if fd is not None:
            quietly(os.write, fd, block)
