"""Word to systemd: ready, reloading, stopping, alive, and one line of status."""

import os
import socket
import time


class Notifier:
    """Writes to NOTIFY_SOCKET; says nothing where there is none."""

    def __init__(self, address: str | None = None) -> None:
        """Talk to `address`, by default the one systemd gave."""
        self._address = os.environ.get("NOTIFY_SOCKET") if address is None else address

    def ready(self, status: str) -> None:
        """Say that the service is up."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """Say what the service is doing, in one line."""
        self._send(f"STATUS={_line(status)}")

    def alive(self) -> None:
        """Say that the service is not stuck."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Say that a reload has begun; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def succeeded(self, pid: int, status: str) -> None:
        """Say that another process, which is ready, is the service from now on."""
        self._send(f"MAINPID={pid}\nREADY=1\nSTATUS={_line(status)}")

    def stopping(self) -> None:
        """Say that the service is about to leave."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            try:
                channel.sendto(message.encode(), address)
            except OSError:
                return  # systemd went away or restarts: the service's work does not depend on it


def _line(text: str) -> str:
    """Return a text as one line: in this protocol a line break begins another word to systemd."""
    return " ".join(text.split())


def watchdog_seconds() -> float | None:
    """Return how often systemd wants a sign of life (half of what it tolerates), if it does."""
    value = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID")
    if not value.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(value) / 2_000_000
