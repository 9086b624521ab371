"""The composition root: the one place that knows every room and hands each what it needs."""

import os
from collections.abc import Mapping
from datetime import datetime, time
from pathlib import Path

from flywheel.core.clocks import Clock
from flywheel.core.errors import SettingsError
from flywheel.core.facts import Value
from flywheel.core.frozen import Frozen
from flywheel.core.lines import Line
from flywheel.core.rooms import Room
from flywheel.core.serving import ModelServer
from flywheel.core.steps import Steps
from flywheel.curate.run import CurateRoom
from flywheel.daemon.cycles import Cycle
from flywheel.daemon.echoes import Echo
from flywheel.daemon.kills import kill_listener
from flywheel.daemon.places import policies_folder
from flywheel.daemon.settings import Settings
from flywheel.gate.run import Folders, GateRoom
from flywheel.gate.situations import ServerView
from flywheel.policy.guardrails import PolicySet
from flywheel.policy.loading import load_policies
from flywheel.proc.environments import count_gpus, environment
from flywheel.rollout.run import RolloutRoom
from flywheel.serve.run import ServeRoom
from flywheel.serve.sites import Site
from flywheel.sources.forgets import ForgetRoom
from flywheel.sources.run import SourcesRoom
from flywheel.sources.write_backs import WriteBackRoom
from flywheel.store.requests import open_requests
from flywheel.store.stores import Store, open_store
from flywheel.train.readings import Readings
from flywheel.train.run import TrainPlaces, TrainRoom


class Ground:
    """What outlives a reload: the store, the clock, the boundaries."""

    def __init__(self, store: Store, clock: Clock, steps: Steps) -> None:
        """Keep them."""
        self.store = store
        self.clock = clock
        self.steps = steps
        self.echo = Echo(store)


class House:
    """All rooms under one set of settings and policies."""

    def __init__(  # it is the whole house
        self,
        base: Ground,
        settings: Settings,
        policies: PolicySet,
        sources: SourcesRoom,
        rooms: list[Room],
    ) -> None:
        """Join the rooms in the order of the loop."""
        self.policies = policies
        self.cycle = Cycle(base.store, base.clock, rooms, lambda: policies, base.steps, base.echo.tell)
        self.watched = [source.path for source in settings.sources] + [settings.home / "capture.db"]
        self._store = base.store
        self._sources = sources
        self._asked = ""

    def changed(self) -> bool:
        """Tell, cheaply, whether a source changed or a person asked for something new."""
        with self._store.read() as session:
            asked = ",".join(request.id for request in open_requests(session))
        news = asked not in {self._asked, ""}
        self._asked = asked
        return news or self._sources.changed()

    def look_fully(self) -> None:
        """Let the next cycle read every source again from the beginning."""
        self._sources.ask_full_look()

    def close(self) -> None:
        """Let go of files and connections."""
        self._sources.close()


class IdleWindow(Frozen):
    """The hours in which a GPU may train, in local time; none means always."""

    begin: time | None = None
    end: time | None = None

    @classmethod
    def parse(cls, text: str | None) -> "IdleWindow":
        """Read `22:00-06:00`."""
        if text is None:
            return cls()
        try:
            begin, _, end = text.partition("-")
            return cls(begin=time.fromisoformat(begin), end=time.fromisoformat(end))
        except ValueError as error:
            raise SettingsError(f"daemon.idle_window {text!r} is not a window", "write it as 22:00-06:00") from error

    def holds(self, now: datetime) -> bool:
        """Tell whether a moment lies in the window, which may pass midnight; from an hour to itself is a whole day."""
        if self.begin is None or self.end is None or self.begin == self.end:
            return True
        local = now.astimezone().time()
        if self.begin <= self.end:
            return self.begin <= local < self.end
        return local >= self.begin or local < self.end


def ground(settings: Settings, clock: Clock) -> Ground:
    """Open what outlives a reload."""
    path = os.environ.get("FLYWHEEL_KILL_FILE")
    steps = Steps(kill_listener(Path(path)) if path else None)
    return Ground(open_store(settings.store_url, steps), clock, steps)


def build_house(settings: Settings, base: Ground) -> House:
    """Build every room from the settings and the policies; any mistake in them is said before anything starts."""
    policies = load_policies(policies_folder(settings))
    lines = chosen_lines(settings, policies)
    home, store, clock = settings.home, base.store, base.clock
    sources = SourcesRoom(store, clock, settings.sources, lambda: lines, home / "capture.db")
    sources.check()
    rooms: list[Room] = [
        ForgetRoom(store, clock, home),
        sources,
        CurateRoom(store, clock, lambda: lines, home / "datasets"),
        GateRoom(store, clock, lambda: lines, lambda: policies.gates, _folders(home), lambda: _server_view(settings)),
        _train(settings, base, lines),
        RolloutRoom(store, clock, lambda: lines, lambda: policies.rollouts),
        _serve(settings, base, lines),
        WriteBackRoom(store, clock, settings.sources, lambda: lines, (home / "datasets").absolute()),
    ]
    return House(base, settings, policies, sources, rooms)


def chosen_lines(settings: Settings, policies: PolicySet) -> Mapping[str, Line]:
    """Return the lines the settings switch on, each with a base, a gate and a rollout that exist."""
    for name in settings.lines:
        if name not in policies.lines:
            raise SettingsError(
                f"settings switch on line {name!r}, which no policy declares",
                f"lines declared: {', '.join(sorted(policies.lines)) or 'none'}",
            )
        base = policies.lines[name].base
        if base not in settings.bases:
            raise SettingsError(
                f"line {name!r} learns on base {base!r}, which the settings do not define", f"add [bases.{base}]"
            )
    return {name: policies.lines[name] for name in settings.lines}


def _train(settings: Settings, base: Ground, lines: Mapping[str, Line]) -> TrainRoom:
    window, gpus = IdleWindow.parse(settings.daemon.idle_window), count_gpus()

    def machine() -> dict[str, Value]:
        return {"machine.gpus": gpus, "clock.in_idle_window": window.holds(base.clock.now())}

    readings = Readings(base.store, base.clock, lambda: lines, settings.base_models(), machine)
    python = settings.train_python or environment("train").python
    home = settings.home
    places = TrainPlaces(datasets=home / "datasets", runs=home / "runs", adapters=home / "adapters", python=python)
    return TrainRoom(base.store, base.clock, readings, places)


def _serve(settings: Settings, base: Ground, lines: Mapping[str, Line]) -> ServeRoom:
    home = settings.home
    site = Site(
        adapters=home / "adapters",
        servers=tuple(ModelServer(**server.model_dump()) for server in settings.servers),
        routing_file=home / "routing.json",
        gateway=_gateway(settings),
    )
    return ServeRoom(base.store, base.clock, lambda: lines, settings.base_models(), site)


def _gateway(settings: Settings) -> str:
    host = settings.gateway.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.gateway.port}"


def _server_view(settings: Settings) -> ServerView:
    bases = {name: base.served_as for name, base in settings.bases.items()}
    return ServerView(url=settings.servers[0].url.rstrip("/"), bases=bases)


def _folders(home: Path) -> Folders:
    return Folders(
        datasets=home / "datasets", suites=home / "suites", measurements=home / "runs", reports=home / "reports"
    )
