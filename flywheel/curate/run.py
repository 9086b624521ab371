"""The room itself: outcomes to examples, examples to a frozen dataset, each step whole or not at all."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlmodel import Session

from flywheel.core.attempts import Attempt, Done, Retry
from flywheel.core.clocks import Clock
from flywheel.core.events import Event
from flywheel.core.examples import DatasetManifest
from flywheel.core.ids import short
from flywheel.core.intents import Intent
from flywheel.core.lines import Line
from flywheel.core.rooms import Plan
from flywheel.curate import folders
from flywheel.curate.comparisons import NEAR_FRESH, compare_new
from flywheel.curate.facts import gather
from flywheel.curate.lesson_readings import judged_rows, pair_rows
from flywheel.curate.lessons import FILES
from flywheel.curate.materials import material
from flywheel.curate.needs import outgrown, shortage
from flywheel.curate.plan import plan
from flywheel.curate.pools import admit
from flywheel.curate.selections import Draft, draft
from flywheel.curate.supersessions import report_published, tell_falls
from flywheel.store import datasets as rows
from flywheel.store import ledger
from flywheel.store.counters import add_to_counter, counters
from flywheel.store.departures import has_departed
from flywheel.store.examples import examples_by_id
from flywheel.store.outcomes import waiting_outcomes
from flywheel.store.requests import answer_request, request_by_id
from flywheel.store.stores import Store

OUTCOMES_A_BATCH = 500
BATCHES_A_TURN = 20  # then the other rooms have theirs; the next cycle goes on
_PAUSE = timedelta(hours=1)  # until a set that turned out too small is drawn again

Lines = Callable[[], Mapping[str, Line]]


class CurateRoom:
    """Turns outcomes into examples and examples into datasets. See `core.rooms.Room`."""

    name = "curate"

    def __init__(self, store: Store, clock: Clock, lines: Lines, datasets_dir: Path) -> None:
        """Curate for these lines; frozen datasets lie below the folder under their hash."""
        self._store = store
        self._clock = clock
        self._lines = lines
        self._folder = datasets_dir

    async def propose(self) -> Plan:
        """Look what waits and what is due, at the same cost whatever the size of the pool."""
        return await asyncio.to_thread(self._plan)

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Admit, freeze, or turn down a request that has nothing to run on."""
        deeds = {
            "curate.admit_examples": self._admit,
            "curate.freeze_dataset": self._freeze,
            "operator.refuse_request": self._refuse,
            "curate.report_superseded": self._report_superseded,
        }
        return await asyncio.to_thread(deeds[intent.kind], intent, cause)

    def _plan(self) -> Plan:
        with self._store.read() as session:
            return plan(gather(session, self._lines(), self._clock.now()))

    def _admit(self, intent: Intent, cause: int | None) -> Attempt:
        line = self._lines()[intent.line]
        tally: Counter[str] = Counter()
        more = True
        for _ in range(BATCHES_A_TURN):
            with self._store.write() as session:
                batch = waiting_outcomes(session, line.name, OUTCOMES_A_BATCH)
                found, fallen = admit(session, line, batch, rows.last_watermark(session, line.name))
                if found:
                    body = {"considered": len(batch), **found}
                    admitted = self._event("curate.examples_admitted", line.name, line.name, cause, body)
                    tell_falls(session, line.name, fallen, self._clock.now(), ledger.append(session, admitted))
                more = len(batch) == OUTCOMES_A_BATCH or has_departed(session, line.name)
            tally.update(found)
            if not more:
                break
        self._compare()
        sentence = f"{line.name}: {tally['new']} new examples, {tally['withdrawn']} withdrawn"
        return Done(sentence=sentence, changed=bool(tally) or more, body=dict(tally))

    def _report_superseded(self, _: Intent, cause: int | None) -> Attempt:
        with self._store.write() as session:
            named = report_published(session, self._clock.now(), cause)
        if not named:
            return Done(sentence="no published adapter learned what has fallen since", changed=False)
        return Done(sentence=f"{', '.join(named)} learned examples whose evidence has fallen")

    def _compare(self) -> None:
        compare_new(self._store, {name: line.dataset.near_threshold for name, line in self._lines().items()})

    def _freeze(self, intent: Intent, cause: int | None) -> Attempt:
        line = self._lines()[intent.line]
        self._compare()  # a crash may have come between admitting and comparing
        with self._store.read() as session:
            parent = rows.last_dataset(session, line.name)
            drawn_from = material(session, line, parent)
        chosen = draft(drawn_from, line.dataset)
        missing = shortage(line, chosen, asked="request" in intent.params)
        if missing is not None:
            return Retry(at=self._clock.now() + _PAUSE, reason=missing)
        if not chosen.news and not outgrown(line, parent):
            return self._nothing_fresh(line.name, intent)
        files = folders.rows_of(chosen, line.train.technique)
        words = partial(self._words, line)
        splits = folders.measure(files, words)
        manifest = self._manifest(line, chosen, splits, parent)
        folders.publish(self._folder, manifest, files, words)
        watermark = max((example.seq for example in drawn_from.pool), default=0)
        return self._record(manifest, chosen, (watermark, drawn_from.lessons.until), intent, cause)

    def _record(
        self, manifest: DatasetManifest, chosen: Draft, until: tuple[int, int], intent: Intent, cause: int | None
    ) -> Attempt:
        """Let the dataset be known: its row, its members, its event, the counter and the answer, all at once."""
        sentence = f"froze dataset {manifest.number} of {manifest.line}: {_counted(chosen)}"
        with self._store.write() as session:
            if rows.dataset_by_hash(session, manifest.hash) is not None:
                return Done(sentence=f"dataset {short(manifest.hash)} was frozen before", changed=False)
            body = _told(manifest, chosen)
            event = self._event("curate.dataset_frozen", manifest.line, manifest.hash, cause, body)
            seq = ledger.append(session, event, key=f"dataset_frozen/{manifest.hash}")
            rows.record_dataset(session, manifest, until[0], seq)
            rows.record_members(session, manifest.hash, _members(chosen))
            if chosen.lessons.kind:
                rows.record_lessons(session, manifest.line, chosen.lessons.kind, until[1])
            _spend_fresh(session, manifest.line)
            if "request" in intent.params:
                answer_request(session, intent.params["request"], satisfied=True, answer=sentence)
        return Done(sentence=sentence, body={"hash": manifest.hash})

    def _nothing_fresh(self, line: str, intent: Intent) -> Attempt:
        """Spend the count of fresh examples when none of them may enter a dataset."""
        with self._store.write() as session:
            _spend_fresh(session, line)
            if "request" in intent.params:
                answer = "no new example may enter a dataset: see left_out of the last one"
                answer_request(session, intent.params["request"], satisfied=False, answer=answer)
        return Done(sentence=f"{line}: nothing fresh may enter a dataset")

    def _refuse(self, intent: Intent, cause: int | None) -> Attempt:
        answer = str(intent.params["answer"])
        with self._store.write() as session:
            request = request_by_id(session, intent.subject)
            if request is None or request.state != "open":
                return Done(sentence="the request was answered already", changed=False)
            body = {"request": request.kind, "subject": request.subject, "answer": answer}
            event = self._event("operator.request_refused", intent.line, request.id, cause, body)
            ledger.append(session, event, key=f"refused/{request.id}")
            answer_request(session, request.id, satisfied=False, answer=answer)
        return Done(sentence=f"refused a request: {answer}")

    def _manifest(
        self, line: Line, chosen: Draft, splits: dict[str, Any], parent: DatasetManifest | None
    ) -> DatasetManifest:
        settings = {
            "dataset": line.dataset.model_dump(mode="json"),
            "labels": line.labels.model_dump(mode="json"),
            "technique": line.train.technique,
        }
        before = parent.hash if parent else None
        return DatasetManifest(
            hash=folders.dataset_hash(splits, line.name, before, settings),
            line=line.name,
            number=parent.number + 1 if parent else 1,
            parent=before,
            splits=splits,
            examples=chosen.examples,
            fresh=chosen.fresh,
            replayed=len(chosen.replay) + chosen.lessons.replayed,
            pairs=chosen.lessons.count if chosen.lessons.kind == "pair" else 0,
            judgements=chosen.lessons.count if chosen.lessons.kind == "judgement" else 0,
            left_out=chosen.left_out,
            shares={name: float(value) for name, value in chosen.judged_by.items() if isinstance(value, int | float)},
            created_at=self._clock.now(),
            settings=settings,
            base=line.base,
            private=int(chosen.judged_by.get("private_examples") or 0),
        )

    def _words(self, line: Line, file: str, ids: Any) -> Any:
        with self._store.read() as session:
            if file in folders.LESSON_FILES:
                return (pair_rows if file in FILES["pair"] else judged_rows)(session, line, ids)
            found = examples_by_id(session, ids)
        return {name: folders.words_of(one, mask_quotes=line.dataset.mask_quotes) for name, one in found.items()}

    def _event(self, kind: str, line: str, subject: str, cause: int | None, body: dict[str, Any]) -> Event:
        return Event(kind=kind, at=self._clock.now(), line=line, subject=subject, cause=cause, body=body)


