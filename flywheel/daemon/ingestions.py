"""Reading the sources by hand: the same room, guardrails and ledger as the daemon's, and nothing but that room."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flywheel.core.clocks import SystemClock
from flywheel.daemon.cycles import Cycle, CycleReport
from flywheel.daemon.houses import ground
from flywheel.daemon.lines import chosen_lines
from flywheel.daemon.locks import only_daemon
from flywheel.daemon.places import policies_folder
from flywheel.daemon.settings import Settings
from flywheel.policy.loading import load_policies
from flywheel.sources.run import SourcesRoom


class Ingestion:
    """One hold of the home: looks at every source as often as asked."""

    def __init__(self, room: SourcesRoom, cycle: Cycle) -> None:
        """Join what `ingesting` has built."""
        self._room = room
        self._cycle = cycle

    async def look(self) -> CycleReport:
        """Read the next part of what changed in each source; a report that changed nothing means that all is read."""
        return await self._cycle.run()

    async def changed(self) -> bool:
        """Tell whether a source may hold something new."""
        return bool(await asyncio.to_thread(self._room.changed))


@asynccontextmanager
async def ingesting(settings: Settings) -> AsyncIterator[Ingestion]:
    """Hold the home for the block; raises ConflictError while a daemon is at work on it: that one ingests."""
    with only_daemon(settings.home, settings.store_url):
        base = ground(settings, SystemClock())
        try:
            policies = load_policies(policies_folder(settings))
            lines = chosen_lines(settings, policies)
            home = settings.home
            room = SourcesRoom(
                base.store, base.clock, settings.sources, lambda: lines, home / "capture.db", home / "bootstrap.db"
            )
            room.check()
            try:
                yield Ingestion(
                    room, Cycle(base.store, base.clock, [room], lambda: policies, base.steps, base.echo.tell)
                )
            finally:
                room.close()
        finally:
            base.store.close()
