"""Lets go of what nobody needs, when a person or a schedule asks. See `core.rooms.Room`.

What goes is written down, in one transaction, before the first file does: after a kill the request is still open and
says what is left to delete. Adapters go the way of `flywheel adapters prune`, which asks every server first.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from flywheel.core.attempts import Attempt, Done
from flywheel.core.clocks import Clock
from flywheel.core.events import Event
from flywheel.core.intents import Intent
from flywheel.core.requests import Request
from flywheel.core.rooms import Plan
from flywheel.keep.facts import Looks, is_busy_there
from flywheel.keep.plan import going, plan
from flywheel.keep.situations import Leaving, Retention
from flywheel.store.ledger import append
from flywheel.store.purges import mark_purged
from flywheel.store.requests import answer_request, make_request, request_by_id, rewrite_request
from flywheel.store.stores import Store

_KIB = 1024
_NAMED = 20  # leavings that the ledger names one by one


class KeepRoom:
    """Sees to requests to tidy."""

    name = "keep"

    def __init__(
        self, store: Store, clock: Clock, home: Path, retention: Retention, fused: Collection[str] = ()
    ) -> None:
        """Tidy this home; of the adapters none that a base was made with."""
        self.looks = Looks(store, clock, home, retention, fused)
        self._store = store
        self._clock = clock
        self._home = home

    async def propose(self) -> Plan:
        """Look for requests."""
        return plan(await asyncio.to_thread(self.looks.asked))

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Delete what nobody needs; say how much that was."""
        return await asyncio.to_thread(self._tidy, intent, cause)

    def _tidy(self, intent: Intent, cause: int | None) -> Attempt:
        with self._store.read() as session:
            request = request_by_id(session, intent.subject)
        if request is None or request.state != "open":
            return Done(sentence="the request was answered already", changed=False)
        if "places" not in request.body:
            request = self._give_up(request, going(self.looks.whole()), cause)
        for place in request.body["places"]:
            self._store.steps.reached(f"before deleting {place}")
            _delete(self._home, Path(place))
        with self._store.write() as session:
            answer = str(request.body["answer"])
            rewrite_request(session, request.id, {})
            answer_request(session, request.id, satisfied=True, answer=answer)
        return Done(sentence=answer, body={"request": request.id})

    def _give_up(self, request: Request, leaving: Sequence[Leaving], cause: int | None) -> Request:
        """Write down, at once, all that goes; return the request with what is left to do."""
        files = [one for one in leaving if one.kind != "adapter"]
        adapters = sorted(one.name for one in leaving if one.kind == "adapter")
        answer = _answer(files, adapters)
        body = {"places": [place for one in files for place in one.places], "answer": answer}
        with self._store.write() as session:
            if leaving:
                told = {"request": request.id, "bytes": sum(one.size for one in files), "sentence": answer,
                        "kinds": dict(Counter(one.kind for one in leaving)), "adapters": adapters,
                        "names": [one.name for one in files[:_NAMED]]}  # fmt: skip
                event = Event(kind="keep.leftovers_deleted", at=self._clock.now(), subject=request.id, cause=cause,
                              body=told)  # fmt: skip
                cause = append(session, event, key=f"tidied/{request.id}")
            datasets = [one.name for one in files if one.kind == "dataset"]
            mark_purged(session, datasets, [], self._clock.now(), request.id)
            if adapters:
                make_request(session, self._prune(request, adapters, cause))
            rewrite_request(session, request.id, body)
        return request.model_copy(update={"body": body})

    def _prune(self, request: Request, names: Sequence[str], cause: int | None) -> Request:
        return Request(id=f"{request.id}-prune", kind="prune", line="", subject="adapters", by=request.by,
                       reason="their life has been over for long", at=self._clock.now(), cause=cause,
                       body={"names": list(names)})  # fmt: skip


def in_words(size: float) -> str:
    """Return a number of bytes as people say it."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < _KIB:
            return f"{size:.0f} {unit}"
        size /= _KIB
    return f"{size:.1f} GiB"


def _answer(files: Sequence[Leaving], adapters: Sequence[str]) -> str:
    counts = Counter(one.kind for one in files)
    words = {"checkpoints": "runs' checkpoints", "trial": "trials", "remains": "remains of crashes",
             "dataset": "datasets"}  # fmt: skip
    told = [f"{count} {words.get(kind, kind)}" for kind, count in sorted(counts.items())]
    said = f"deleted {', '.join(told)}: {in_words(sum(one.size for one in files))}" if told else ""
    asked = f"asked for the folders of {', '.join(adapters)} to be deleted" if adapters else ""
    return "; ".join(part for part in (said, asked) if part) or "there was nothing to delete"


def _delete(home: Path, place: Path) -> None:
    """Delete a folder or file below the home; what is at work, or lies elsewhere, is left alone."""
    home = home.resolve()
    path = home / place
    if path.is_symlink() or not path.resolve().is_relative_to(home) or path.resolve() == home:
        return
    run = home / Path(*place.parts[:2])
    if place.parts[0] == "runs" and is_busy_there(run):
        return
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
