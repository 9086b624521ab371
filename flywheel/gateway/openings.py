"""Where one gateway listens, from first to last: whose sockets these are, and who removes their files."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from flywheel.gateway.handovers import Predecessor, predecessor
from flywheel.gateway.listeners import bound, seen_by, systemd_sockets
from flywheel.gateway.settings import GatewaySettings
from flywheel.sandbox.sockets import Place, listening, remove

log = structlog.get_logger(__name__)


class Opening:
    """The sockets of one gateway. What systemd or the gateway before opened is taken as it is; else ours are opened."""

    def __init__(self, settings: GatewaySettings, before: Predecessor | None, given: list[socket.socket]) -> None:
        """Take what is given; `settings` become those that the sockets allow for."""
        self.settings = seen_by(settings, given)
        self.before = before
        self.sockets = given
        self.owned = before.owned if before is not None else not given
        self._inode: int | None = None
        if settings.port and _places(settings) != _places(self.settings):
            log.warning("gateway.sockets_differ", settings=_places(settings), given=_places(self.settings))

    async def open(self) -> list[socket.socket]:
        """Return the sockets to listen at. Raises ConflictError when they are somebody else's."""
        settings = self.settings
        if not self.sockets:
            self.sockets = await bound(settings) if settings.host else []
            if settings.socket is not None:
                group = settings.socket_group
                place = Place(settings.socket, group, "a gateway", "gateway.socket", "gateway.socket_group")
                self.sockets.append(listening(place))
        if settings.socket is not None and self.owned:
            self._inode = settings.socket.stat().st_ino
        return self.sockets

    def close(self, *, handed_over: bool = False) -> None:
        """Let go of the sockets; the file of one goes, too, unless it is the next gateway's, or systemd's."""
        for one in self.sockets:
            one.close()
        if self.settings.socket is not None and self._inode is not None and not handed_over:
            remove(self.settings.socket, self._inode)
        self._inode = None


@contextmanager
def opening(settings: GatewaySettings) -> Iterator[Opening]:
    """Give what this process was started with; nothing of it is left behind."""
    before = predecessor(os.environ)
    place = Opening(settings, before, before.sockets if before is not None else systemd_sockets(os.environ))
    try:
        yield place
    finally:
        place.close()


def _places(settings: GatewaySettings) -> tuple[str, str]:
    return (f"{settings.host}:{settings.port}" if settings.host else "", str(settings.socket or ""))
