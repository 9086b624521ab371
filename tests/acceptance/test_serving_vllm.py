"""Real vLLM, gateway and daemon under an agent that never pauses: what flips, what dies, what stays."""

import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fixtures.model_servers import BASE
from serving_house import WORKERS, Agent, Speaking, Vllm
from serving_speakers import Speakers

pytestmark = [pytest.mark.train, pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(900)]

ROUNDS = 250 if os.environ.get("FLYWHEEL_SOAK") else 25  # of four moves each

Make = Callable[[int], Speaking]


@pytest.fixture(scope="module")
def server(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vllm]:
    """One server for all of it."""
    server = Vllm("vllm", tiny_base, tmp_path_factory.mktemp("vllm") / "log")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def make(server: Vllm, tmp_path: Path) -> Iterator[Make]:
    """Make a home with a running gateway and a running daemon."""
    made: list[Speaking] = []

    def home(first: int) -> Speaking:
        world = Speaking(tmp_path / f"home-{first}", server, Speakers(server.base), first)
        made.append(world)
        world.start_gateway()
        world.start_daemon()
        return world

    yield home
    for world in made:
        world.close()


def canary(world: Speaking, agent: Agent) -> str:
    """A new version that has answered some of the sessions."""
    name = world.begin_canary()
    agent.hear(name)
    return name


def promoted(world: Speaking, agent: Agent) -> str:
    """A new version that answers all of them."""
    name = canary(world, agent)
    world.promote(name)
    return name


def answering(world: Speaking, agent: Agent) -> set[str]:
    """Who answers the calls from now on; every answer is whole."""
    return set(world.assert_nothing_mixed(agent.wait_for(40)))


def test_daemon_and_store_are_lost_and_requests_go_on(make: Make) -> None:
    """Both arms answer on when the store is deleted, when the daemon is killed, and from a gateway started after that.

    A new daemon on an empty store knows no adapter any more: the base answers, and no request is lost on the way.
    """
    world = make(301)
    with (agent := Agent(world.paths.gateway)).at_work():
        good, trial = promoted(world, agent), canary(world, agent)
        world.delete_store()
        assert answering(world, agent) == {good, trial}
        world.stop_daemon(signal.SIGKILL)
        assert answering(world, agent) == {good, trial}
    assert agent.errors == []
    world.restart_gateway()
    with (agent := Agent(world.paths.gateway)).at_work():
        assert answering(world, agent) == {good, trial}
        world.delete_store()
        world.start_daemon()
        world.until_points_at(BASE)
        agent.wait_for(WORKERS)  # these may have been on their way
        assert answering(world, agent) == {BASE}
    assert agent.errors == []
    world.assert_nothing_mixed(agent.answers)


def test_a_bad_canary_is_rolled_back_by_itself_and_stays_away(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """Its tasks fail, those of the active one do not: the daemon takes it back, within a second nobody asks it."""
    world = make(401)
    with (agent := Agent(world.paths.gateway)).at_work():
        good, bad = promoted(world, agent), canary(world, agent)
        told = 0
        while not world.events("rollout.adapter_rolled_back"):
            more = agent.wait_for(8)
            world.end_tasks(more, bad)
            told += len(more)
            assert told < 1000, world.log()
        world.until_points_at(good)
        agent.wait_for(WORKERS)
        assert answering(world, agent) == {good}
        world.stop_daemon()
        world.start_daemon()
        world.wait_for("serve.aliases_flipped")
        assert answering(world, agent) == {good}
    assert agent.errors == []
    world.assert_nothing_mixed(agent.answers)
    (event,), (lag,) = world.events("rollout.adapter_rolled_back"), world.lags()
    assert (event.subject, event.body.get("request")) == (bad, None)
    assert [row["state"] for row in world.rows("releases") if row["name"] == bad] == ["rolled back"]
    assert lag <= 5
    with capsys.disabled():
        print(f"\n  taken back after {told} tasks: {event.body['why']}; the last call to it came {lag:.3f} s later")


def test_the_server_is_killed_and_comes_back_with_all_aliases_right(
    make: Make, server: Vllm, capsys: pytest.CaptureFixture[str]
) -> None:
    """While nothing is there calls are refused in words; then the base answers, and then both arms as before."""
    world = make(501)
    with (agent := Agent(world.paths.gateway)).at_work():
        good, trial = promoted(world, agent), canary(world, agent)
        server.kill()
        world.wait_for("serve.server_failed")
        server.start()
        back = time.monotonic()
        world.until_points_at(good, trial)
        again = time.monotonic() - back
        agent.wait_for(WORKERS)
        assert answering(world, agent) == {good, trial}
    refused = [answer for answer in agent.answers if answer.status != 200]
    assert refused
    assert {answer.status for answer in refused} == {502}
    assert len(agent.errors) <= WORKERS, "more than the streams that were cut when it died"
    world.assert_nothing_mixed([answer for answer in agent.answers if answer.status == 200])
    assert set(world.loaded()) == {good, trial}
    assert world.wait_for("serve.server_recovered")
    with capsys.disabled():
        print(f"\n  {len(refused)} calls refused while it was away; aliases as before {again:.1f} s after its start")


def test_a_hundred_promotions_and_rollbacks_lose_no_request_and_mix_no_answers(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """New versions are promoted, taken back as active ones and taken back as canaries: each answer is one adapter's."""
    world = make(1)
    began = time.monotonic()
    with (agent := Agent(world.paths.gateway)).at_work():
        for _ in range(ROUNDS):
            stays, goes = promoted(world, agent), promoted(world, agent)
            world.roll_back(goes)
            world.until_points_at(stays)
            world.roll_back(canary(world, agent))
            world.until_points_at(stays)
    seconds = time.monotonic() - began
    assert agent.errors == []
    whose, lags = world.assert_nothing_mixed(agent.answers), world.lags()
    assert len(world.events("rollout.adapter_rolled_back")) == len(lags) == 2 * ROUNDS
    assert set(world.words) <= set(whose), "an adapter never spoke"
    assert statistics.median(lags) <= 1
    assert lags[-1] <= 5
    with capsys.disabled():
        print(
            f"\n  {4 * ROUNDS} moves in {seconds:.0f} s, {len(agent.answers)} answers of {len(whose)} models; a call "
            f"still went to what was taken back for {statistics.median(lags):.3f} s (median), {lags[-1]:.3f} s at most"
        )
