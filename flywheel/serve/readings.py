"""Takes serving's readings: the impure half of `facts`."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from sqlmodel import Session

from flywheel.core.clocks import Clock
from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.core.lines import Line
from flywheel.core.releases import Release, ReleaseState, previous_of
from flywheel.core.routing import Routing
from flywheel.core.serving import Loaded, ModelServer, Published
from flywheel.core.training import Base
from flywheel.serve.desires import leaving
from flywheel.serve.facts import GatewayView, LineView, ServerView, Situation
from flywheel.serve.gpus import asks_for_sleep, gpu_view, may_be_down
from flywheel.serve.servers import ServerDownError, ServerError, ServerSlowError, gateway_state
from flywheel.serve.sharing import GpuView
from flywheel.serve.sites import Site
from flywheel.store.contests import running_contest
from flywheel.store.ledger import last_event
from flywheel.store.loaded import last_routing, loaded
from flywheel.store.releases import releases
from flywheel.store.runs import adapter_by_name
from flywheel.store.stores import Store

Lines = Callable[[], Mapping[str, Line]]

HEALTH_EVENTS = ("serve.server_failed", "serve.server_recovered")
_NEEDED = frozenset({ReleaseState.REGISTERED, ReleaseState.SHADOW, ReleaseState.CANARY, ReleaseState.ACTIVE})


class Known(Frozen):
    """What the store says, in one moment."""

    lines: tuple[LineView, ...]
    loaded: tuple[Loaded, ...]
    health: dict[str, Event]
    published: Published | None
    gpu: GpuView = GpuView()


class Readings:
    """Reads the store, the servers and the gateway into a `Situation`."""

    def __init__(self, store: Store, clock: Clock, lines: Lines, bases: Mapping[str, Base], site: Site) -> None:
        """Read these lines and bases at this site."""
        self.lines = lines
        self.bases = bases
        self._store = store
        self._clock = clock
        self._site = site

    async def situation(self) -> Situation:
        """Return how things stand now. A server that does not answer is a reading, too."""
        known = await asyncio.to_thread(self._known)
        views = await asyncio.gather(*(self._look(server, known) for server in self._site.servers))
        situation = Situation(
            now=self._clock.now(),
            lines=known.lines,
            servers=tuple(views),
            published=known.published,
            file_is_published=known.published is not None and self._file_holds(known.published.routing),
            grace_seconds=self._site.grace_seconds,
            gpu=known.gpu,
        )
        turning = known.gpu.wanted or not known.gpu.turn.is_serving
        if turning or any(leaving(view, situation) for view in views):
            # Only a turn on the GPU, or somebody about to be unloaded, makes the gateway's word worth asking for.
            return situation.model_copy(update={"gateway": await self._gateway()})
        return situation

    def _known(self) -> Known:
        with self._store.read() as session:
            told = {server.url: health_of(session, server.url) for server in self._site.servers}
            return Known(
                lines=tuple(self._line(session, line) for line in self.lines().values()),
                loaded=tuple(loaded(session)),
                health={url: event for url, event in told.items() if event is not None},
                published=last_routing(session),
                gpu=gpu_view(session, self._site),
            )

    def _line(self, session: Session, line: Line) -> LineView:
        found = releases(session, line.name)
        previous, contest = previous_of(found), running_contest(session, line.name)
        names = contest.names if contest else ()
        needed = [one for one in found if one.state in _NEEDED or one == previous or one.name in names]
        paths = {release.name: path for release in needed if (path := self._path(session, release)) is not None}
        base = self.bases.get(line.base)
        return LineView(line=line, base=base, releases=tuple(found), paths=paths, contest=contest)

    def _path(self, session: Session, release: Release) -> str | None:
        adapter = adapter_by_name(session, release.name)
        return str(self._site.folder(adapter.path)) if adapter else None

    async def _look(self, server: ModelServer, known: Known) -> ServerView:
        event = known.health.get(server.url)
        view = ServerView(
            server=server,
            health="answers",
            loaded=tuple(entry for entry in known.loaded if entry.server == server.url),
            called_failed=event is not None and event.kind == "serve.server_failed",
            cause=event.seq if event else None,
        )
        try:
            async with self._site.client(server.url) as client:
                models = await client.models()
                asleep = await client.is_sleeping() if asks_for_sleep(known.gpu) else None
        except ServerError as error:
            resting = isinstance(error, ServerDownError) and may_be_down(known.gpu, self._clock.now())
            return view.model_copy(update={"health": "resting" if resting else _health(error), "reason": str(error)})
        view = view.model_copy(update={"models": models, "can_sleep": asleep is not None, "asleep": asleep is True})
        return view.model_copy(update={"health": "resting"}) if asleep else self._with_base(view)

    def _with_base(self, view: ServerView) -> ServerView:
        """Return the view, wrong when the server serves no line's base."""
        bases = {base.served_as for line in self.lines().values() if (base := self.bases.get(line.base)) is not None}
        if not bases or bases & view.names:
            return view
        served = ", ".join(sorted(model.name for model in view.models if model.parent is None)) or "nothing"
        reason = f"{view.url} serves {served}, and no line's base is among that — check served_as in the settings"
        return view.model_copy(update={"health": "wrong", "reason": reason, "models": ()})

    def _file_holds(self, routing: Routing) -> bool:
        try:
            return self._site.routing_file.read_bytes() == routing.dump()
        except OSError:
            return False

    async def _gateway(self) -> GatewayView | None:
        if self._site.gateway is None:
            return None
        state = await gateway_state(self._site.gateway, self._site.gateway_key())
        if state is None:
            return None
        try:
            return GatewayView(version=state["version"], in_flight=state["in_flight"], **_calls(state))
        except (KeyError, ValueError):
            return None


def health_of(session: Session, url: str) -> Event | None:
    """Return the last event that said whether a server answers."""
    return last_event(session, kinds=HEALTH_EVENTS, subject=url)


def _calls(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the gateway says of calls held and on their way; one from before there were holds says nothing."""
    calls = state.get("calls")
    names = ("at_servers", "overdue", "quiet_seconds")
    return {name: calls[name] for name in names if name in calls} if isinstance(calls, dict) else {}


def _health(error: ServerError) -> str:
    if isinstance(error, ServerDownError):
        return "down"
    return "slow" if isinstance(error, ServerSlowError) else "wrong"
