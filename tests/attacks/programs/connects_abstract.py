"""Connects to a host's socket that has a name but no file."""

for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    for name in (TARGET["abstract"], TARGET["abstract"] + "\0"):
        try:
            made = socket.socket(socket.AF_UNIX, kind)
            made.settimeout(0.2)
            made.connect("\0" + name)
            made.send(b"hello")
        except OSError:
            continue
