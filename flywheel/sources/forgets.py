"""Forgetting what a person wants forgotten: first in the capture, then in the store, then in what was made from them.

Every step may be interrupted and done again. The request stays open until the last one: its body says how far it got.
What is remembered is hashes; the name that was given leaves the store with the rest.
"""

import asyncio
import re
import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session

from flywheel.core.attempts import Attempt, Done, Retry
from flywheel.core.clocks import Clock
from flywheel.core.errors import TemporaryError
from flywheel.core.events import Event
from flywheel.core.forgetting import ForgetReport, Scope
from flywheel.core.intents import Intent
from flywheel.core.requests import Request
from flywheel.core.rooms import Plan, Proposal
from flywheel.sources.capture_sweeps import Wanted, delete_calls, find_calls, telling
from flywheel.store import forgets, ledger, purges
from flywheel.store.datasets import dataset_by_hash
from flywheel.store.forgets import Doomed
from flywheel.store.forgotten import content_of, forgotten_sessions, remember, sessions_to_sweep, swept
from flywheel.store.requests import answer_request, open_requests, request_by_id, rewrite_request
from flywheel.store.stores import Store
from flywheel.store.wiping import scrub, scrub_file, wipe, wipe_places

CAPTURE = "capture.db"
_UNRECORDED = re.compile(r"\.?[0-9a-f]{64}(\.new)?")


