"""The room itself: looks at every source, reads what changed, stores it with its cursor in one transaction."""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session

from flywheel.core.attempts import Attempt, Done, Retry
from flywheel.core.clocks import Clock
from flywheel.core.errors import SettingsError
from flywheel.core.events import Event
from flywheel.core.garbage import without_collections
from flywheel.core.intents import Intent
from flywheel.core.lines import Line
from flywheel.core.rooms import Plan
from flywheel.core.selections import selects
from flywheel.sources.assignments import assign, selection_digest
from flywheel.sources.bootstraps import BootstrapReader
from flywheel.sources.capture_joins import CaptureJoins, Claimed, Found
from flywheel.sources.captures import CaptureBatch, CaptureReader
from flywheel.sources.facts import Situation, SourceSituation
from flywheel.sources.plan import CAPTURE, plan
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.readings import Batch, Reader, Refusal
from flywheel.sources.redactions import without_personal
from flywheel.sources.registries import SourceSettings, reader_of
from flywheel.sources.settings import BOOTSTRAP
from flywheel.store import ledger, pending_tasks, source_marks
from flywheel.store.captured_calls import keep_calls
from flywheel.store.counters import add_to_counter, cursor, move_cursor
from flywheel.store.gateway_calls import attribute
from flywheel.store.outcomes import Ingested, retire_missing, store_outcomes, tasks_with_outcomes
from flywheel.store.quarantines import Quarantined, quarantine
from flywheel.store.source_marks import Mark
from flywheel.store.stores import Store

BATCHES_A_TURN = 20  # then the other rooms have theirs; the next cycle goes on
CAPTURE_NAME = "gateway"
#: Seconds between two looks at the gateway's calls alone: an agent that never pauses would have ten cycles a second for
#: them. Shorter than the daemon stays alert after a hint, so that what came meanwhile is found without another one.
CALLS_REST = 0.5

Lines = Callable[[], Mapping[str, Line]]


