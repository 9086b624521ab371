"""The soak: honest tests and attacks in one stream, and not one verdict that is not the truth."""

import asyncio
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from attack_cgroups import Group
from attack_house import Attack, Guarded, attacks, faults, guarded, look_around, passes, strike
from attack_worlds import Room, World, orphanage

from flywheel.sandbox.clients import Executor
from flywheel.sandbox.programs import Call, Limits, Program

SOAK = bool(os.environ.get("FLYWHEEL_SOAK"))
TESTS, ATTACKS = (10_000, 1_000) if SOAK else (300, 30)
CLIENTS, WORKERS = 4, 2
#: What the unit gives all boxes together.
UNIT_MIB, UNIT_TASKS = 3072, 512
_LIMITS = Limits(seconds=30, memory_mib=256)


class Stream:
    """Tests of which it is known what is right, in an order that its seed decides."""

    def __init__(self, world: World, seed: int) -> None:
        """Mix."""
        self.world, self.random = world, random.Random(seed)
        # Each attack in turn, so that many turns bring every attack equally often.
        known = attacks()
        self.random.shuffle(known)
        chosen: list[Attack | None] = [known[number % len(known)] for number in range(ATTACKS)]
        self.order = chosen + [None] * (TESTS - ATTACKS)
        self.random.shuffle(self.order)
        self.wrong: list[str] = []
        self.done = 0
        self.seconds: list[float] = []

    async def client(self, executor: Executor) -> None:
        """Run tests until none is left."""
        while self.order:
            attack = self.order.pop()
            if attack:
                self.wrong += await self._attack(executor, attack)
            else:
                self.wrong += await self._honest(executor)
            self.done += 1
            if self.done % 1000 == 0:
                sys.__stderr__.write(f"\n  {self.done} tests, {len(self.wrong)} wrong verdicts")

    async def _attack(self, executor: Executor, attack: Attack) -> list[str]:
        program = attack.program(self.world)
        found = await strike(executor, program)
        told = faults(attack, program, found, self.world)
        told += ["passes"] if passes([self.world.sign] * len(found.runs), found.runs, calls=bool(program.calls)) else []
        return [f"{attack}: {fault}" for fault in told]

    async def _honest(self, executor: Executor) -> list[str]:
        """Run a right or a wrong solution of a small problem; its verdict has to be the one or the other."""
        number, right = self.random.randrange(10**6), self.random.random() < 0.7
        off = 0 if right else 1 + self.random.randrange(9)
        if self.random.random() < 0.5:
            code = f"def solve(n):\n    return {{'sum': sum(range(n % 1000)) + {off}, 'digits': sorted(str(n))}}\n"
            program = Program(code=code, entry="solve", calls=(Call(args=(number,)),), limits=_LIMITS)
            expected: Any = {"sum": sum(range(number % 1000)), "digits": sorted(str(number))}
        else:
            code = f"n = int(input())\nprint(n * n + {off})\nprint(str(n)[::-1])\n"
            program = Program(code=code, inputs=(f"{number}\n",), limits=_LIMITS)
            expected = f"{number * number}\n{str(number)[::-1]}"
        found = await strike(executor, program)
        if len(found.runs) != 1 or passes([expected], found.runs, calls=bool(program.calls)) is not right:
            return [f"an honest test ({'right' if right else 'wrong'}) came out as {found}"]
        self.seconds.append(found.seconds)
        return []


async def _soak(guard: Guarded, stream: Stream) -> Room:
    executor = await guard.ready()
    await asyncio.gather(*(look_around(executor) for _ in range(2 * WORKERS)))  # every box has had a test then
    await asyncio.to_thread(guard.settle)
    room = Room(guard.family, guard.group)
    await asyncio.gather(*(stream.client(executor) for _ in range(CLIENTS)))
    return room


@pytest.mark.slow
@pytest.mark.timeout(7200 if SOAK else 300)
def test_no_verdict_is_wrong_among_attacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Right solutions pass, wrong ones fail and attacks never pass, all in one stream; the host is as it was."""
    home = tmp_path / "home"
    home.mkdir()
    world = World(tmp_path, home, home / "executor.sock")
    group = Group.make(f"flywheel-soak-{os.getpid()}", UNIT_MIB, UNIT_TASKS)
    with orphanage(), guarded(home, group, world, WORKERS) as guard:
        stream, began = Stream(world, seed=7), time.monotonic()
        room = asyncio.run(_soak(guard, stream))
        left = guard.leftovers() + world.changes() + room.faults()
        world.close()
    with capsys.disabled():
        honest = sorted(stream.seconds)
        print(
            f"\n  {stream.done} tests, {ATTACKS} of them attacks, {len(stream.wrong)} wrong verdicts, "
            f"{time.monotonic() - began:.0f} s; honest ones p50 {honest[len(honest) // 2] * 1000:.0f} ms",
            end="",
        )
    assert not stream.wrong, stream.wrong[:20]
    assert not left
    assert stream.done == TESTS
