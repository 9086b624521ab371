"""Does what was decided about suites: freezes, takes in, puts in use, calls for a successor, replaces.

A suite's folder appears whole before its row, and everything that makes it known is one transaction: a crash at any
line is repaired by the next cycle, which finds the same folder and does the rest.
"""

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sqlmodel import Session

from flywheel.core.attempts import Attempt, Done
from flywheel.core.clocks import Clock
from flywheel.core.errors import CorruptError, MisuseError, PermanentError
from flywheel.core.events import Event
from flywheel.core.ids import short
from flywheel.core.intents import Intent
from flywheel.core.lines import Gate, Line
from flywheel.core.nearness import SCHEME
from flywheel.core.requests import Request
from flywheel.core.sketches import Sketch
from flywheel.core.suites import HeldOut, Suite
from flywheel.gate.foreign_suites import (
    Provision,
    choose,
    publish_chosen,
    read_staged,
    staging,
    starter,
)
from flywheel.gate.sharing import shared_by_held_out, shared_by_import, sketch_of
from flywheel.gate.suites import SuiteManifest, build, publish, question_key, read_held_out
from flywheel.store import ledger, suites
from flywheel.store.reports import spent_on
from flywheel.store.requests import answer_request, request_by_id
from flywheel.store.stores import Store


class Made(NamedTuple):
    """A published suite, and sketches of its questions by their keys."""

    manifest: SuiteManifest
    sketches: Mapping[str, Sketch]


