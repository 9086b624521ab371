"""Connects and sends to the host's own listeners by IPv4, IPv6 and UDP, with and without binding first."""

for family, host, port in TARGET["inet"]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            made = socket.socket(family, kind)
            made.settimeout(0.2)
            made.connect((host, port))
            made.send(TARGET["mark"].encode())
        except OSError:
            continue
    try:
        made = socket.socket(family, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.sendto(b"hello", ("255.255.255.255" if family == socket.AF_INET else "ff02::1", port))
    except OSError:
        continue
