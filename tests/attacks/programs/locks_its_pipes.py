"""Makes the pipes it was given as small and as slow as can be, takes signals for them, and passes them on."""

import fcntl

for fd in range(256):
    quietly(fcntl.fcntl, fd, 1031, 4096)
    quietly(fcntl.fcntl, fd, fcntl.F_SETOWN, 1)
    quietly(fcntl.fcntl, fd, 10, signal.SIGKILL)
    quietly(fcntl.fcntl, fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC | os.O_APPEND)
    quietly(fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("x" * 200_000)
