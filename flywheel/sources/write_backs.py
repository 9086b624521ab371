"""Telling a clean-room agent, where its settings ask for it, what was learned from it: datasets and adapters.

Driven by the ledger: each source remembers the last event it was told of. A crash between the agent's commit and ours
tells it once more, which changes nothing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session

from flywheel.core.attempts import Attempt, Done, Failed, Retry
from flywheel.core.clocks import Clock
from flywheel.core.errors import PermanentError, TemporaryError
from flywheel.core.events import Event
from flywheel.core.intents import Intent
from flywheel.core.lines import Line
from flywheel.core.rooms import Plan, Proposal
from flywheel.sources.registries import SourceSettings
from flywheel.sources.settings import CleanRoomSource
from flywheel.sources.training_tables import write_adapters, write_dataset
from flywheel.sources.write_back_rows import DatasetRows, Row, adapter_rows, dataset_rows, role_of
from flywheel.store import ledger
from flywheel.store.counters import cursor, move_cursor
from flywheel.store.datasets import dataset_by_hash
from flywheel.store.origins import origins_in
from flywheel.store.releases import releases
from flywheel.store.runs import adapter_by_name
from flywheel.store.stores import Store

FROZEN = "curate.dataset_frozen"
PROMOTED = "rollout.adapter_promoted"
TOLD = (FROZEN, PROMOTED, "rollout.adapter_superseded", "rollout.adapter_rolled_back", "rollout.adapter_retired")

Lines = Callable[[], Mapping[str, Line]]


class WriteBackRoom:
    """Writes back to the sources that ask for it. See `core.rooms.Room`."""

    name = "sources"

    def __init__(
        self, store: Store, clock: Clock, sources: Sequence[SourceSettings], lines: Lines, datasets: Path
    ) -> None:
        """Write back to those of these sources whose settings say so; frozen datasets lie below `datasets`."""
        self._store = store
        self._clock = clock
        self._lines = lines
        self._datasets = datasets
        self._sources = {one.name: one for one in sources if isinstance(one, CleanRoomSource) and one.write_back}

    async def propose(self) -> Plan:
        """Look whether anything happened that a source was not told of; without such a source, look at nothing."""
        return await asyncio.to_thread(self._plan) if self._sources else Plan()

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Tell one source what it was not told; it is tried again while its database is locked or away."""
        try:
            return await asyncio.to_thread(self._write_back, self._sources[intent.subject], cause)
        except TemporaryError as error:
            return Retry(at=self._clock.now() + timedelta(seconds=error.delay), reason=str(error))
        except PermanentError as error:
            return Failed(reason=f"source {intent.subject}: {error.message}", mend=error.mend)

    def _plan(self) -> Plan:
        with self._store.read() as session:
            waiting = {name: ledger.next_event(session, TOLD, _told(session, name)) for name in self._sources}
        return Plan(proposals=tuple(_proposal(name, event) for name, event in waiting.items() if event is not None))

    def _write_back(self, source: CleanRoomSource, cause: int | None) -> Attempt:
        written = 0
        while True:
            with self._store.read() as session:
                event = ledger.next_event(session, TOLD, _told(session, source.name))
                deed = self._deed(session, source, event) if event is not None else None
            if event is None:
                return Done(sentence=f"{source.name} was told {written} things", changed=bool(written))
            changed = deed() if deed is not None else False
            self._keep(source.name, event, changed, cause)
            written += changed

    def _deed(self, session: Session, source: CleanRoomSource, event: Event) -> Callable[[], bool] | None:
        """Return what is to be written for an event; None where the line learned nothing from this source."""
        line = self._lines().get(event.line)
        if line is None:
            return None
        if event.kind == FROZEN:
            rows = self._dataset(session, source, line, event.subject)
            return (lambda: write_dataset(source.path, rows)) if rows is not None else None
        adapters = _adapters(session, source, line)
        curated = source.curated or source.path.with_name("curated.sqlite")
        return (lambda: write_adapters(curated, adapters)) if adapters else None

    def _dataset(self, session: Session, source: CleanRoomSource, line: Line, digest: str) -> DatasetRows | None:
        manifest, origins = dataset_by_hash(session, digest), origins_in(session, digest, source.name)
        if manifest is None or not origins:
            return None
        return dataset_rows(line, role_of(line, source.roles), manifest, self._datasets / digest, origins)

    def _keep(self, name: str, event: Event, changed: bool, cause: int | None) -> None:  # noqa: FBT001 - a plain flag
        with self._store.write() as session:
            move_cursor(session, _cursor(name), {"seq": event.seq})
            if changed:
                told = Event(kind="sources.written_back", at=self._clock.now(), line=event.line, subject=name,
                             cause=event.seq if cause is None else cause,
                             body={"of": event.kind, "what": event.subject})  # fmt: skip
                ledger.append(session, told, key=f"written_back/{name}/{event.seq}")


def _adapters(session: Session, source: CleanRoomSource, line: Line) -> list[Row]:
    promoted = {
        event.subject: event.at.isoformat() for event in ledger.events(session, line=line.name, kinds=[PROMOTED])
    }
    learned = []
    for release in releases(session, line.name):
        adapter = adapter_by_name(session, release.name)
        if adapter is not None and origins_in(session, adapter.manifest.dataset, source.name):
            learned.append(release)
    return adapter_rows(line, role_of(line, source.roles), learned, promoted)


def _proposal(name: str, event: Event) -> Proposal:
    why = f"{event.kind} of {event.line}, and the source asks to be told"
    intent = Intent(kind="sources.write_back", subject=name, why=why, params={"event": event.seq})
    return Proposal(intent=intent, cause=event.seq)


def _told(session: Session, name: str) -> int:
    held: Any = cursor(session, _cursor(name)).get("seq", 0)
    return int(held)


def _cursor(name: str) -> str:
    return f"write_back:{name}"
