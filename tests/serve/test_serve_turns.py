"""The shared GPU goes to a training run and back, the agent first; whatever is interrupted, the next look mends it."""

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from serve_house import LINE, ScriptedGateway

from flywheel.core.jobs import Job, JobState
from flywheel.core.routing import Fallback, Routing
from flywheel.core.steps import Steps
from flywheel.proc import children
from flywheel.serve.sharing import Terms
from flywheel.store import jobs as job_rows
from flywheel.store.stores import open_store, sqlite_url
from flywheel.store.turns import turn_of

pytestmark = pytest.mark.asyncio

RUN = "run-1"
LEASE = timedelta(seconds=60)
TURN = ("serve.calls_held", "serve.server_rested", "serve.gpu_reclaimed", "serve.server_woken", "serve.calls_released")


class Stage:
    """A house with a gateway, and what happens to its GPU."""

    def __init__(self, house, gateway):
        self.house = house
        self.gateway = gateway

    @property
    def phase(self):
        """Whose turn it is."""
        with self.house.store.read() as session:
            return turn_of(session).phase

    @property
    def held(self):
        """What the gateway is told to hold for."""
        hold = Routing.parse(self.house.routing_file.read_bytes()).hold
        return hold.run if hold else None

    def job(self, name=RUN, state=JobState.QUEUED, kind="train"):
        """Enqueue a run."""
        folder = self.house.home / "runs" / name
        folder.mkdir(parents=True, exist_ok=True)
        job = Job(id=f"{kind}-{name}", kind=kind, line=LINE, subject=name, state=state, folder=str(folder))
        with self.house.store.write() as session:
            job_rows.enqueue(session, job)

    def end(self, name=RUN):
        """Let the run be done."""
        with self.house.store.write() as session:
            token = job_rows.take_over(session, f"train-{name}", self.house.clock.now(), LEASE)
            job_rows.finish(session, f"train-{name}", token)

    async def until(self, phase, most=8):
        """Run cycles until the turn has come so far."""
        for _ in range(most):
            if self.phase == phase:
                return
            await self.house.cycle()
        assert self.phase == phase, await self.house.waits()

    def told(self):
        """The turn's events, in order, with what the gateway was told between them."""
        return [event.kind for event in self.house.events(*TURN)]


@pytest.fixture
def shared(stage):
    """Give a house whose GPU is shared, with a gateway that can be asked."""

    @asynccontextmanager
    async def running(way="sleep", servers=1, **terms):
        async with stage(servers) as house, ScriptedGateway(house.routing_file).running() as gateway:
            house.gateway = gateway.url
            house.gpu = Terms(sharing=way, **terms)
            yield Stage(house, gateway)

    return running


async def test_a_turn_goes_there_and_back_in_its_order(shared):
    """Held, drained, asleep, trained, awake and asked, adapters warm again, released; nothing else changes."""
    async with shared() as stage:
        name = stage.house.active(1)
        await stage.house.settle()
        before = stage.house.pointed
        stage.job()
        await stage.until("yielding")
        assert stage.held is None, "the routing follows in the next look"
        await stage.until("resting")
        (server,) = stage.house.servers
        assert (stage.held, server.asleep, server.told) == (RUN, True, ["sleep"])
        await stage.house.cycle()
        assert (stage.phase, stage.house.pointed, await stage.house.waits()) == ("resting", before, "")
        stage.end()
        await stage.until("serving")
        await stage.house.settle()
        assert (stage.held, server.asleep, server.told, stage.house.pointed) == (None, False, ["sleep", "wake"], before)
        assert server.asked[-2:] == ["tiny-base", name]
        assert stage.told() == list(TURN)
        assert not stage.house.events("serve.server_failed")
        causes = stage.house.events(*TURN)
        assert [event.cause for event in causes[1:]] == [event.seq for event in causes[:-1]]


async def test_calls_on_their_way_end_first(shared):
    """The server is not put to sleep while a call is on its way, and not before the gateway has the routing."""
    async with shared() as stage:
        await stage.house.settle()
        stage.job()
        stage.gateway.version = 0
        await stage.until("yielding")
        await stage.house.cycle()
        await stage.house.cycle()
        assert "has not taken version" in await stage.house.waits()
        stage.gateway.version = None
        stage.gateway.calls["at_servers"] = 2
        await stage.house.cycle()
        assert stage.phase == "yielding"
        assert "2 calls on the way" in await stage.house.waits()
        stage.gateway.calls["at_servers"] = 0
        await stage.until("resting")


