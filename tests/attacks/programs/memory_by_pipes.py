"""Fills the kernel's own buffers: pipes and sockets, as wide as they go."""

import fcntl

kept = []
for _ in range(4096):
    pair = quietly(os.pipe)
    if pair is None:
        break
    quietly(fcntl.fcntl, pair[1], 1031, 1 << 20)
    os.set_blocking(pair[1], False)
    kept.append(pair)
    while quietly(os.write, pair[1], b"x" * 65536):
        pass
for _ in range(4096):
    pair = quietly(socket.socketpair)
    if pair is None:
        break
    quietly(pair[0].setsockopt, socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30)
    pair[0].setblocking(False)
    kept.append(pair)
    while quietly(pair[0].send, b"x" * 65536):
        pass
time.sleep(9999)
