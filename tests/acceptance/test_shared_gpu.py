"""One GPU for two: an agent that calls without pause sees no error while training has its turn, whatever dies."""

import asyncio
import json
import sqlite3
import statistics
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from acceptance_house import LINE, World

from flywheel.gateway.doubles import UpstreamDouble

pytestmark = [pytest.mark.train, pytest.mark.timeout(600)]

SMALL = "small-model"
TURN = ("serve.calls_held", "serve.server_rested", "serve.gpu_reclaimed", "serve.server_woken", "serve.calls_released")
TURN_STEPS = ("serve.hold_calls", "serve.rest_server", "serve.reclaim_gpu", "serve.wake_server", "serve.ask_server",
              "serve.release_calls", "serve.flip_aliases")  # fmt: skip


#: Everything else that happens meanwhile; tests/acceptance/test_kills.py kills there.
OTHER_STEPS = (
    "sources.ingest_outcomes", "curate.admit_examples", "curate.freeze_dataset", "curate.report_superseded",
    "gate.freeze_suite", "decide serve.hold_calls", "decide train.start_run", "train.start_run", "work on train",
    "run train", "end train", "train.publish_adapter", "rollout.register_adapter", "serve.load_adapter",
    "serve.check_server", "decide gate.measure_adapter", "gate.measure_adapter", "work on measure", "run measure",
    "end measure", "gate.judge_adapter", "outside",
)  # fmt: skip


class Answer(NamedTuple):
    """One call as the agent saw it."""

    began: float
    ended: float
    status: int
    model: str
    held: float


class Agent:
    """Calls the gateway without pause, in three sessions, whole answers and streams."""

    def __init__(self, gateway: str) -> None:
        self._url = f"{gateway}/v1/chat/completions"
        self._going = threading.Event()
        self.answers: list[Answer] = []
        self.errors: list[str] = []

    @contextmanager
    def at_work(self) -> Iterator["Agent"]:
        """Call until the block ends; what is on its way then is waited for."""
        self._going.set()
        threads = [threading.Thread(target=self._call_on, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._going.clear()
            for thread in threads:
                thread.join()

    def _call_on(self, number: int) -> None:
        body = {"model": LINE, "max_tokens": 8, "stream": number == 1,
                "messages": [{"role": "user", "content": "Show src/cache.py"}]}  # fmt: skip
        headers = {"Content-Type": "application/json", "x-session-id": f"session-{number}"}
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)
        while self._going.is_set():
            began = time.time()
            try:
                with urllib.request.urlopen(request, timeout=120) as response:
                    text, told = response.read().decode(), response.headers
                    whole = text.endswith("[DONE]\n\n") if number == 1 else bool(json.loads(text)["choices"])
                    answer = Answer(began, time.time(), response.status, told["x-flywheel-model"],
                                    float(told["x-flywheel-held"] or 0))  # fmt: skip
                    self.answers.append(answer)
                    if not whole:
                        self.errors.append(f"a torn answer: {text[-200:]}")
            except (OSError, ValueError) as error:
                self.errors.append(f"{type(error).__name__}: {error}")
            time.sleep(0.1)


@pytest.fixture
def fallback() -> Iterator[str]:
    """A server elsewhere, in a thread of its own."""
    loop, ready, origin = asyncio.new_event_loop(), threading.Event(), []
    stop = asyncio.Event()

    async def serve() -> None:
        async with UpstreamDouble({SMALL}).running() as double:
            origin.append(double.origin)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    yield origin[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def share(world: World, **settings: object) -> None:
    """Let serving and training share the GPU by sleep; an agent that never rests is no obstacle."""
    path = world.paths.config
    text = path.read_text().partition("[gpu]")[0]
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"sharing": "sleep", **settings}.items()]
    path.write_text("\n".join([text.rstrip(), "", "[gpu]", *lines, ""]))
    rail = world.home / "policies" / "guardrails" / "quiet-before-training.toml"
    rail.write_text(rail.read_text().replace("value = 5 ", "value = 0 "))


def count(world: World, kind: str) -> int:
    """How often something happened; looked up cheaply, because it is asked again and again."""
    with closing(sqlite3.connect(f"file:{world.home / 'flywheel.db'}?mode=ro", uri=True)) as ledger:
        return int(ledger.execute("SELECT count(*) FROM ledger WHERE kind = ?", (kind,)).fetchone()[0])


def kinds(world: World, *more: str) -> list[str]:
    """The turn's events, in the ledger's order."""
    return [event.kind for event in world.events(*TURN, *more)]


def assert_in_order(world: World, *wanted: str) -> None:
    """The newest of each kind came one after the other; what else happened between them is another's business."""
    numbers = [world.events(kind)[-1].seq or 0 for kind in wanted]
    assert numbers == sorted(numbers), dict(zip(wanted, numbers, strict=True))


def assert_the_server_was_left_in_peace(world: World, agent: Agent) -> None:
    """No call was at the server between its falling asleep and its return."""
    rested = [event.at.timestamp() for event in world.events("serve.server_rested")]
    woken = [event.at.timestamp() for event in world.events("serve.server_woken")]
    assert len(rested) == len(woken)
    for answer in agent.answers:
        sent = answer.began + answer.held
        for begin, end in zip(rested, woken, strict=True):
            assert answer.model == SMALL or answer.ended <= begin + 0.1 or sent >= end - 0.1, answer


