"""Deletes the folders of adapters whose life is over, when a person asks; never one that any server holds.

A server dies, for everybody, of a folder that goes away under a name it lists. So each server is asked, and as long as
one of them does not answer, nothing is deleted. What is given up is written down before the first file goes: after a
crash the request is still open, and the rest follows.
"""

import asyncio
import shutil
from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import Path

from flywheel.core.attempts import Attempt, Done, Retry
from flywheel.core.clocks import Clock
from flywheel.core.events import Event
from flywheel.core.intents import Intent
from flywheel.core.requests import Request
from flywheel.core.rooms import Plan, Proposal
from flywheel.core.serving import ServedModel
from flywheel.serve.servers import ServerError
from flywheel.serve.sites import Site
from flywheel.store.ledger import append
from flywheel.store.prunings import Leftover, give_up, leftovers, pruned
from flywheel.store.requests import answer_request, open_requests, request_by_id
from flywheel.store.stores import Store

_GONE = ".pruned-"  # how a folder begins that is about to be deleted: nobody takes it for an adapter's
_KIB = 1024


class PruneRoom:
    """Sees to requests to delete folders, after everything else was done. See `core.rooms.Room`."""

    name = "serve"

    def __init__(self, store: Store, clock: Clock, site: Site, fused: Collection[str] = ()) -> None:
        """Delete at this site, and of the adapters none that a base was made with."""
        self._store = store
        self._clock = clock
        self._site = site
        self._fused = fused

    async def propose(self) -> Plan:
        """Look for requests."""
        return await asyncio.to_thread(self._plan)

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Delete what a request names and nobody needs; say what stays, and why."""
        try:
            models = await self._models()
        except ServerError as error:
            wait = self._clock.now() + timedelta(seconds=error.delay)
            return Retry(at=wait, reason=f"nobody knows what is loaded, and nothing is deleted: {error}")
        return await asyncio.to_thread(self._prune, intent, models, cause)

    def _plan(self) -> Plan:
        with self._store.read() as session:
            asked = open_requests(session, "prune")
        return Plan(proposals=tuple(_proposal(request) for request in asked))

    async def _models(self) -> list[ServedModel]:
        found: list[ServedModel] = []
        for server in self._site.servers:
            async with self._site.client(server.url) as client:
                found.extend(await client.models())
        return found

    def _prune(self, intent: Intent, models: Sequence[ServedModel], cause: int | None) -> Attempt:
        with self._store.read() as session:
            request = request_by_id(session, intent.subject)
        if request is None or request.state != "open":
            return Done(sentence="the request was answered already", changed=False)
        names = frozenset(str(name) for name in request.body.get("names", ()))
        kept = self._give_up(names, models, cause)
        with self._store.read() as session:
            given_up = pruned(session, names)
        for adapter in given_up:
            _delete(self._site.adapters, self._site.folder(adapter.path))
        answer = _answer([adapter.name for adapter in given_up], kept)
        with self._store.write() as session:
            answer_request(session, request.id, satisfied=True, answer=answer)
        return Done(sentence=answer, body={"request": request.id})

    def _give_up(self, names: Collection[str], models: Sequence[ServedModel], cause: int | None) -> list[Leftover]:
        """Write down, at once, all that may go; return what stays."""
        held = {name for model in models for name in (model.name, model.root) if name}
        kept = []
        with self._store.write() as session:
            for one in leftovers(session, fused=self._fused):
                if one.name not in names:
                    continue
                if one.kept or held & {one.name, str(self._site.folder(one.adapter.path))}:
                    kept.append(one if one.kept else one.model_copy(update={"kept": "a server lists it"}))
                else:
                    give_up(session, one, self._clock.now(), append(session, self._event(one, cause)))
        return kept

    def _event(self, one: Leftover, cause: int | None) -> Event:
        freed = size_of(self._site.folder(one.adapter.path))
        return Event(kind="serve.adapter_pruned", at=self._clock.now(), line=one.adapter.line, subject=one.name,
                     cause=cause, body={"bytes": freed, "was": one.state.value})  # fmt: skip


def size_of(folder: Path) -> int:
    """Return how much room a folder takes; one that is not there takes none."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def in_words(size: float) -> str:
    """Return a number of bytes as people say it."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < _KIB:
            return f"{size:.0f} {unit}"
        size /= _KIB
    return f"{size:.1f} GiB"


def _proposal(request: Request) -> Proposal:
    why = "a person asked, and their life is over"
    return Proposal(
        intent=Intent(kind="serve.prune_adapters", subject=request.id, why=why, line=request.line), cause=request.cause
    )


def _delete(adapters: Path, folder: Path) -> None:
    """Delete an adapter's folder: gone under its name in one step, then file by file. Nothing outside is touched."""
    home, place = adapters.resolve(), folder.resolve()
    if not place.is_relative_to(home) or place == home:
        return
    grave = place.with_name(f"{_GONE}{place.name}")
    if place.is_dir():
        place.rename(grave)
    if grave.is_dir():
        shutil.rmtree(grave)


def _answer(gone: Sequence[str], kept: Sequence[Leftover]) -> str:
    told = f"deleted the folders of {', '.join(gone)}" if gone else "nothing was deleted"
    stays = "; ".join(f"{one.name} stays: {one.kept}" for one in kept)
    return f"{told}; {stays}" if stays else told
