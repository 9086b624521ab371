"""Opens sockets that no program for a problem needs: netlink, packets, virtual machines, ciphers, radio."""

families = {
    16: "netlink",
    17: "packet",
    40: "vsock",
    38: "alg",
    15: "key",
    31: "bluetooth",
    29: "can",
    21: "rds",
    30: "tipc",
    44: "xdp",
    28: "mpls",
    43: "smc",
    10: "raw6",
    2: "raw",
}
for family, name in families.items():
    for kind, protocol in (
        (socket.SOCK_RAW, 0),
        (socket.SOCK_RAW, 12),
        (socket.SOCK_SEQPACKET, 0),
        (socket.SOCK_DGRAM, 0),
    ):
        if family in (2, 10) and kind != socket.SOCK_RAW:
            continue
        found = quietly(socket.socket, family, kind, protocol)
        if found is not None:
            breach(f"has a {name} socket of kind {kind}")
