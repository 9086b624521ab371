"""Passes descriptors through every socket it holds, and takes those that were passed to others."""

import array

fd = os.open("/dev/null", os.O_RDWR)
for number in range(3, 256):
    found = quietly(lambda number=number: socket.socket(fileno=os.dup(number)))
    if found is None:
        continue
    found.setblocking(False)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd, 0, 1]))]
    for _ in range(50):
        quietly(found.sendmsg, [b"\0\0\0\2{}"], rights)
    got = quietly(found.recvmsg, 65536, 65536)
    if got:
        breach(f"received {got[0][:100]!r} and {got[1]!r} on descriptor {number}")