class SourcesRoom:
    """Says what changed. See `core.rooms.Room`."""

    name = "sources"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        sources: Sequence[SourceSettings],
        lines: Lines,
        capture: Path | None = None,
        made: Path | None = None,
    ) -> None:
        """Watch these sources, the gateway's capture when there is one, and what a cold start made."""
        self._store = store
        self._clock = clock
        self._lines = lines
        self._readers: dict[str, Reader] = {source.name: reader_of(source, clock) for source in sources}
        self._kinds: dict[str, str] = {source.name: source.kind for source in sources}
        self._personal = frozenset(source.name for source in sources if source.scan_personal)
        if made is not None:
            self._readers[BOOTSTRAP] = BootstrapReader(made)
            self._kinds[BOOTSTRAP] = BOOTSTRAP
        self._capture = CaptureReader(capture) if capture is not None else None
        self._joins = CaptureJoins(store, clock, self._capture) if self._capture is not None else None
        self._full: set[str] = set()
        self._attributed = -math.inf  # when all calls had been read; who has more to read, or could not, does not rest
        self._problems: dict[str, str] = {}

    def check(self) -> None:
        """Raise SettingsError when a source's column map does not fit its tables; for the start of the daemon."""
        for name, reader in self._readers.items():
            try:
                reader.check()
            except SettingsError as error:
                raise SettingsError(f"source {name!r}: {error.message}", error.mend) from error

    def changed(self) -> bool:
        """Tell, without asking the store, whether a look would find anything that was not there at the last one."""
        watched = {name: reader.changed for name, reader in self._readers.items()}
        if self._capture is not None:
            watched[CAPTURE_NAME] = self._calls_came
        news = False
        for name, changed in watched.items():
            found = self._look(name, changed)
            asked = found.full and not found.problem  # a source that is away is read anew when it is back
            news = news or found.changed or asked or found.problem != self._problems.get(name, "")
            self._problems[name] = found.problem
        return news

    def ask_full_look(self) -> None:
        """Have everything read again; what is stored already stays as it is."""
        self._full = set(self._readers)

    def close(self) -> None:
        """Let go of every source."""
        for reader in self._readers.values():
            reader.close()
        if self._capture is not None:
            self._capture.close()

    async def propose(self) -> Plan:
        """Look whether anything changed, at the same cost whatever the size."""
        return plan(await asyncio.to_thread(self._situation))

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Read what changed in one source and store it."""
        if intent.params.get("kind") == CAPTURE:
            return await asyncio.to_thread(self._attribute, cause)
        return await asyncio.to_thread(self._ingest, intent.subject, bool(intent.params.get("full")), cause)

    def _situation(self) -> Situation:
        lines = self._lines()
        digest = selection_digest(lines)
        found = [self._look(name, reader.changed) for name, reader in self._readers.items()]
        if self._capture is not None:  # first: an outcome whose call is known is joined as it is stored
            news = any(source.changed or source.full for source in found)
            calls = self._look(CAPTURE_NAME, self._capture.changed if news else self._calls_came)
            found.insert(0, calls.model_copy(update={"kind": CAPTURE}))
        with self._store.read() as session:
            known = [self._with_memory(session, source, digest) for source in found]
        return Situation(sources=tuple(source.model_copy(update={"lines": _selecting(lines, source)})
                                       for source in known))  # fmt: skip

    def _calls_came(self) -> bool:
        assert self._capture is not None
        return self._clock.monotonic() - self._attributed >= CALLS_REST and self._capture.changed()

    def _look(self, name: str, changed: Callable[[], bool]) -> SourceSituation:
        kind = self._kinds.get(name, CAPTURE)
        try:
            return SourceSituation(name=name, kind=kind, changed=changed(), full=name in self._full)
        except SourceProblemError as problem:
            return SourceSituation(name=name, kind=kind, changed=False, problem=str(problem))

    def _with_memory(self, session: Session, source: SourceSituation, digest: str) -> SourceSituation:
        recorded = str(cursor(session, _health(source.kind, source.name)).get("problem", ""))
        if source.kind == CAPTURE:
            return source.model_copy(update={"recorded": recorded})
        stored = cursor(session, source.name)
        anew = bool(stored) and stored.get("selection") != digest
        return source.model_copy(update={"recorded": recorded, "full": source.full or anew})

    def _ingest(self, name: str, full: bool, cause: int | None) -> Attempt:  # noqa: FBT001 - it comes from an intent
        reader = self._readers[name]
        new = changed = 0
        more = True
        for turn in range(BATCHES_A_TURN):
            try:
                with without_collections():  # until nothing of the batch is left to be searched
                    stored, more = self._take_in(reader, full and turn == 0, cause)
            except SourceProblemError as problem:
                return self._failed(_health(self._kinds[name], name), name, problem, cause)
            self._full.discard(name)
            new, changed = new + stored.new, changed + stored.changed
            if not more:
                break
        sentence = f"{name}: {new} new and {changed} changed outcomes" + (", more to read" if more else "")
        return Done(sentence=sentence, changed=bool(new or changed or more), body={"new": new, "changed": changed})

    def _take_in(self, reader: Reader, full: bool, cause: int | None) -> tuple[Ingested, bool]:  # noqa: FBT001 - as above
        """Read and store one batch; return what that changed, and whether there is more."""
        batch = self._read(reader, full=full)
        with _read_again_unless_kept(reader):
            return self._keep(reader.name, batch, cause), batch.more

    def _read(self, reader: Reader, *, full: bool) -> Batch:
        with self._store.read() as session:
            known = cursor(session, reader.name)
        same = known.get("selection") == selection_digest(self._lines())
        return reader.read(known if same and not full else {}, _Pending(self._store, reader.name))

    def _keep(self, name: str, batch: Batch, cause: int | None) -> Ingested:
        """Store a batch, its cursor and its events: all of it or nothing."""
        lines = self._lines()
        outcomes = assign((outcome for task in batch.tasks for outcome in task.outcomes), lines)
        unrevised = frozenset(o.key for task in batch.tasks if not task.has_row for o in task.outcomes)
        refusals = [*batch.refusals, *(refusal for task in batch.tasks for refusal in task.refusals)]
        ahead = {**batch.cursor, "selection": selection_digest(lines)}
        found = self._joins.find(outcomes) if self._joins else Found({})
        with self._store.write() as session:
            kept = self._joins.claim(session, outcomes, found) if self._joins else Claimed(tuple(outcomes))
            given = without_personal(kept.outcomes, self._personal)
            stored = store_outcomes(session, given, unrevised, batch.words) + kept.retired
            stored += _retire(session, name, batch)
            _follow_tasks(session, name, batch)
            _mark(session, name, batch)
            self._refuse(session, name, [*refusals, *kept.refusals], cause)
            if ahead != cursor(session, name):
                move_cursor(session, name, ahead)
            if stored.new:
                add_to_counter(session, f"source:{name}", "outcomes", stored.new)
            if stored.new or stored.changed:
                body = {"source": name, **stored.model_dump()}
                ledger.append(session, self._event("sources.outcomes_ingested", name, cause, body))
            self._recovered(session, _health(self._kinds[name], name), name, cause)
        return stored

    def _refuse(self, session: Session, name: str, refusals: Sequence[Refusal], cause: int | None) -> None:
        for refusal in refusals:
            entry = Quarantined(source=name, at=self._clock.now(), **refusal.model_dump())
            if quarantine(session, entry):
                body = refusal.model_dump()
                event = self._event("sources.row_quarantined", name, cause, body)
                ledger.append(session, event, key=f"quarantined/{name}/{refusal.row}")
                add_to_counter(session, f"source:{name}", "quarantined", 1)

    def _attribute(self, cause: int | None) -> Attempt:
        """Store who answered the calls that came since the last time, and join the outcomes that waited for them."""
        assert self._capture is not None
        self._attributed = -math.inf
        new = joined = 0
        for _ in range(BATCHES_A_TURN):
            try:
                with self._store.read() as session:
                    known = cursor(session, _capture_cursor())
                batch = self._capture.read(known)
            except SourceProblemError as problem:
                return self._failed(_health(CAPTURE, CAPTURE_NAME), CAPTURE_NAME, problem, cause)
            with _read_again_unless_kept(self._capture):
                new += self._keep_calls(batch, known, cause)
            late, more = self._join_late(cause)
            joined += late
            if not batch.more and not more:
                self._attributed = self._clock.monotonic()
                break
        sentence = f"{new} calls joined to who answered them" + (f", {joined} late outcomes to calls" if joined else "")
        return Done(sentence=sentence, changed=bool(new or joined))

    def _keep_calls(self, batch: CaptureBatch, known: Mapping[str, Any], cause: int | None) -> int:
        with self._store.write() as session:
            stored = attribute(session, batch.calls)
            keep_calls(session, batch.known)
            if batch.cursor != known:
                move_cursor(session, _capture_cursor(), batch.cursor)
            if stored:
                body = {"calls": stored, "names": sorted({call.name for call in batch.calls})}
                ledger.append(session, self._event("sources.calls_attributed", CAPTURE_NAME, cause, body))
            self._recovered(session, _health(CAPTURE, CAPTURE_NAME), CAPTURE_NAME, cause)
        return stored

    def _join_late(self, cause: int | None) -> tuple[int, bool]:
        """Join the outcomes that waited for new calls; return how many, and whether there are more calls to ask for."""
        late = self._joins.find_late() if self._joins else None
        if self._joins is None or late is None:
            return 0, False
        with self._store.write() as session:
            kept = self._joins.claim_late(session, late)
            store_outcomes(session, without_personal(kept.outcomes, self._personal))
            for refusal in kept.refusals:
                self._refuse(session, late.sources[refusal.row], [refusal], cause)
            if kept.joined:
                body = {"calls": 0, "names": sorted({call.model for call in late.found.calls.values()}),
                        "joined": kept.joined}  # fmt: skip
                ledger.append(session, self._event("sources.calls_attributed", CAPTURE_NAME, cause, body))
        return kept.joined, late.more

    def _failed(self, health: str, name: str, problem: SourceProblemError, cause: int | None) -> Attempt:
        """Tell once that a source cannot be read; again only when the reason changes."""
        with self._store.write() as session:
            if cursor(session, health).get("problem", "") != str(problem):
                move_cursor(session, health, {"problem": str(problem)})
                body = {"problem": problem.message, "mend": problem.mend}
                ledger.append(session, self._event("sources.source_failed", name, cause, body))
        at = self._clock.now() + timedelta(seconds=problem.delay)
        return Retry(at=at, reason=f"source {name} {problem}")

    def _recovered(self, session: Session, health: str, name: str, cause: int | None) -> None:
        problem = cursor(session, health).get("problem", "")
        if problem:
            move_cursor(session, health, {})
            ledger.append(session, self._event("sources.source_recovered", name, cause, {"after": problem}))

    def _event(self, kind: str, name: str, cause: int | None, body: dict[str, Any]) -> Event:
        return Event(kind=kind, at=self._clock.now(), subject=name, cause=cause, body=body)


class _Pending:
    """Our list of unfinished tasks of one source. See `readings.PendingTasks`."""

    def __init__(self, store: Store, source: str) -> None:
        self._store = store
        self._source = source

    def among(self, tasks: Sequence[str]) -> Mapping[str, int]:
        with self._store.read() as session:
            return pending_tasks.pending_among(session, self._source, tasks)

    def newest(self, limit: int) -> Mapping[str, int]:
        with self._store.read() as session:
            return pending_tasks.newest_pending(session, self._source, limit)

    def after(self, position: int, limit: int) -> tuple[Mapping[str, int], int]:
        with self._store.read() as session:
            return pending_tasks.pending_after(session, self._source, position, limit)

    def known(self, tasks: Sequence[str]) -> frozenset[str]:
        with self._store.read() as session:
            return tasks_with_outcomes(session, self._source, tasks)

    def marks(self) -> Mapping[str, Mark]:
        with self._store.read() as session:
            return source_marks.marks(session, self._source)


def _follow_tasks(session: Session, name: str, batch: Batch) -> None:
    """Keep the list of unfinished tasks in step with what was read."""
    if batch.restarted:
        pending_tasks.forget_rows(session, name)
    pending_tasks.settle(session, name, [task.task for task in batch.tasks if task.settled])
    open_tasks = {task.task: task.first for task in batch.tasks if not task.settled and task.first}
    pending_tasks.keep_pending(session, name, open_tasks)


def _mark(session: Session, name: str, batch: Batch) -> None:
    """Remember how the records looked that were read."""
    if batch.spoiled:
        source_marks.spoil_marks(session, name)
    source_marks.set_marks(session, name, batch.marks)


def _retire(session: Session, name: str, batch: Batch) -> Ingested:
    """Let go of what the tasks that were read whole do not hold any more."""
    mirrored = [task for task in batch.tasks if task.mirrors]
    found = [retire_missing(session, name, task.task, task.unchanged | {o.key for o in task.outcomes})
             for task in mirrored]  # fmt: skip
    return sum(found, Ingested())


@contextmanager
def _read_again_unless_kept(reader: Reader | CaptureReader) -> Iterator[None]:
    """Let a reader forget that it saw what could not be stored: nothing else may change before the next look."""
    try:
        yield
    except BaseException:
        reader.close()
        raise


def _selecting(lines: Mapping[str, Line], source: SourceSituation) -> tuple[str, ...]:
    if source.kind == CAPTURE:
        return ()
    return tuple(name for name, line in lines.items() if selects(line, source.name))


def _health(kind: str, name: str) -> str:
    return f"health:{CAPTURE}/{name}" if kind == CAPTURE else f"health:{name}"  # a source's own name holds no slash


def _capture_cursor() -> str:
    return f"{CAPTURE}/{CAPTURE_NAME}"
