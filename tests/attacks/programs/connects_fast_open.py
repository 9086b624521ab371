"""Sends data with the opening packet, which some filters of connect() do not see, and by multipath and SCTP."""

for family, host, port in TARGET["inet"]:
    for protocol in (6, 262, 132):
        try:
            made = socket.socket(family, socket.SOCK_STREAM, protocol)
            made.setblocking(False)
            made.sendto(b"hello", 0x20000000, (host, port))
            time.sleep(0.05)
        except OSError:
            continue
