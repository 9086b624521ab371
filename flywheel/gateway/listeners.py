"""The sockets that the gateway listens at: its own, or those that systemd or the gateway before it hands to it."""

import asyncio
import os
import socket
from collections.abc import Iterable, MutableMapping, Sequence

from flywheel.core.errors import ConflictError
from flywheel.gateway.settings import GatewaySettings, is_loopback

BACKLOG = 1024
_FIRST = 3  # the first descriptor that systemd hands over


def systemd_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """Return the sockets that systemd opened for this process; its children learn nothing of them."""
    count, process = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    environ.pop("LISTEN_FDNAMES", None)
    if not count.isdigit() or process != str(os.getpid()):
        return []
    return taken(range(_FIRST, _FIRST + int(count)))


def taken(descriptors: Iterable[int]) -> list[socket.socket]:
    """Return inherited descriptors as sockets of this process alone."""
    found = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    for one in found:
        one.set_inheritable(False)
        one.setblocking(False)
    return found


async def bound(settings: GatewaySettings) -> list[socket.socket]:
    """Return sockets that listen at the port; raises ConflictError when that is taken."""
    found: list[socket.socket] = []
    try:
        for family, address in await _addresses(settings.host, settings.port):
            found.append(_listening(family, address))
    except OSError as error:
        for one in found:
            one.close()
        message = f"the gateway cannot listen on {settings.host}:{settings.port}: {error.strerror or error}"
        raise ConflictError(message, "end the process that holds the port, or set another one") from error
    return found


def seen_by(settings: GatewaySettings, given: Sequence[socket.socket]) -> GatewaySettings:
    """Return the settings as the sockets have it: whoever opened them decided where others may knock."""
    ports = [one.getsockname() for one in given if one.family != socket.AF_UNIX]
    open_to_others = [address for address in ports if not is_loopback(address[0])]
    paths = [one.getsockname() for one in given if one.family == socket.AF_UNIX]
    told: dict[str, object] = {}
    if ports:
        told |= dict(zip(("host", "port"), (open_to_others or ports)[0][:2], strict=True))
    if paths:
        told["socket"] = paths[0]
    if given and not ports:
        told["host"] = ""
    return GatewaySettings.model_validate({**settings.model_dump(), **told})


async def _addresses(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, (str(address[0]), int(address[1]))) for family, _, _, _, address in found))


def _listening(family: int, address: tuple[str, int]) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
        one.listen(BACKLOG)
        one.setblocking(False)
    except OSError:
        one.close()
        raise
    return one