def _told(manifest: DatasetManifest, chosen: Draft) -> dict[str, Any]:
    """Return the event's body: counts, and under their own names the facts `dataset.…` it is judged by."""
    rows_a_part = {name: part.rows for name, part in manifest.splits.items()}
    return {
        "number": manifest.number,
        "parent": manifest.parent,
        "examples": manifest.examples,
        "pairs": manifest.pairs,
        "judgements": manifest.judgements,
        "fresh": manifest.fresh,
        "replayed": manifest.replayed,
        "replay_share": round(manifest.replay_share, 4),
        "rows": rows_a_part,
        "left_out": manifest.left_out,
        **chosen.judged_by,
    }


def _members(chosen: Draft) -> dict[str, Sequence[str]]:
    """Return who stands where; beside pairs the outcomes of both their sides, by which they are found again."""
    found: dict[str, Sequence[str]] = {"train": chosen.train, "valid": chosen.valid, "test": chosen.test}
    if chosen.lessons.kind:
        found |= dict(zip(FILES[chosen.lessons.kind], (chosen.lessons.train, chosen.lessons.valid), strict=True))
    return found | ({"paired": chosen.lessons.outcomes} if chosen.lessons.kind == "pair" else {})


def _counted(chosen: Draft) -> str:
    """Return in words how much a dataset holds."""
    beside = f", {chosen.lessons.count} {chosen.lessons.kind}s" if chosen.lessons.kind else ""
    return f"{chosen.examples} examples{beside}"


def _spend_fresh(session: Session, line: str) -> None:
    scope = f"line:{line}"
    counted = counters(session, scope)
    for name in ("examples_fresh", NEAR_FRESH):
        if counted.get(name, 0):
            add_to_counter(session, scope, name, -counted[name])
