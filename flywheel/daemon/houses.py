"""The composition root: the one place that knows every room and hands each what it needs."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from flywheel.core.clocks import Clock
from flywheel.core.facts import Value
from flywheel.core.rooms import Room
from flywheel.core.routing import Fallback
from flywheel.core.serving import ModelServer
from flywheel.core.steps import Steps
from flywheel.core.traces import NO_TRACER, Tracer
from flywheel.core.training import Base
from flywheel.curate.climbs import ClimbRoom
from flywheel.curate.run import CurateRoom
from flywheel.daemon.bases import FOLDER, fused_in, known_bases
from flywheel.daemon.cycles import Cycle
from flywheel.daemon.echoes import Echo
from flywheel.daemon.idle_times import IdleTimes, IdleWindow
from flywheel.daemon.kills import kill_listener
from flywheel.daemon.lines import chosen_lines
from flywheel.daemon.pauses import Pausable, PauseRoom
from flywheel.daemon.places import policies_folder
from flywheel.daemon.settings import GpuSection, Settings
from flywheel.daemon.traces import TracedCycle, traced
from flywheel.daemon.treatments import Treatments
from flywheel.gate.run import Folders, GateRoom
from flywheel.gate.situations import ServerView
from flywheel.gateway.call_hours import calls_by_hour
from flywheel.gateway.keys import KeyFile, gateway_key_file
from flywheel.keep.restorations import refuse_half_restored
from flywheel.keep.run import KeepRoom
from flywheel.keep.situations import Retention
from flywheel.policy.guardrails import PolicySet
from flywheel.policy.loading import load_policies
from flywheel.proc.environments import TRAINER_KINDS, count_gpus, environment
from flywheel.proc.measures import GIB, free_disk
from flywheel.proc.telemetry import open_tracer
from flywheel.proc.tokens import read_token
from flywheel.rollout.run import RolloutRoom
from flywheel.serve.prunings import PruneRoom
from flywheel.serve.run import ServeRoom
from flywheel.serve.sharing import Terms
from flywheel.serve.sites import Site
from flywheel.sources.forgets import ForgetRoom
from flywheel.sources.run import SourcesRoom
from flywheel.sources.shadow_pairs import ShadowPairs
from flywheel.sources.write_backs import WriteBackRoom
from flywheel.store.requests import open_requests
from flywheel.store.stores import Store, open_store
from flywheel.train.fusions import FusionPlaces, FusionRoom
from flywheel.train.pins import Watch
from flywheel.train.preflight_looks import PreflightPlaces, Preflights
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
        self.tracer: Tracer = NO_TRACER

    def close(self) -> None:
        """Let go of the store, and send the last traces."""
        self.store.close()
        self.tracer.close()


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
        told = traced(rooms, base.tracer)
        cycle = Cycle(base.store, base.clock, told, lambda: policies, base.steps, base.echo.tell)
        self.cycle = TracedCycle(cycle, base.tracer)
        home = settings.home
        self.watched = [*(source.path for source in settings.sources), home / "capture.db", home / "bootstrap.db"]
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


def ground(settings: Settings, clock: Clock) -> Ground:
    """Open what outlives a reload."""
    refuse_half_restored(settings.home)
    path = os.environ.get("FLYWHEEL_KILL_FILE")
    steps = Steps(kill_listener(Path(path)) if path else None)
    tracer = open_tracer(settings.telemetry, "flywheel-daemon")
    base = Ground(open_store(settings.store_url, steps), clock, steps)
    base.tracer = tracer
    return base


def build_house(settings: Settings, base: Ground) -> House:
    """Build every room from the settings and the policies; any mistake in them is said before anything starts."""
    policies = load_policies(policies_folder(settings))
    lines = chosen_lines(settings, policies)
    home, store, clock = settings.home, base.store, base.clock
    bases = known_bases(settings)
    view = _server_view(settings, bases)
    treatments, standing = Treatments(store, lines, policies.remedies), Treatments(store, lines, {})
    sources = SourcesRoom(store, clock, settings.sources, lambda: lines, home / "capture.db", home / "bootstrap.db")
    sources.check()
    rooms: list[Room] = [
        ForgetRoom(store, clock, home),
        sources,
        ClimbRoom(store, clock, lambda: lines),
        CurateRoom(store, clock, treatments.lines, home / "datasets"),
        GateRoom(store, clock, lambda: lines, lambda: policies.gates, _folders(settings), lambda: view),
        _train(settings, base, treatments, bases),
        _fusions(settings, base, bases),
        RolloutRoom(store, clock, standing.lines, lambda: policies.rollouts, ShadowPairs(home / "capture.db").pairs),
        _serve(settings, base, standing, bases),
        PruneRoom(store, clock, _site(settings, base), fused_in(bases)),
        WriteBackRoom(store, clock, settings.sources, lambda: lines, (home / "datasets").absolute()),
        keep_room(settings, store, clock, fused_in(bases)),
    ]
    pauses = PauseRoom(store, clock, tuple(settings.lines), lambda: policies)
    return House(base, settings, policies, sources, [pauses, *(Pausable(room, store) for room in rooms)])


def keep_room(settings: Settings, store: Store, clock: Clock, fused: Collection[str]) -> KeepRoom:
    """Return the room that lets go of what nobody needs, alone."""
    keep = settings.keep
    retention = Retention(run_days=keep.run_days, trial_days=keep.trial_days, adapter_days=keep.adapter_days,
                          dataset_days=keep.dataset_days)  # fmt: skip
    return KeepRoom(store, clock, settings.home, retention, fused)


def _train(settings: Settings, base: Ground, treatments: Treatments, bases: Mapping[str, Base]) -> TrainRoom:
    idle, gpus = idle_times(settings, base.clock), count_gpus()

    def machine() -> dict[str, Value]:
        free = free_disk(settings.home) / GIB
        return {
            "machine.gpus": gpus,
            "machine.free_disk_gib": round(free, 1),
            "clock.in_idle_window": idle.is_idle(),
        }

    readings = Readings(base.store, base.clock, treatments.lines, bases, machine, treatments.applied)
    python = settings.train_python or environment("train").python
    home = settings.home
    others = {kind: environment(kind, "cuda" if gpus else "cpu").python for kind in TRAINER_KINDS}
    places = TrainPlaces(
        datasets=home / "datasets", runs=home / "runs", adapters=home / "adapters", python=python, others=others
    )
    return TrainRoom(base.store, base.clock, readings, places, preflights_of(settings, base, python))


def train_room(settings: Settings, base: Ground) -> TrainRoom:
    """Return the train room alone, for a look at what it would do."""
    policies = load_policies(policies_folder(settings))
    treatments = Treatments(base.store, chosen_lines(settings, policies), policies.remedies)
    return _train(settings, base, treatments, known_bases(settings))


def preflights_of(settings: Settings, base: Ground, python: Path) -> Preflights:
    """Return what checks runs before they start."""
    places = PreflightPlaces(
        datasets=settings.home / "datasets",
        runs=settings.home / "runs",
        python=python,
        servers=tuple(ModelServer(**server.model_dump()) for server in settings.servers),
        reclaims=settings.gpu.takes_turns,
        observe=settings.preflight.observe,
        home=settings.home,
    )
    return Preflights(base.store, base.clock, places)


def _serve(settings: Settings, base: Ground, standing: Treatments, bases: Mapping[str, Base]) -> ServeRoom:
    site = _site(settings, base)
    return ServeRoom(base.store, base.clock, standing.lines, bases, site, Watch(base.store).changed)


def _site(settings: Settings, base: Ground) -> Site:
    home = settings.home
    return Site(
        adapters=home / "adapters",
        servers=tuple(ModelServer(**server.model_dump()) for server in settings.servers),
        routing_file=home / "routing.json",
        gateway=_gateway(settings),
        gateway_key=KeyFile(gateway_key_file(home)).own_key,
        gpu=_terms(settings.gpu),
        is_idle=idle_times(settings, base.clock).is_idle,
        token=lambda: read_token(home),
    )


def idle_times(settings: Settings, clock: Clock) -> IdleTimes:
    """Return when a GPU may train; learned from the captured calls only where these meet a turn on the GPU."""
    window, capture = IdleWindow.parse(settings.daemon.idle_window), settings.home / "capture.db"
    learns = settings.gpu.learn_idle_hours and settings.gpu.takes_turns
    return IdleTimes(clock, window, (lambda since: calls_by_hour(capture, since)) if learns else None)


def _terms(gpu: GpuSection) -> Terms:
    url, model = gpu.fallback_url, gpu.fallback_model
    fallback = Fallback(url=url, model=model) if url and model else None
    return Terms(
        sharing=gpu.sharing,
        hold_seconds=gpu.hold_seconds,
        hold_calls=gpu.hold_calls,
        fallback=fallback,
        drain_seconds=gpu.drain_seconds,
        rest_seconds=gpu.rest_minutes * 60,
        start_seconds=gpu.start_seconds,
        stop=gpu.command("stop"),
        start=gpu.command("start"),
    )


def _gateway(settings: Settings) -> str:
    host = settings.gateway.host
    if not host:
        return f"unix:{settings.gateway.socket}"
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.gateway.port}"


def _server_view(settings: Settings, bases: Mapping[str, Base]) -> ServerView:
    return ServerView(
        url=settings.servers[0].url.rstrip("/"),
        bases={name: base.served_as for name, base in bases.items()},
        originals={name: base.lineage.original for name, base in bases.items() if base.lineage},
        servers={name: base.server.rstrip("/") for name, base in bases.items() if base.server},
    )


def _fusions(settings: Settings, base: Ground, bases: Mapping[str, Base]) -> FusionRoom:
    home = settings.home
    python = settings.train_python or environment("train").python
    places = FusionPlaces(adapters=home / "adapters", runs=home / "runs", bases=home / FOLDER, python=python)
    return FusionRoom(base.store, base.clock, bases, places, lambda: set(known_bases(settings)))


def _folders(settings: Settings) -> Folders:
    home = settings.home
    return Folders(
        datasets=home / "datasets", suites=home / "suites", measurements=home / "runs", reports=home / "reports",
        executor=settings.executor.socket or home / "executor.sock", workers=settings.executor.workers,
    )  # fmt: skip
