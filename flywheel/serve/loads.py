"""Loads one adapter into one server: checked, loaded under its own name for good, warmed up, and only then ready."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from flywheel.core.attempts import Attempt, Done, Failed, Retry
from flywheel.core.clocks import Clock
from flywheel.core.errors import UnavailableError
from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.core.intents import Intent
from flywheel.core.releases import Release
from flywheel.core.serving import Loaded
from flywheel.core.training import AdapterManifest, Base
from flywheel.serve.inspections import Demands, inspect
from flywheel.serve.readings import Readings
from flywheel.serve.servers import AdapterRefusedError, Server, ServerWrongError
from flywheel.serve.sites import Site
from flywheel.store.ledger import append
from flywheel.store.loaded import forget_loaded, loaded, mark_loaded
from flywheel.store.releases import release_by_name
from flywheel.store.runs import adapter_by_name, pinned_base, pinned_parts
from flywheel.store.stores import Store

#: Says what of a base's bytes is not as it was pinned; nothing when it is.
Changed = Callable[[Base], str]

_BASE_PAUSE = timedelta(seconds=60)


def unchanged(_: Base) -> str:
    """Say that a base is as it was pinned."""
    return ""


class Order(Frozen):
    """One adapter for one server, with what it is checked against."""

    release: Release
    manifest: AdapterManifest
    path: str
    server: str
    demands: Demands

    @property
    def name(self) -> str:
        """Return the name it is loaded under."""
        return self.release.name


class Loader:
    """Carries out orders; each may be interrupted anywhere and carried out again."""

    def __init__(
        self, store: Store, clock: Clock, readings: Readings, site: Site, changed: Changed = unchanged
    ) -> None:
        """Record in this store what happens at this site; `changed` says what of a base is not as it was pinned."""
        self._store = store
        self._clock = clock
        self._readings = readings
        self._site = site
        self._changed = changed

    async def load(self, intent: Intent, cause: int | None) -> Attempt:
        """Check, load, warm up, record. A refusal is recorded once for each move of the release."""
        order = await asyncio.to_thread(self._order, intent)
        if isinstance(order, Failed | Done):
            return order
        try:
            if changed := await asyncio.to_thread(self._changed, order.demands.base):
                return self._later(f"{changed} since it was pinned, and {order.name} belongs to what it was")
            wrong = await asyncio.to_thread(inspect, self._site.folder(order.path), order.manifest, order.demands)
        except UnavailableError as error:
            return Retry(at=self._clock.now() + timedelta(seconds=error.delay), reason=str(error))
        if wrong is not None:
            return await self._refused(order, wrong, cause)
        async with self._site.client(order.server) as server:
            try:
                return await self._place(server, order, cause)
            except AdapterRefusedError as error:
                await self._acquit_server(server, order)
                return await self._refused(order, error.message, cause)

    def _later(self, reason: str) -> Retry:
        """Wait: a base that changed can be restored, and is no fault of the adapter."""
        return Retry(at=self._clock.now() + _BASE_PAUSE, reason=reason)

    def _order(self, intent: Intent) -> Order | Failed | Done:
        name, url = intent.subject, str(intent.params["server"])
        line, server = self._readings.lines().get(intent.line), self._site.server(url)
        base = self._readings.bases.get(line.base) if line else None
        with self._store.read() as session:
            release, adapter = release_by_name(session, name), adapter_by_name(session, name)
            if release is None or adapter is None or base is None or server is None:
                return Done(sentence=f"{name} is not wanted on {url} any more", changed=False)
            pinned = pinned_base(session, base.name) or base.fingerprint
            parts = pinned_parts(session, base.name)
        demands = Demands(base=base, pinned=pinned, largest_rank=server.max_lora_rank, parts=parts)
        path = str(self._site.folder(adapter.path))
        return Order(release=release, manifest=adapter.manifest, path=path, server=url, demands=demands)

    async def _place(self, server: Server, order: Order, cause: int | None) -> Attempt:
        found = next((model for model in await server.models() if model.name == order.name), None)
        if found is not None and found.root != order.path:
            return _lies_elsewhere(order)
        if found is None:
            # What the server held in an earlier life is not warm until it has answered in this one.
            await asyncio.to_thread(self._forget, order)
            if (elsewhere := await _load(server, order)) is not None:
                return elsewhere
        elif await asyncio.to_thread(self._is_warm, order):
            return Done(sentence=f"{order.name} is ready on {order.server}", changed=False)
        await server.ask(order.name)
        await asyncio.to_thread(self._ready, order, cause)
        return Done(sentence=f"loaded {order.name} into {order.server}")

    def _forget(self, order: Order) -> None:
        with self._store.write() as session:
            forget_loaded(session, order.server, order.name)

    def _is_warm(self, order: Order) -> bool:
        with self._store.read() as session:
            return any(entry.name == order.name and entry.path == order.path for entry in loaded(session, order.server))

    def _ready(self, order: Order, cause: int | None) -> None:
        now = self._clock.now()
        body = {"server": order.server, "path": order.path}
        event = Event(
            kind="serve.adapter_loaded", at=now, line=order.release.line, subject=order.name, cause=cause, body=body
        )
        with self._store.write() as session:
            mark_loaded(session, Loaded(server=order.server, name=order.name, path=order.path, warmed_at=now))
            append(session, event)

    async def _acquit_server(self, server: Server, order: Order) -> None:
        """Blame the adapter only when the base answers; then take it from the server. Else raises ServerError."""
        try:
            await server.ask(order.demands.base.served_as)
        except AdapterRefusedError as error:
            raise ServerWrongError(
                f"{order.server} answers for no model, not even its base: {error.message}"
            ) from error
        await server.unload(order.name)

    async def _refused(self, order: Order, reason: str, cause: int | None) -> Failed:
        await asyncio.to_thread(self._record_refusal, order, reason, cause)
        return Failed(reason=f"{order.name} was refused: {reason}", mend="train it again, or see docs/serving.md")

    def _record_refusal(self, order: Order, reason: str, cause: int | None) -> None:
        body = {"reason": reason, "server": order.server}
        event = Event(kind="serve.adapter_refused", at=self._clock.now(), line=order.release.line, subject=order.name,
                      cause=cause, body=body)  # fmt: skip
        with self._store.write() as session:
            append(session, event, key=f"adapter_refused:{order.server}:{order.name}:{order.release.seq}")


async def _load(server: Server, order: Order) -> Done | None:
    """Load an adapter; a name that arrived meanwhile, by a load of ours that was given up, is no refusal.

    Returns what happened where somebody else has the name now: nothing of theirs is asked, recorded or unloaded.
    """
    try:
        await server.load(order.name, order.path)
    except AdapterRefusedError:
        found = next((model for model in await server.models() if model.name == order.name), None)
        if found is None:
            raise
        return None if found.root == order.path else _lies_elsewhere(order)
    return None


def _lies_elsewhere(order: Order) -> Done:
    return Done(sentence=f"{order.name} lies on {order.server} from another place", changed=False)