async def test_calls_that_do_not_end_in_time_are_not_cut(shared):
    """After the drain's limit the GPU stays with the agent, and the next turn is not tried at once."""
    async with shared(drain_seconds=60, rest_seconds=600) as stage:
        await stage.house.settle()
        stage.job()
        stage.gateway.calls["at_servers"] = 1
        await stage.until("yielding")
        await stage.house.cycle()
        stage.house.clock.advance(61)
        await stage.until("serving")
        await stage.house.settle()
        (server,) = stage.house.servers
        assert (server.told, stage.held) == ([], None)
        assert "ended early" in await stage.house.waits()
        stage.gateway.calls["at_servers"] = 0
        stage.house.clock.advance(600)
        await stage.until("resting")


async def test_a_call_without_a_fallback_ends_training_s_turn(shared):
    """A call that waited too long brings the server back; the run waits for another turn."""
    async with shared() as stage:
        await stage.house.settle()
        stage.job(state=JobState.RUNNING)
        await stage.until("resting")
        stage.gateway.calls["overdue"] = 1
        await stage.house.cycle()
        assert stage.phase == "returning"
        assert "no fallback" in stage.house.events("serve.gpu_reclaimed")[0].body["why"]
        await stage.until("serving")
        stage.gateway.calls["overdue"] = 0
        assert "ended early" in await stage.house.waits()


async def test_the_server_is_woken_only_when_the_run_s_process_has_ended(shared):
    """Two never have the GPU at once: while a process is at work in the run's folder, the server rests."""
    async with shared() as stage:
        await stage.house.settle()
        stage.job(state=JobState.RUNNING)
        await stage.until("resting")
        child = children.launch(["sleep", "60"], stage.house.home / "runs" / RUN, {})
        try:
            stage.gateway.calls["overdue"] = 1
            await stage.until("returning")
            await stage.house.cycle()
            assert (stage.phase, stage.house.servers[0].asleep) == ("returning", True)
            assert "still has a process" in await stage.house.waits()
        finally:
            child.kill()
            child.wait()
        await stage.until("serving")


async def test_the_end_of_the_idle_hours_ends_the_turn(shared):
    """Outside the idle hours no turn begins, and one that is under way ends."""
    async with shared() as stage:
        await stage.house.settle()
        stage.house.idle = False
        stage.job()
        await stage.house.cycle()
        assert (stage.phase, "the hour is the agent's" in await stage.house.waits()) == ("serving", True)
        stage.house.idle = True
        await stage.until("resting")
        stage.house.idle = False
        await stage.until("serving")
        assert stage.house.events("serve.gpu_reclaimed")[0].body["why"] == "the idle hours are over"


async def test_a_measurement_is_not_put_to_sleep(shared):
    """While a measurement asks the server, training waits."""
    async with shared() as stage:
        await stage.house.settle()
        stage.job("measure-1", JobState.RUNNING, "measure")
        stage.job()
        await stage.house.cycle()
        assert (stage.phase, "a measurement asks" in await stage.house.waits()) == ("serving", True)


async def test_a_server_that_cannot_sleep_is_never_held_for(shared):
    """Without the doors for it nothing is held; the wait says how to start the server."""
    async with shared() as stage:
        (server,) = stage.house.servers
        await server.stop()
        server.sleeps = False
        await server.start()
        await stage.house.settle()
        stage.job()
        await stage.house.cycle()
        assert (stage.phase, stage.held) == ("serving", None)
        assert "--enable-sleep-mode" in await stage.house.waits()


async def test_a_server_that_sleeps_for_nobody_is_woken(shared):
    """A state that nobody remembers is mended: asleep and no run means awake, with the adapters back first."""
    async with shared() as stage:
        name = stage.house.active(1)
        await stage.house.settle()
        (server,) = stage.house.servers
        server.asleep = True
        await stage.until("waking", most=1)
        await stage.house.settle()
        assert (stage.phase, server.asleep, stage.held, stage.house.pointed) == ("serving", False, None, {name: 1.0})


async def test_sharing_that_is_switched_off_gives_the_gpu_back(shared):
    """Settings that share no more end a turn under way."""
    async with shared() as stage:
        await stage.house.settle()
        stage.job()
        await stage.until("resting")
        stage.house.gpu = Terms()
        await stage.until("serving")
        assert not stage.house.servers[0].asleep


async def test_a_server_that_wakes_by_itself_is_put_to_sleep_again(shared):
    """In training's turn the GPU is the run's, whoever restarts the server."""
    async with shared() as stage:
        await stage.house.settle()
        stage.job()
        await stage.until("resting")
        (server,) = stage.house.servers
        server.asleep = False
        await stage.house.cycle()
        assert (stage.phase, server.asleep) == ("resting", True)
        assert stage.told() == list(TURN[:2])


