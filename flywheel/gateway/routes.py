"""The routing in force: follows the daemon's file and never forgets the last good one."""

import asyncio
import os
from pathlib import Path

import structlog

from flywheel.core.routing import Routing

POLL_SECONDS = 0.05

log = structlog.get_logger(__name__)

Signature = tuple[int, int, int]


class RoutingTable:
    """Holds one routing; a new valid file replaces it whole, anything else leaves it as it is."""

    def __init__(self, path: Path, first: Routing) -> None:
        """Start with `first`; the file is not read before the first `refresh`."""
        self.current = first
        self._path = path
        self._seen: Signature | None = None
        self._news = asyncio.Event()

    def refresh(self) -> bool:
        """Look at the file once; return whether a new routing was applied. Each bad file is logged once."""
        signature = self._signature()
        if signature == self._seen:
            return False
        self._seen = signature
        if signature is None:
            self._reject("the file is gone")
            return False
        return self._load()

    async def follow(self) -> None:
        """Look at the file for ever."""
        while True:
            try:
                self.refresh()
            except Exception:  # the supervised edge: a surprise must not freeze the routing
                log.exception("gateway.routing_rejected", version_kept=self.current.version)
            await asyncio.sleep(POLL_SECONDS)

    async def news(self) -> None:
        """Wait until another routing is in force."""
        await self._news.wait()

    def _signature(self) -> Signature | None:
        try:
            return _signature(self._path.stat())
        except OSError:
            return None

    def _load(self) -> bool:
        try:
            with self._path.open("rb") as file:
                # Of the open file: what is read and what is remembered are the same, even while it is replaced.
                self._seen = _signature(os.fstat(file.fileno()))
                routing = Routing.parse(file.read())
        except (OSError, ValueError) as error:
            self._reject(str(error))
            return False
        self.current = routing
        news, self._news = self._news, asyncio.Event()
        news.set()
        held = routing.hold.run if routing.hold else None
        log.info("gateway.routing_applied", version=routing.version, aliases=sorted(routing.aliases), holds_for=held)
        return True

    def _reject(self, reason: str) -> None:
        log.warning("gateway.routing_rejected", version_kept=self.current.version, reason=reason)


def _signature(stat: os.stat_result) -> Signature:
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