class Shelves:
    """The gate's deeds about suites. Each does one allowed thing; doing it twice is the same as doing it once."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        lines: Callable[[], Mapping[str, Line]],
        gates: Callable[[], Mapping[str, Gate]],
        folders: tuple[Path, Path],
    ) -> None:
        """Work on a store, for these lines and gates; suites are built from the first folder and kept in the second."""
        self._store = store
        self._clock = clock
        self._lines = lines
        self._gates = gates
        self._datasets, self._suites = folders

    def freeze(self, intent: Intent, cause: int | None) -> Attempt:
        """Freeze a line's first suite from what its newest dataset holds out."""
        with self._store.read() as session:
            if suites.live_suite(session, intent.line) is not None:
                return Done(sentence=f"{intent.line} has its suite already", changed=False)
            held_out = suites.newest_held_out(session, intent.line)
        if held_out is None or held_out.manifest.hash != intent.params["dataset"]:
            return Done(sentence=f"{intent.line} has a newer dataset to build its suite from", changed=False)
        made = self._publish_held_out(intent.line, held_out)
        with self._store.write() as session:
            self._record(session, made, cause, live=True)
        digest, problems = short(made.manifest.hash), made.manifest.problems
        return Done(sentence=f"froze suite {digest} of {problems} problems for {intent.line}")

    def take_in(self, intent: Intent, cause: int | None) -> Attempt:
        """Freeze a suite from what a person imported; it is used at once where the line has none."""
        request = self._open(intent)
        if request is None:
            return Done(sentence="the request was answered already", changed=False)
        folder = staging(self._suites) / Path(str(request.body.get("staged", "-"))).name
        try:
            made = self._publish_foreign(intent.line, read_staged(folder)[1])
        except (CorruptError, PermanentError) as error:
            return self._turn_down(request, str(error), cause)
        with self._store.write() as session:
            known = suites.suite_by_hash(session, made.manifest.hash) is not None
            live = not known and suites.live_suite(session, intent.line) is None
            answer = _told(made.manifest, live=live, known=known)
            self._record(session, made, cause, live=live)
            answer_request(session, request.id, satisfied=True, answer=answer)
        shutil.rmtree(folder, ignore_errors=True)
        return Done(sentence=answer)

    def adopt(self, intent: Intent, cause: int | None) -> Attempt:
        """Measure a line on a suite that was imported, or on a starter; the one before, if any, is retired."""
        request = self._open(intent)
        if request is None and "request" in intent.params:
            return Done(sentence="the request was answered already", changed=False)
        if request is None and self._is_served(intent.line):
            return Done(sentence=f"{intent.line} has its suite already", changed=False)
        try:
            found = self._find(intent.line, str(intent.params["name"]))
        except (MisuseError, PermanentError) as error:
            if request is None:
                raise
            return self._turn_down(request, str(error), cause)
        with self._store.write() as session:
            sentence = self._put_in_use(session, found, intent, cause)
            if request is not None:
                answer_request(session, request.id, satisfied=True, answer=sentence)
        return Done(sentence=sentence)

    def call_successor(self, intent: Intent, cause: int | None) -> Attempt:
        """Let the line's next dataset hold rows out, because its suite is to be replaced."""
        digest = str(intent.params["suite"])
        sentence = f"suite {short(digest)} of {intent.line} serves until the next dataset holds rows out for another"
        with self._store.write() as session:
            suite = suites.live_suite(session, intent.line)
            if suite is None or suite.hash != digest:
                return Done(sentence=f"{intent.line} is measured on another suite already", changed=False)
            if not suite.due:
                body = {**self._standing(session, suite), "why": intent.why}
                event = self._event("gate.successor_called", intent.line, digest, cause, body)
                ledger.append(session, event, key=f"successor_called:{digest}")
                suites.mark_due(session, digest)
            if "request" in intent.params:
                answer_request(session, str(intent.params["request"]), satisfied=True, answer=sentence)
        return Done(sentence=f"{sentence}: {intent.why}")

    def rotate(self, intent: Intent, cause: int | None) -> Attempt:
        """Retire a suite and let its successor take its place, in one transaction."""
        old = str(intent.params["suite"])
        with self._store.read() as session:
            live = suites.live_suite(session, intent.line)
            held_out = suites.newest_held_out(session, intent.line)
            waiting = suites.suite_by_hash(session, str(intent.params.get("next", "")))
        if live is None or live.hash != old:
            return Done(sentence=f"{intent.line} is measured on another suite already", changed=False)
        successor: Suite | Made | None = waiting
        if "dataset" in intent.params:
            if held_out is None or held_out.manifest.hash != intent.params["dataset"]:
                return Done(sentence=f"{intent.line} has a newer dataset to build its suite from", changed=False)
            successor = self._publish_held_out(intent.line, held_out)
            if "request" not in intent.params:
                self._check_enough(live, successor.manifest)
        if successor is None:
            return Done(sentence="the suite that was to be next is gone", changed=False)
        with self._store.write() as session:
            sentence = self._put_in_use(session, successor, intent, cause)
            if "request" in intent.params:
                answer_request(session, str(intent.params["request"]), satisfied=True, answer=sentence)
        return Done(sentence=sentence)

    def refuse(self, intent: Intent, cause: int | None) -> Attempt:
        """Turn down a request that cannot be satisfied."""
        with self._store.read() as session:
            request = request_by_id(session, intent.subject)
        if request is None or request.state != "open":
            return Done(sentence="the request was answered already", changed=False)
        return self._turn_down(request, str(intent.params["answer"]), cause)

    def _publish_held_out(self, line: str, held_out: HeldOut) -> Made:
        metric = self._gate(line).metric
        rows = read_held_out(self._datasets / held_out.manifest.hash, held_out.manifest)
        with self._store.read() as session:
            known = suites.provenance(session, [row.example for row in rows])
            asked = {
                question_key(row, known.get(row.example)): sketch_of([m.model_dump() for m in row.messages[:-1]])
                for row in rows
            }
            barred = shared_by_held_out(session, asked, line, self._least(line))
        built = build(rows, metric, known, barred)
        if not built.problems:
            reason = f"none of the {len(rows)} rows held out for {line} can be judged by {metric}: {built.left_out}"
            raise PermanentError(reason, "choose another metric in the line's gate, or change what the line selects")
        manifest = publish(built, line, held_out.manifest.hash, metric, self._suites)
        return Made(manifest, {problem.prompt_key: asked[problem.prompt_key] for problem in built.problems})

    def _publish_foreign(self, line: str, provision: Provision) -> Made:
        with self._store.read() as session:
            shared = partial(shared_by_import, session, line=line, least=self._least(line))
            chosen = choose(provision, shared, self._least(line))
        if not chosen.sketches:
            told = ", ".join(f"{count} {reason}" for reason, count in chosen.left_out.most_common())
            raise PermanentError(f"none of the {chosen.read} problems of {provision.name} can examine {line}: {told}")
        return Made(publish_chosen(provision, chosen, line, self._suites), chosen.sketches)

    def _check_enough(self, live: Suite, successor: SuiteManifest) -> None:
        """Refuse a successor that would prove less: rows that were held out may have been taught or examined since."""
        enough = min(self._gate(live.line).minimum_problems, live.problems + 1)
        if successor.problems < enough:
            told = f"only {successor.problems} of the rows held out for {live.line} can examine: {successor.left_out}"
            raise PermanentError(told, f"suite {short(live.hash)} serves until {enough} can")

    def _find(self, line: str, name: str) -> Suite | Made:
        """Return the recorded suite that is meant, or the starter of that name, published."""
        with self._store.read() as session:
            known = suites.suites_called(session, line, name)
        usable = next((one for one in known if not one.retired), None)
        if usable is not None:
            return usable
        if known:
            told = f"suite {short(known[0].hash)} ({name}) of {line} was retired: what it can prove is spent"
            raise PermanentError(told, "import or adopt another")
        return self._publish_foreign(line, starter(name))

    def _put_in_use(self, session: Session, found: Suite | Made, intent: Intent, cause: int | None) -> str:
        """Retire what the line is measured on and let the successor be that; one that is that already stays."""
        successor = found.manifest if isinstance(found, Made) else found
        old = suites.live_suite(session, intent.line)
        if old is not None and old.hash == successor.hash:
            return f"{intent.line} is measured on suite {short(old.hash)} already"
        if old is not None:
            suites.retire(session, old.hash)
        if isinstance(found, Made):
            cause = self._record(session, found, cause, live=True)
        else:
            suites.use(session, successor.hash)
        told = f"suite {short(successor.hash)} of {successor.problems} problems"
        named = {"suite": successor.hash, "name": successor.name, "problems": successor.problems, "why": intent.why}
        if old is None:
            event = self._event("gate.suite_adopted", intent.line, successor.hash, cause, named)
            ledger.append(session, event, key=f"adopted:{successor.hash}")
            return f"{intent.line} is measured on {told}"
        body = {**self._standing(session, old), "retired": old.hash, **named}
        event = self._event("gate.suite_rotated", intent.line, old.hash, cause, body)
        ledger.append(session, event, key=f"rotated:{old.hash}")
        return f"{intent.line} is measured on {told} from now on; suite {short(old.hash)} is retired"

    def _record(self, session: Session, made: Made, cause: int | None, *, live: bool) -> int:
        """Let a published suite be known: its event, its row, its questions; return the event's number."""
        manifest = made.manifest
        body = {**manifest.model_dump(mode="json", exclude={"hash", "line"}), "live": live}
        event = self._event("gate.suite_frozen", manifest.line, manifest.hash, cause, body)
        seq = ledger.append(session, event, key=f"suite:{manifest.hash}")
        suite = Suite(
            hash=manifest.hash, line=manifest.line, dataset=manifest.dataset, problems=manifest.problems,
            groups=manifest.groups, live=live, seq=seq, name=manifest.name, origin=manifest.origin,
            due=manifest.origin == "starter",
        )  # fmt: skip
        suites.record_suite(session, suite, list(made.sketches), made.sketches, SCHEME)
        return seq

    def _standing(self, session: Session, suite: Suite) -> dict[str, Any]:
        judged, spent = spent_on(session, suite.hash)
        alpha = self._gate(suite.line).alpha
        return {"judged": judged, "alpha_spent": spent, "alpha_left": max(0.0, 1 - spent / alpha)}

    def _is_served(self, line: str) -> bool:
        with self._store.read() as session:
            return suites.live_suite(session, line) is not None

    def _open(self, intent: Intent) -> Request | None:
        if "request" not in intent.params:
            return None
        with self._store.read() as session:
            request = request_by_id(session, str(intent.params["request"]))
        return request if request is not None and request.state == "open" else None

    def _turn_down(self, request: Request, answer: str, cause: int | None) -> Attempt:
        body = {"request": request.kind, "subject": request.subject, "answer": answer}
        with self._store.write() as session:
            event = self._event("operator.request_refused", request.line, request.id, cause, body)
            ledger.append(session, event, key=f"refused/{request.id}")
            answer_request(session, request.id, satisfied=False, answer=answer)
        return Done(sentence=f"refused a request: {answer}")

    def _event(self, kind: str, line: str, subject: str, cause: int | None, body: Mapping[str, object]) -> Event:
        return Event(kind=kind, at=self._clock.now(), line=line, subject=subject, cause=cause, body=dict(body))

    def _gate(self, line: str) -> Gate:
        try:
            return self._gates()[self._lines()[line].gate]
        except KeyError as error:
            raise PermanentError(f"line {line} or its gate {error} is not among the policies") from error

    def _least(self, line: str) -> float:
        known = self._lines().get(line)
        return known.dataset.near_threshold if known else Line.model_fields["dataset"].default.near_threshold


def _told(manifest: SuiteManifest, *, live: bool, known: bool) -> str:
    """Return in words what became of an import."""
    left_out = sum(manifest.left_out.values())
    told = f"suite {short(manifest.hash)} ({manifest.name}) of {manifest.problems} problems for {manifest.line}"
    told += f", {left_out} left out: see `flywheel suites show {short(manifest.hash)}`" if left_out else ""
    if known:
        return f"{told}; it was imported before"
    adopt = f"flywheel suites adopt {manifest.name} --line {manifest.line}"
    return f"{told}; the line is measured on it" if live else f"{told}; it waits: `{adopt}` puts it in use"