async def test_stopping_and_starting_goes_the_same_way(shared, tmp_path):
    """With commands instead of sleep: a server that is down in its turn is no failure, and its adapters come back."""
    async with shared(
        "stop", stop=("touch", str(tmp_path / "stopped")), start=("touch", str(tmp_path / "started"))
    ) as stage:
        name = stage.house.active(1)
        await stage.house.settle()
        (server,) = stage.house.servers
        stage.job()
        await stage.until("yielding")
        await stage.house.cycle()
        await server.stop()  # as the command would have done
        await stage.until("resting")
        await stage.house.cycle()
        assert stage.house.pointed == {name: 1.0}, "calls are held; nothing is pointed elsewhere"
        stage.end()
        await stage.until("waking")
        assert (tmp_path / "started").exists()
        await stage.house.cycle()
        assert (stage.phase, "is starting" in await stage.house.waits()) == ("waking", True)
        await server.start()
        await stage.until("checking")
        await stage.house.settle()
        assert (stage.phase, stage.house.pointed, stage.held) == ("serving", {name: 1.0}, None)
        assert not stage.house.events("serve.server_failed")
        assert stage.told() == list(TURN)


async def test_a_command_that_fails_is_told_in_its_own_words(shared):
    """What the operator's command said last is the reason."""
    argv = ("sh", "-c", "echo no such unit; exit 5")
    async with shared("stop", stop=argv, start=argv) as stage:
        await stage.house.settle()
        stage.job()
        await stage.until("yielding")
        await stage.house.cycle()
        with pytest.raises(Exception, match="no such unit"):
            await stage.house.cycle()
        assert stage.phase == "yielding"


async def test_an_adapter_that_does_not_come_back_keeps_nobody_waiting(shared):
    """After a while calls go through to the base, and the reconciler goes on trying."""
    async with shared() as stage:
        stage.house.active(1)
        await stage.house.settle()
        stage.job()
        await stage.until("resting")
        (server,) = stage.house.servers
        server.adapters.clear()
        server.load_status = 503
        stage.end()
        await stage.until("checking")
        await stage.house.cycle()
        assert stage.phase == "checking"
        stage.house.clock.advance(5)
        await stage.until("serving")
        await stage.house.cycle()
        assert (stage.held, stage.house.pointed) == (None, {"tiny-base": 1.0})


async def test_the_hold_carries_the_operator_s_terms(shared):
    """Limits and fallback of the settings stand in the routing file."""
    fallback = Fallback(url="http://127.0.0.1:9", model="small")
    async with shared(hold_seconds=7, hold_calls=3, fallback=fallback) as stage:
        await stage.house.settle()
        stage.job()
        await stage.until("resting")
        hold = Routing.parse(stage.house.routing_file.read_bytes()).hold
        assert (hold.run, hold.seconds, hold.calls, hold.fallback) == (RUN, 7, 3, fallback)


class CutError(Exception):
    """The daemon is gone."""


class Knife:
    """Ends the daemon at the n-th boundary between one durable change and the next."""

    def __init__(self):
        self.left = 0

    def __call__(self, boundary):
        """Pass a boundary."""
        self.left -= 1
        if self.left == 0:
            raise CutError


async def a_turn(stage, knife, number, cut_at):
    """Let a run have its turn, with the daemon gone at one boundary; tell whether it came so far."""
    run, ended, was_cut = f"run-{number}", False, False
    stage.job(run)
    knife.left = cut_at
    for _ in range(40):
        try:
            await stage.house.cycle()
        except CutError:
            was_cut = True
        if stage.phase == "resting" and not ended:
            left, knife.left = knife.left, 0
            stage.end(run)
            ended, knife.left = True, left
        if ended and stage.phase == "serving" and stage.held is None:
            knife.left = 0
            return was_cut
    raise AssertionError(f"cut at boundary {cut_at}, it never came to its end: {stage.phase}")


async def test_cut_at_every_write_a_turn_ends_as_if_nothing_had_happened(shared, house, tmp_path):
    """A daemon that dies at any boundary of a turn leaves what the next one mends: all events once, in their order."""
    house.store.close()
    knife = Knife()
    house.store = open_store(sqlite_url(tmp_path / "again.db"), Steps(knife))
    async with shared() as stage:
        await stage.house.settle()
        number = 1
        while await a_turn(stage, knife, number, cut_at=number):
            assert stage.told()[-len(TURN) :] == list(TURN), number
            assert not stage.house.servers[0].asleep
            number += 1
        assert number > 10, "a turn has more boundaries than that"
        assert len(stage.told()) == number * len(TURN)
    house.store.close()