def figures(answers: list[Answer]) -> str:
    """How long calls were held, for the documents."""
    held = sorted(answer.held for answer in answers if answer.held)
    stood_in = sum(answer.model == SMALL for answer in answers)
    cut = statistics.quantiles([*held, *held], n=100)
    return (f"{len(answers)} calls, {len(held)} held, {stood_in} answered by the fallback; "
            f"held p50 {cut[49]:.2f} s, p99 {cut[98]:.2f} s, longest {held[-1]:.2f} s")  # fmt: skip


def until_released(world: World, times: int, seconds: float = 240) -> None:
    """Wait until so many turns are over and the gateway was told."""
    end = time.monotonic() + seconds
    while count(world, "serve.calls_released") < times or '"hold"' in (world.home / "routing.json").read_text():
        assert time.monotonic() < end, world.log()
        time.sleep(0.2)
    time.sleep(1)  # the agent goes on


def ready_to_train(world: World) -> None:
    """Bring a world to where a run waits for its turn, and stop the daemon."""
    share(world, rest_minutes=600)
    rail = world.home / "policies" / "guardrails" / "quiet-before-training.toml"
    rail.write_text(rail.read_text().replace("value = 0 ", "value = 600 "))
    world.write_lessons()
    world.start_gateway()
    world.start_daemon()
    world.wait_for("policy.intent_held", subject=world.wait_for("train.run_started").subject)
    assert world.stop_daemon() == 0
    rail.write_text(rail.read_text().replace("value = 600 ", "value = 0 "))


def test_an_agent_that_calls_without_pause_sees_no_error_in_two_turns(
    world: World, fallback: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """First nobody else answers: the run is paused, the server is back. With a fallback the run ends its work.

    The turn's steps stand in their order, calls on their way end first, no call is at a server that sleeps, and nobody
    waits for the run where another answers.
    """
    share(world, hold_seconds=3, rest_minutes=0.3)
    world.write_lessons()
    world.start_gateway()
    agent = Agent(world.paths.gateway)
    with agent.at_work():
        world.start_daemon()
        world.wait_for("serve.calls_held")
        until_released(world, 1)
        world.wait_for("train.run_paused")
        assert world.stop_daemon() == 0
        alone, first = figures(agent.answers), len(agent.answers)
        assert kinds(world) == list(TURN)
        assert_in_order(world, "serve.server_rested", "serve.gpu_reclaimed", "train.run_paused")
        assert "no fallback answered" in world.events("serve.gpu_reclaimed")[0].body["why"]
        share(world, hold_seconds=1, rest_minutes=0.3, fallback_url=fallback, fallback_model=SMALL)
        world.start_daemon()
        until_released(world, 2)
    assert agent.errors == []
    assert SMALL not in {answer.model for answer in agent.answers[:first]}
    assert SMALL in {answer.model for answer in agent.answers[first:]}
    assert agent.answers[-1].model == "tiny-base"
    assert max(answer.held for answer in agent.answers[first:]) < 10  # a second, and what a busy machine adds
    assert kinds(world) == [*TURN, *TURN]
    assert_in_order(world, "train.run_paused", "serve.server_rested", "train.run_resumed", "serve.gpu_reclaimed")
    assert world.wait_for("train.run_finished")
    assert_the_server_was_left_in_peace(world, agent)
    assert world.stop_daemon() == 0
    with capsys.disabled():
        print(f"\n  no fallback, 3 s: {alone}\n  fallback after 1 s: {figures(agent.answers[first:])}")


def test_a_daemon_killed_at_every_step_of_a_turn_is_not_noticed(
    world: World, fallback: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The daemon dies before and after each write of a turn: the agent sees nothing, and the run ends.

    Before the write is after its effect: the server sleeps already, or is awake already, and nobody knows.
    """
    ready_to_train(world)
    share(world, hold_seconds=1, fallback_url=fallback, fallback_model=SMALL)
    kills = tmp_path / "kills.txt"
    moments = ["begin", "end", *(f"{when} write {number}" for when in ("before", "after") for number in range(1, 6))]
    passed = [f"{scope}: {moment}\n" for scope in OTHER_STEPS for moment in moments]
    kills.write_text("".join([*passed, *(f"{scope}: {moment}\n" for scope in TURN_STEPS for moment in moments[:2])]))
    known, deaths, agent = len(kills.read_text().splitlines()), 0, Agent(world.paths.gateway)
    with agent.at_work():
        world.raise_daemon(FLYWHEEL_KILL_FILE=str(kills))
        end = time.monotonic() + 300
        while not (count(world, "serve.calls_released") and '"hold"' not in (world.home / "routing.json").read_text()):
            assert time.monotonic() < end, world.log()
            if world.daemon is not None and world.daemon.poll() is not None:
                deaths += 1
                world.raise_daemon(FLYWHEEL_KILL_FILE=str(kills))
            time.sleep(0.1)
    died_at = kills.read_text().splitlines()[known:]
    assert agent.errors == []
    assert {boundary.partition(":")[0] for boundary in died_at} >= set(TURN_STEPS), died_at
    assert deaths >= 2 * len(TURN_STEPS) - 1  # the last may come when all is over
    assert kinds(world) == list(TURN)
    assert_the_server_was_left_in_peace(world, agent)
    assert len(world.rows("adapters")) == 1
    with capsys.disabled():
        print(f"\n  {deaths} deaths of the daemon: {figures(agent.answers)}")
