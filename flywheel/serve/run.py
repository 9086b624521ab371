"""Does what serving decided: loads, unloads, publishes, and tells the ledger how the servers are."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flywheel.core.attempts import Attempt, Done, Retry
from flywheel.core.clocks import Clock
from flywheel.core.events import Event
from flywheel.core.intents import Intent
from flywheel.core.rooms import Plan
from flywheel.core.routing import Routing
from flywheel.core.training import Base
from flywheel.proc.files import write_file
from flywheel.serve.desires import same
from flywheel.serve.loads import Changed, Loader, unchanged
from flywheel.serve.plan import changed_aliases, plan, pointed
from flywheel.serve.readings import Lines, Readings, health_of
from flywheel.serve.servers import ServerDownError, ServerError
from flywheel.serve.sites import Site
from flywheel.serve.turnovers import Turnovers
from flywheel.store.ledger import append
from flywheel.store.loaded import forget_loaded, last_routing, publish_routing
from flywheel.store.stores import Store


class ServeRoom:
    """Makes the model servers and the gateway match the releases."""

    name = "serve"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        lines: Lines,
        bases: Mapping[str, Base],
        site: Site,
        changed: Changed = unchanged,
    ) -> None:
        """Work on this store, for these lines and bases, at this site; `changed` tells of a base's bytes."""
        self._store = store
        self._clock = clock
        self._site = site
        self._readings = Readings(store, clock, lines, bases, site)
        self._loader = Loader(store, clock, self._readings, site, changed)
        self._turnovers = Turnovers(store, clock, self._readings, site)

    async def propose(self) -> Plan:
        """Return what serving should do now."""
        return plan(await self._readings.situation())

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Do one allowed thing; a server in the way means another try later."""
        action = {
            "serve.check_server": self._check,
            "serve.flip_aliases": self._flip,
            "serve.load_adapter": self._loader.load,
            "serve.unload_adapter": self._unload,
            "serve.hold_calls": self._turnovers.hold,
            "serve.rest_server": self._turnovers.rest,
            "serve.reclaim_gpu": self._turnovers.reclaim,
            "serve.wake_server": self._turnovers.wake,
            "serve.ask_server": self._turnovers.ask,
            "serve.release_calls": self._turnovers.release,
        }[intent.kind]
        try:
            return await action(intent, cause)
        except ServerDownError as error:
            if "server" in intent.params:
                await asyncio.to_thread(self._note, str(intent.params["server"]), str(error), cause)
            return self._later(error)
        except ServerError as error:
            return self._later(error)

    async def _check(self, intent: Intent, cause: int | None) -> Attempt:
        """Record how a server is: the plan has just looked."""
        reason = "" if intent.params["answers"] else intent.why
        changed = await asyncio.to_thread(self._note, intent.subject, reason, cause)
        return Done(sentence=reason or f"{intent.subject} answers again", changed=changed)

    async def _unload(self, intent: Intent, cause: int | None) -> Attempt:
        url = str(intent.params["server"])
        async with self._site.client(url) as client:
            held = await client.unload(intent.subject)
        changed = await asyncio.to_thread(self._forget, intent, url, cause, held)
        return Done(sentence=f"unloaded {intent.subject} from {url}", changed=changed)

    def _forget(self, intent: Intent, url: str, cause: int | None, held: bool) -> bool:  # noqa: FBT001
        with self._store.write() as session:
            changed = forget_loaded(session, url, intent.subject) or held
            if changed:
                body = {"server": url, "why": intent.why}
                append(session, self._event(intent, "serve.adapter_unloaded", cause, body))
        return changed

    async def _flip(self, intent: Intent, cause: int | None) -> Attempt:
        return await asyncio.to_thread(self._publish, intent, cause)

    def _publish(self, intent: Intent, cause: int | None) -> Attempt:
        """Decide the routing in the store first, then tell the gateway: the file can always be written again."""
        routing, sentence = self._decide(intent, cause)
        try:
            write_file(self._site.routing_file, routing.dump())
        except OSError as error:
            reason = f"{self._site.routing_file} cannot be written: {error.strerror}"
            return Retry(at=self._clock.now() + timedelta(seconds=5), reason=reason)
        return Done(sentence=sentence)

    def _decide(self, intent: Intent, cause: int | None) -> tuple[Routing, str]:
        """Record the routing as the next version, unless it is the last one; return it and what happened."""
        with self._store.write() as session:
            last = last_routing(session)
            before = last.routing if last else None
            routing = Routing.model_validate({**intent.params, "version": before.version + 1 if before else 1})
            if before is not None and same(routing, before):
                return before, f"wrote routing version {before.version} again"
            changed = {name: {"from": pointed(before, name), "to": pointed(routing, name)}
                       for name in changed_aliases(before, routing)}  # fmt: skip
            body = {"version": routing.version, "changed": changed, "why": intent.why}
            publish_routing(session, routing, self._clock.now())
            append(session, self._event(intent, "serve.aliases_flipped", cause, body))
        return routing, f"published routing version {routing.version}: {intent.why}"

    def _note(self, url: str, reason: str, cause: int | None) -> bool:
        """Write that a server failed (with a reason) or recovered (without), when that is news."""
        kind = "serve.server_failed" if reason else "serve.server_recovered"
        with self._store.write() as session:
            last = health_of(session, url)
            if kind == (last.kind if last else "serve.server_recovered"):
                return False
            body = {"reason": reason} if reason else {}
            append(session, Event(kind=kind, at=self._clock.now(), subject=url, cause=cause, body=body))
        return True

    def _event(self, intent: Intent, kind: str, cause: int | None, body: dict[str, Any]) -> Event:
        return Event(kind=kind, at=self._clock.now(), line=intent.line, subject=intent.subject, cause=cause, body=body)

    def _later(self, error: ServerError) -> Retry:
        return Retry(at=self._clock.now() + timedelta(seconds=error.delay), reason=str(error))
