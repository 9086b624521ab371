"""What every handler of the gateway works with, and how many requests are on their way."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import web

from flywheel.core.clocks import Clock
from flywheel.core.traces import NO_TRACER, Tracer
from flywheel.gateway.captures import CaptureWriter
from flywheel.gateway.doors import Door
from flywheel.gateway.holds import Holds
from flywheel.gateway.meters import Meter
from flywheel.gateway.mirrors import Mirrors
from flywheel.gateway.relays import Relay
from flywheel.gateway.routes import RoutingTable
from flywheel.gateway.settings import GatewaySettings
from flywheel.gateway.upstreams import Upstreams


class InFlight:
    """Counts the requests on their way: all of them, and by the model they were sent to."""

    def __init__(self) -> None:
        """Begin with none."""
        self.total = 0
        self.elsewhere: dict[str, int] = {}  # at the gateway before, which is about to end
        self._models: Counter[str] = Counter()
        self._none = asyncio.Event()
        self._none.set()

    def came(self) -> None:
        """Count one request of any kind, until it left."""
        self.total += 1
        self._none.clear()

    def left(self) -> None:
        """Count one request less."""
        self.total -= 1
        if not self.total:
            self._none.set()

    def asking(self, model: str | None) -> "_Asking":
        """Count one request to a model until the block ends, however it ends; None is not counted."""
        return _Asking(self._models, model)

    def models(self) -> dict[str, int]:
        """Return the count of each model that has any."""
        return dict(self._models + Counter(self.elsewhere)) if self.elsewhere else dict(self._models)

    async def end(self, seconds: float) -> int:
        """Wait until nothing is on its way, at most `seconds`; return how many requests are left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._none.wait()
        return self.total


class _Asking:
    """One request to a model; no generator, because it is made for every request."""

    __slots__ = ("_model", "_models")

    def __init__(self, models: Counter[str], model: str | None) -> None:
        self._models = models
        self._model = model

    def __enter__(self) -> None:
        if self._model is not None:
            self._models[self._model] += 1

    def __exit__(self, *error: object) -> None:
        if self._model is None:
            return
        self._models[self._model] -= 1
        if not self._models[self._model]:
            del self._models[self._model]


@dataclass(slots=True)
class Station:
    """The gateway's parts, put together once; `draining` is set when it is about to end."""

    settings: GatewaySettings
    clock: Clock
    routes: RoutingTable
    upstreams: Upstreams
    relay: Relay
    capture: CaptureWriter | None
    holds: Holds
    door: Door
    in_flight: InFlight = field(default_factory=InFlight)
    mirrors: Mirrors = field(default_factory=Mirrors)
    meter: Meter = field(default_factory=Meter)
    tracer: Tracer = NO_TRACER
    draining: bool = False


STATION = web.AppKey("station", Station)