class ForgetRoom:
    """Sees to requests to forget, before anything else is read. See `core.rooms.Room`."""

    name = "operator"

    def __init__(self, store: Store, clock: Clock, home: Path) -> None:
        """Forget in this store, and in the capture and the folders of this home."""
        self._store = store
        self._clock = clock
        self._home = home

    async def propose(self) -> Plan:
        """Look for requests, and for new calls of sessions that were forgotten."""
        return await asyncio.to_thread(self._plan)

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Forget one thing, whole; or sweep the capture once more."""
        deed = {"operator.forget_records": self._forget, "operator.sweep_capture": self._sweep}[intent.kind]
        try:
            return await asyncio.to_thread(deed, intent, cause)
        except TemporaryError as error:
            return Retry(at=self._clock.now() + timedelta(seconds=error.delay), reason=str(error))

    def _plan(self) -> Plan:
        with self._store.read() as session:
            asked = open_requests(session, "forget")
            sweep = sessions_to_sweep(session)
        wishes = tuple(_proposal(request) for request in asked)
        return Plan(proposals=wishes + ((_SWEEP,) if sweep else ()))

    def _forget(self, intent: Intent, cause: int | None) -> Attempt:
        with self._store.read() as session:
            request = request_by_id(session, intent.subject)
        if request is None or request.state != "open":
            return Done(sentence="the request was answered already", changed=False)
        if "report" not in request.body:
            request = self._wipe(request, Scope.model_validate(request.body["scope"]))
        for folder in request.body["folders"]:
            _remove(self._home, Path(folder))
        self._remove_unrecorded()
        scrub(self._store)
        scrub_file(self._home / CAPTURE)
        return self._close(request, cause)

    def _wipe(self, request: Request, scope: Scope) -> Request:
        """Delete it in the capture, then in the store; the request keeps what was found and what is left to do."""
        with self._store.read() as session:
            outcomes = forgets.doomed(session, scope)
            rows = find_calls(self._home / CAPTURE, wanted_calls(session, scope, outcomes))
        delete_calls(self._home / CAPTURE, rows)
        with self._store.write() as session:
            report = self._wipe_store(session, request, scope).model_copy(update={"calls": len(rows)})
            folders = self._purge(session, request, report) if scope.purge else []
            body: dict[str, Any] = {
                "report": report.model_dump(mode="json"),
                "folders": folders,
                "kind": scope.kind,
                "until_now": scope.until_now,
                "purged": scope.purge,
            }
            rewrite_request(session, request.id, body)
        return request.model_copy(update={"body": body})

    def _wipe_store(self, session: Session, request: Request, scope: Scope) -> ForgetReport:
        outcomes = forgets.doomed(session, scope)
        examples = forgets.examples_of(session, scope, outcomes)
        report = forgets.report_on(session, outcomes, examples)
        remember(session, _marks(session, scope, outcomes), self._clock.now(), request.id)
        wipe(session, outcomes, examples)
        if scope.kind != "example":
            wipe_places(session, outcomes)
        return report

    def _purge(self, session: Session, request: Request, report: ForgetReport) -> list[str]:
        """Mark what is to be deleted before it is; return the places below the home."""
        datasets = [one.hash for one in report.datasets]
        purges.mark_purged(session, datasets, report.suites, self._clock.now(), request.id)
        left = purges.leavings_of(session, report.suites)
        names = [f"datasets/{digest}" for digest in datasets] + [f"suites/{digest}" for digest in report.suites]
        names += [f"trials/{digest}" for digest in report.suites]  # what people measured on them by hand
        return names + [f"reports/{name}.html" for name in left.reports] + left.folders

    def _remove_unrecorded(self) -> None:
        """Delete datasets that a crash left without their record: nobody knows what they hold, and nobody uses them."""
        for folder in (self._home / "datasets").glob("*"):
            with self._store.read() as session:
                known = dataset_by_hash(session, folder.name) is not None
            if not known and _UNRECORDED.fullmatch(folder.name):
                _remove(self._home, folder)

    def _close(self, request: Request, cause: int | None) -> Attempt:
        """Tell the ledger and the person; the request keeps nothing but its answer."""
        body = {key: value for key, value in request.body.items() if key != "folders"}
        report = ForgetReport.model_validate(body["report"])
        answer = answer_of(report, until_now=body["until_now"], purged=body["purged"], kind=body["kind"])
        told = {**body["report"], "kind": body["kind"], "until_now": body["until_now"], "purged": body["purged"]}
        with self._store.write() as session:
            event = Event(kind="operator.records_forgotten", at=self._clock.now(), subject=request.subject, cause=cause,
                          body={**told, "request": request.id, "sentence": answer})  # fmt: skip
            ledger.append(session, event, key=f"forgotten/{request.id}")
            rewrite_request(session, request.id, {})
            answer_request(session, request.id, satisfied=True, answer=answer)
        return Done(sentence=answer, body={"request": request.id})

    def _sweep(self, _: Intent, __: int | None) -> Attempt:
        """Take out of the capture what came since of sessions that were forgotten."""
        with self._store.read() as session:
            names, until = forgotten_sessions(session)
        rows = find_calls(self._home / CAPTURE, Wanted(sessions=frozenset(names), whole=True)) if names else []
        delete_calls(self._home / CAPTURE, rows)
        if rows:
            scrub_file(self._home / CAPTURE)
        with self._store.write() as session:
            swept(session, names, until)
        return Done(sentence=f"{len(rows)} captured calls of forgotten sessions were deleted", changed=bool(rows))


_SWEEP = Proposal(
    intent=Intent(kind="operator.sweep_capture", subject="capture", why="calls came, and sessions were forgotten")
)


def find(session: Session, home: Path, scope: Scope) -> ForgetReport:
    """Return what forgetting would find, and change nothing."""
    outcomes = forgets.doomed(session, scope)
    report = forgets.report_on(session, outcomes, forgets.examples_of(session, scope, outcomes))
    rows = find_calls(home / CAPTURE, wanted_calls(session, scope, outcomes))
    return report.model_copy(update={"calls": len(rows)})


def wanted_calls(session: Session, scope: Scope, outcomes: Sequence[Doomed]) -> Wanted:
    """Return which captured calls belong to these outcomes, by every sign there is of it."""
    keys = [one.key for one in outcomes]
    questions, words = set(), set()
    for wording in forgets.wordings(session, keys):
        questions.add(wording.prompt_key)
        words.add(telling(wording.response))
        if scope.kind != "example":
            words.update(telling(message.content) for message in wording.messages if message.role == "assistant")
    wide = scope.kind != "example"
    named = {scope.name} if scope.kind == "session" else set()
    return Wanted(
        calls=forgets.calls_of(session, keys),
        sessions=frozenset(named | {one.session for one in outcomes if one.session and wide}),
        tasks=frozenset(one.task for one in outcomes if one.task and wide),
        questions=frozenset(questions),
        words=frozenset(word for word in words if word is not None),
        whole=wide,
    )


def answer_of(report: ForgetReport, *, until_now: bool, purged: bool, kind: str) -> str:
    """Return the sentence a person reads: what is gone, what keeps out, what still holds or learned from it."""
    keeps = "" if until_now or kind == "example" else f"; later records of this {kind} are kept out as well"
    told = f"forgot {report.sentence}{keeps}"
    held = [one.hash[:8] for one in report.datasets] + [one[:8] for one in report.suites]
    if held and purged:
        told += f"; deleted the files of {', '.join(held)}"
    elif held:
        told += f"; frozen and left as they are: {', '.join(held)} (--purge-datasets deletes them)"
    return f"{told}; the agent's own database was not touched"


def _proposal(request: Request) -> Proposal:
    intent = Intent(kind="operator.forget_records", subject=request.id, why="a person asked")
    return Proposal(intent=intent, cause=request.cause)


def _marks(session: Session, scope: Scope, outcomes: Sequence[Doomed]) -> list[tuple[str, str]]:
    marks = [("outcome", one.key) for one in outcomes]
    words = forgets.wordings(session, [one.key for one in outcomes])
    marks += [("content", content_of(wording.prompt_key, wording.response)) for wording in words]
    if scope.kind == "example":
        logged = forgets.logged_content(session, scope.name)
        marks += [("content", content_of(*logged))] if logged is not None else []
    elif not scope.until_now:
        marks.append((scope.kind, scope.name))
        marks += [("session", name) for name in sorted({one.session for one in outcomes}) if name]
    return marks


def _remove(home: Path, place: Path) -> None:
    """Delete a folder or file below the home; what is not there, or lies elsewhere, is left alone."""
    path = (home / place).resolve()
    if not path.is_relative_to(home.resolve()) or path == home.resolve():
        return
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
