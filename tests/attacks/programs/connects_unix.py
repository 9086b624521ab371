"""Connects to the host's sockets in the file system: a listener's, the executor's own, the system's."""

paths = [TARGET["unix"], TARGET["executor"], "/run/dbus/system_bus_socket", "/run/systemd/private", "/run/docker.sock",
         "/run/systemd/notify", "/run/nscd/socket", "/run/systemd/journal/socket", "/dev/log", "/run/containerd/containerd.sock"]  # fmt: skip
for path in paths:
    for way in (path, "../" * 40 + path, f"/proc/1/root{path}"):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
            try:
                made = socket.socket(socket.AF_UNIX, kind)
                made.settimeout(0.2)
                made.connect(way)
                breach(f"connected to {way}")
            except OSError:
                continue
