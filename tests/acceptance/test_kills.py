"""The loop with the daemon killed at every boundary, beside the same loop left in peace."""

import asyncio
import time
from pathlib import Path

import pytest
from acceptance_house import Model, World, assert_nothing_torn, final_state, once_only

pytestmark = [pytest.mark.train, pytest.mark.slow, pytest.mark.timeout(1500)]

PATIENCE = 900
# About six batches decide a canary. All of them together stay below the 400 fresh examples of a second dataset: how
# often a thing happens is counted here, and must not depend on how long a slow machine feeds its canary.
BATCH, BATCHES = 30, 10


def drive(world: World, kills: Path | None) -> int:
    """Bring a world from its first outcome to a promotion, whatever happens to the daemon; return its deaths."""
    env = {"FLYWHEEL_KILL_FILE": str(kills)} if kills else {}
    world.start_gateway()
    world.raise_daemon(**env)
    approved, fed, deaths, end = False, 0, 0, time.monotonic() + PATIENCE
    while not _settled(world):
        assert time.monotonic() < end, world.log()
        if world.daemon is not None and world.daemon.poll() is not None:
            assert world.daemon.returncode == -9, world.log()
            deaths += 1
            world.raise_daemon(**env)
        if not approved and world.has_seen("rollout.canary_started"):
            world.run("adapters", "approve", world.events("rollout.canary_started")[0].subject, "--wait", "0")
            approved = True
        if fed < BATCHES and any(arm.role == "canary" for arm in world.arms()) and world.caught_up():
            asyncio.run(world.agent.work(world.tasks(3000 + BATCH * fed, BATCH), record=True))
            fed += 1
        time.sleep(0.1)
    return deaths


def _settled(world: World) -> bool:
    if not world.has_seen("rollout.adapter_promoted") or [arm.role for arm in world.arms()] != ["active"]:
        return False
    active = world.arms()[0].model
    if "@" not in active or world.daemon is None or world.daemon.poll() is not None:
        return False
    time.sleep(3)  # one more death may come with the last steps
    return world.daemon.poll() is None


def test_killed_at_every_boundary_the_loop_ends_as_if_nothing_had_happened(
    model: Model, tmp_path: Path, world: World
) -> None:
    """A kill at any step boundary, one after the other, changes nothing: same data, same bytes, same releases."""
    kills = tmp_path / "kills.txt"
    world.write_lessons()
    deaths = drive(world, kills)
    deaths += world.stop_daemon() == -9  # it may die of its last words, too
    boundaries = kills.read_text().splitlines()
    assert deaths == len(boundaries) == len(set(boundaries))
    for scope in ("sources.ingest_outcomes", "curate.admit_examples", "curate.freeze_dataset", "gate.freeze_suite",
                  "decide train.start_run", "train.start_run", "work on train", "run train", "end train",
                  "train.publish_adapter", "rollout.register_adapter", "serve.load_adapter", "gate.measure_adapter",
                  "work on measure", "gate.judge_adapter", "rollout.start_canary", "serve.flip_aliases",
                  "rollout.approve_adapter", "rollout.promote_adapter"):  # fmt: skip
        assert any(line.startswith(f"{scope}:") for line in boundaries), f"no kill inside {scope}"
    disturbed, counted = final_state(world), once_only(world)
    assert_nothing_torn(world)
    assert set(counted.values()) == {1}, counted
    for name in world.loaded():
        world.unload(name)

    peaceful = World(tmp_path / "peaceful", model)
    try:
        peaceful.write_lessons()
        assert drive(peaceful, None) == 0
        peaceful.stop_daemon()
        assert final_state(peaceful) == disturbed
        assert once_only(peaceful) == counted
    finally:
        peaceful.close()
