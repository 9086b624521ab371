"""Announces a frame of four gibibytes on every descriptor, sends a part of it, and stays."""

for fd in range(3, 256):
    for data in (b"\xff\xff\xff\xff", b"{", b'{"value": "'):
        quietly(os.write, fd, data)
time.sleep(9999)
