"""Every attack is contained: judged by the host, by what is left running, and by what the next test finds."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from attack_cgroups import Group
from attack_house import SLOW, Attack, Guarded, attacks, faults, guarded, look_around, strike
from attack_worlds import Room, World, orphanage

from flywheel.sandbox.clients import Executor
from flywheel.sandbox.doubles import PlainExecutor

SOAK = bool(os.environ.get("FLYWHEEL_SOAK"))
TIMES = 20 if SOAK else 1
#: As a command, most attacks meet the same walls as a script: the short run brings those that its own processes help.
BY_COMMAND = {
    "becomes_root", "child_holds_output", "connects", "daemon_outlives", "exec_bomb", "exhausts_descriptors",
    "fills_the_disk", "floods_both_streams", "fork_bomb", "fork_bomb_in_sessions", "ignores_signals", "keys",
    "kills_everybody", "kills_its_elders", "kills_the_victim", "leaves_hard_rubbish", "leaves_ipc", "leaves_modules",
    "makes_namespaces", "memory_bomb_of_many", "memory_by_shared_maps", "mounts", "prints_frames", "races_links",
    "reads_the_secret", "steals_descriptors", "stops_its_elders", "traces", "writes_by_links", "writes_others_memory",
}  # fmt: skip
#: What may be run without a box, because it only reaches what is put there for it.
HARMLESS = ("connects", "connects_abstract", "connects_unix", "reads_the_secret", "kills_the_victim", "leaves_ipc")
CHOSEN = [attack for attack in attacks() if SOAK or attack.mode != "command" or attack.name in BY_COMMAND]
#: What a limit on every process does not bound: only a control group does, as the unit has one.
NEED_A_GROUP = {"memory_bomb_of_many", "memory_by_shared_maps", "memory_by_pipes"}


class Arena:
    """An executor, what lies around it, and what its honest tests find."""

    def __init__(self, guard: Guarded, world: World, runner: asyncio.Runner) -> None:
        """Start; the first look around is what every later one must be."""
        self.guard, self.world, self._runner = guard, world, runner
        self.client: Executor = runner.run(guard.ready())
        looks = {runner.run(look_around(self.client)) for _ in range(3)}
        assert len(looks) == 1, looks
        self.look = looks.pop()
        assert self.look.startswith("{"), self.look
        self.room = Room(guard.family, guard.group)
        guard.settle()

    def suffer(self, attack: Attack) -> list[str]:
        """Run one attack and return everything that is wrong after it."""
        program = attack.program(self.world)
        full = self.guard.group.refusals() if self.guard.group else 0
        found = self._runner.run(strike(self.client, program))
        told = faults(attack, program, found, self.world)
        after = self._runner.run(look_around(self.client))
        told += [] if after == self.look else [f"the next test finds {_difference(self.look, after)}"]
        if (
            self.guard.group
            and attack.mode == "command"
            and attack.name in SLOW
            and self.guard.group.refusals() == full
        ):
            told.append("the bomb did not go off")
        return told + self.guard.leftovers() + self.world.changes() + self.room.faults()


def _difference(before: str, after: str) -> str:
    at = next((i for i, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), len(before))
    return f"...{before[max(0, at - 100) : at + 100]}... -> ...{after[max(0, at - 100) : at + 200]}..."


@pytest.fixture(scope="module")
def group() -> Iterator[Group | None]:
    """A control group such as the unit gives, where this machine lets us make one."""
    return Group.make(f"flywheel-attacks-{os.getpid()}")


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory, group: Group | None) -> Iterator[Arena]:
    """One executor with one worker for all attacks: what one leaves behind, the next one meets."""
    folder: Path = tmp_path_factory.mktemp("arena")
    home = folder / "home"
    home.mkdir()
    world = World(folder, home, home / "executor.sock")
    with orphanage(), guarded(home, group, world) as guard, asyncio.Runner() as runner:
        try:
            yield Arena(guard, world, runner)
        finally:
            world.close()


@pytest.mark.slow
@pytest.mark.timeout(900 if SOAK else 120)
@pytest.mark.parametrize("attack", CHOSEN, ids=str)
def test_every_attack_is_contained(arena: Arena, attack: Attack) -> None:
    """The host is untouched, nothing stays running, the next test finds what it always finds, nothing is forged."""
    if arena.guard.group is None and attack.name in NEED_A_GROUP:
        pytest.skip("no control group can be made here (that needs root); the unit brings one")
    for turn in range(TIMES):
        told = arena.suffer(attack)
        assert not told, f"turn {turn}: {told}"


@pytest.mark.slow
def test_the_judges_see_what_is_not_contained(tmp_path: Path) -> None:
    """Without a box, harmless attacks of each kind are found out: listeners, secret, victim, what is left."""
    runner, blind = PlainExecutor(), []
    for number, name in enumerate(HARMLESS):
        folder = tmp_path / str(number)
        folder.mkdir()
        world = World(folder, folder, folder / "executor.sock")
        try:
            attack = Attack(name, "script")
            program = attack.program(world, seconds=20)
            found = asyncio.run(strike(runner, program))
            blind += [] if faults(attack, program, found, world) + world.changes() else [name]
        finally:
            world.clean()
            world.close()
    assert not blind


def test_what_a_child_writes_to_a_disk_is_seen(tmp_path: Path) -> None:
    """A file that is gone again, written by a process that has ended, counts: room is judged by what was written."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(tmp_path)], capture_output=True, text=True, check=True)
    if kind.stdout.strip() in {"tmpfs", "ramfs"}:
        pytest.skip("the folder for temporary files lies in memory, and what is written there is no disk's")
    room = Room(lambda: [os.getpid()], None)
    path = tmp_path / "large"
    subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=1M", "count=80"], check=True, capture_output=True)
    path.unlink()
    (told,) = room.faults()
    assert told.endswith("MiB were written to disks")
