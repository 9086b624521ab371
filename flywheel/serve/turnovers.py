"""Takes the steps of the shared GPU's turn. Each may be interrupted anywhere and taken again."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flywheel.core.attempts import Attempt, Done
from flywheel.core.clocks import Clock
from flywheel.core.events import Event
from flywheel.core.intents import Intent
from flywheel.core.turns import Phase, Turn
from flywheel.proc.commands import run_command
from flywheel.serve.readings import Readings
from flywheel.serve.servers import AdapterRefusedError, ServerDownError, ServerError, ServerWrongError
from flywheel.serve.sites import Site
from flywheel.store.ledger import append
from flywheel.store.loaded import forget_loaded, loaded
from flywheel.store.stores import Store
from flywheel.store.turns import move_turn, turn_of

COMMAND_SECONDS = 120.0
_CLOSING_SECONDS = 10.0
_LOOK_SECONDS = 0.1


class Turnovers:
    """Hands the GPU to training and back: holds, rests, reclaims, wakes, asks, releases."""

    def __init__(self, store: Store, clock: Clock, readings: Readings, site: Site) -> None:
        """Record in this store what happens at this site."""
        self._store = store
        self._clock = clock
        self._readings = readings
        self._site = site

    async def hold(self, intent: Intent, cause: int | None) -> Attempt:
        """Begin a turn: from now on the routing tells the gateway to hold calls."""
        way = "sleep" if self._site.gpu.sharing == "sleep" else "stop"
        values = {"way": way, "run": intent.subject, "line": intent.line, "away_since": self._clock.now()}
        return await self._move(intent, cause, ("serving", "yielding", "serve.calls_held"), **values)

    async def rest(self, intent: Intent, cause: int | None) -> Attempt:
        """Put the servers to sleep or stop them, whatever is awake of them."""
        here = await self._readings.situation()
        if here.gateway is not None and here.gateway.at_servers:
            return Done(sentence="a call came in between", changed=False)
        if here.gpu.turn.way == "sleep":
            await self._each(self._sleep)
        elif any(view.health == "answers" for view in here.servers):
            await asyncio.to_thread(run_command, self._site.gpu.stop, COMMAND_SECONDS)
            await self._each(self._closed)
        kind = "serve.server_rested" if here.gpu.turn.phase == "yielding" else None
        return await self._move(intent, cause, (here.gpu.turn.phase, "resting", kind))

    async def reclaim(self, intent: Intent, cause: int | None) -> Attempt:
        """End training's turn; no process of it may be at work from now on."""
        early = bool(intent.params.get("early"))
        rest = timedelta(seconds=self._site.gpu.rest_seconds)
        values = {"not_before": self._clock.now() + rest} if early else {}
        with self._store.read() as session:
            phase = turn_of(session).phase
        return await self._move(intent, cause, (phase, "returning", "serve.gpu_reclaimed"), **values)

    async def wake(self, intent: Intent, cause: int | None) -> Attempt:
        """Wake the servers that sleep; start the ones that are down, where a command for that is set."""
        here = await self._readings.situation()
        if here.gpu.at_work:
            return Done(sentence=f"{', '.join(here.gpu.at_work)} still has a process", changed=False)
        await self._each(self._wake)
        if self._site.gpu.start and any(not view.models for view in here.servers):
            await asyncio.to_thread(run_command, self._site.gpu.start, COMMAND_SECONDS)
        return await self._move(intent, cause, (here.gpu.turn.phase, "waking", None))

    async def ask(self, intent: Intent, cause: int | None) -> Attempt:
        """Let every server that is there answer for its base; adapters have to answer once more after that."""
        here = await self._readings.situation()
        bases = [line.base.served_as for line in here.lines if line.base is not None]
        for view in here.servers:
            name = next((base for base in bases if base in view.names), None)
            if view.health == "answers" and name is not None:
                await self._answer(view.url, name)
        return await self._move(intent, cause, ("waking", "checking", "serve.server_woken"), forget=True)

    async def release(self, intent: Intent, cause: int | None) -> Attempt:
        """End the turn: the routing tells the gateway to let calls through."""
        return await self._move(intent, cause, ("checking", "serving", "serve.calls_released"))

    async def _each(self, action: Callable[[str], Any]) -> None:
        await asyncio.gather(*(action(server.url) for server in self._site.servers))

    async def _sleep(self, url: str) -> None:
        async with self._site.client(url) as client:
            try:
                if not await client.is_sleeping():
                    await client.sleep()
            except ServerDownError:
                return  # what is down uses no GPU

    async def _wake(self, url: str) -> None:
        async with self._site.client(url) as client:
            try:
                if await client.is_sleeping():
                    await client.wake()
            except ServerDownError:
                return  # it is started, by us or by whoever runs it

    async def _closed(self, url: str) -> None:
        """Wait until nothing answers there any more; raises ServerWrongError when something goes on answering."""
        end = self._clock.monotonic() + _CLOSING_SECONDS
        async with self._site.client(url) as client:
            for _ in range(int(_CLOSING_SECONDS / _LOOK_SECONDS)):
                try:
                    await client.models()
                except ServerError:
                    return
                if self._clock.monotonic() > end:
                    break
                await asyncio.sleep(_LOOK_SECONDS)
        raise ServerWrongError(f"{url} still answers after it was stopped", "see gpu.unit or gpu.stop in the settings")

    async def _answer(self, url: str, model: str) -> None:
        async with self._site.client(url) as client:
            try:
                await client.ask(model)
            except AdapterRefusedError as error:
                raise ServerWrongError(f"{url} was woken and does not answer for its base: {error.message}") from error

    async def _move(
        self, intent: Intent, cause: int | None, step: tuple[Phase, Phase, str | None], **values: Any
    ) -> Attempt:
        return await asyncio.to_thread(self._moved, intent, cause, step, values)

    def _moved(
        self, intent: Intent, cause: int | None, step: tuple[Phase, Phase, str | None], values: dict[str, Any]
    ) -> Attempt:
        """Move the turn, with the event that tells it, in one transaction; nothing when it has moved already."""
        before, after, kind = step
        forget, now = values.pop("forget", False), self._clock.now()
        with self._store.write() as session:
            turn = turn_of(session)
            if turn.phase != before:
                return Done(sentence=f"the turn is at {turn.phase} already", changed=False)
            if forget:
                for entry in loaded(session):
                    forget_loaded(session, entry.server, entry.name)
            moved = turn.model_copy(update={"phase": after, "since": now, **values})
            seq = append(session, self._event(kind, intent, cause, turn)) if kind else turn.cause
            move_turn(session, moved.model_copy(update={"cause": seq}))
        return Done(sentence=f"{after} for {moved.run}: {intent.why}" if moved.run else f"{after}: {intent.why}")

    def _event(self, kind: str, intent: Intent, cause: int | None, turn: Turn) -> Event:
        now = self._clock.now()
        body: dict[str, Any] = {"way": turn.way, "why": intent.why}
        if kind == "serve.calls_held":
            body["way"] = self._site.gpu.sharing
        if kind == "serve.calls_released" and turn.away_since is not None:
            body["seconds"] = round((now - turn.away_since).total_seconds(), 3)
        return Event(kind=kind, at=now, line=intent.line, subject=intent.subject, cause=cause, body=body)
