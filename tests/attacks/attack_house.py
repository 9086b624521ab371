"""The attacks, and what each must not become; a guarded executor to run them in."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from attack_cgroups import Group
from attack_worlds import World

from flywheel.core.errors import FlywheelError
from flywheel.gate.metrics.code_calls import CodeCallsMetric
from flywheel.gate.metrics.code_io import CodeIoMetric
from flywheel.sandbox.clients import Executor, Runner
from flywheel.sandbox.programs import Call, Ending, Limits, Program, Run

FOLDER = Path(__file__).parent / "programs"
PRELUDE = FOLDER / "_prelude.py"
#: How long an attack may take, and how much later than that its answer may come: a full machine is slow, not open.
SECONDS, LATE = 0.7, 20.0
MEMORY_MIB = 128
_SETTLE_SECONDS, _STILL_SECONDS = 20.0, 2.0

#: Bombs that need longer to go off; each of these has to reach its control group's limit, or it has proved nothing.
SLOW = {"memory_bomb_of_many": 3.0, "memory_by_shared_maps": 3.0}
#: What never ends in peace: a harness that calls these finished has believed them.
NEVER_FINISHED = frozenset({
    "aborts_with_a_core", "closes_everything", "computes_in_c", "equals_everything", "exits_at_once", "exits_on_import",
    "floods_both_streams", "floods_every_descriptor", "floods_stdout", "half_a_frame", "hostile_exception",
    "huge_exception", "ignores_signals", "memory_bomb", "patched_json", "prints_then_dies", "prints_then_fails",
    "prints_then_hangs", "raises_its_exit", "returns_a_giant", "returns_no_end", "says_then_hangs", "segfault",
    "sleeps_with_signals_blocked", "stops_itself", "thread_bomb",
})  # fmt: skip
#: How an attack ends that is wrong itself, or that the box gave no whole Python: it has proved nothing.
BROKEN = ("ModuleNotFoundError", "ImportError", "NameError", "SyntaxError", "AttributeError", "IndentationError")
#: What a call may have returned, where it finished: anything else is another's word.
HONEST: dict[str, tuple[frozenset[str], ...]] = {
    "counts_calls": (frozenset({"[1, 0, 1]"}),) * 3,
    "forges_for_others": tuple(frozenset({str(number * 7)}) for number in range(3)),
    "late_writer": (frozenset({'"honest"'}),) * 3,
    "returns_twice": (frozenset({'"parent"', '"child"'}),) * 3,
}


class Attack(NamedTuple):
    """One attack: its name, and how it is brought in."""

    name: str
    mode: str

    def __str__(self) -> str:
        return f"{self.name}-{self.mode}"

    def program(self, world: World, seconds: float | None = None) -> Program:
        """Return the program that is sent; its targets are this world's."""
        code = f"TARGET = {world.target()!r}\n{PRELUDE.read_text()}\n{(FOLDER / f'{self.name}.py').read_text()}"
        seconds = seconds or (SLOW.get(self.name, SECONDS) if self.mode == "command" else SECONDS)
        limits = Limits(seconds=seconds, memory_mib=MEMORY_MIB, output_bytes=100_000)
        if self.mode == "call":
            calls = tuple(Call(args=(number,)) for number in range(3))
            return Program(code=code, entry="solve", calls=calls, limits=limits)
        if self.mode == "command":
            return Program(code="", files={"attack.py": code}, command=("python3", "attack.py"), limits=limits)
        return Program(code=code, inputs=("",), limits=limits)


def attacks() -> list[Attack]:
    """Return every attack in every manner that it can be brought in."""
    found = []
    for path in sorted(FOLDER.glob("[a-z]*.py")):
        calls = re.search(r"^def solve\(", path.read_text(), re.MULTILINE)
        found += [Attack(path.stem, mode) for mode in (("call",) if calls else ("script", "command"))]
    return found


class Found(NamedTuple):
    """What came of an attack."""

    runs: tuple[Run, ...]
    seconds: float
    refused: str = ""


async def strike(runner: Runner, program: Program) -> Found:
    """Run one attack; an executor that says that it cannot is an answer too, and no verdict."""
    began = time.monotonic()
    try:
        runs = await asyncio.wait_for(runner.run(program), timeout=120)
        return Found(runs, time.monotonic() - began)
    except FlywheelError as error:
        return Found((), time.monotonic() - began, str(error))


def faults(attack: Attack, program: Program, found: Found, world: World) -> list[str]:
    """Return what the answer shows of an attack that was not contained; what the host shows is the world's to say."""
    if found.refused:
        return [f"no verdict: {found.refused}"]
    wanted = len(program.calls or program.inputs) or 1
    told = [f"{len(found.runs)} runs for {wanted} tests"] if len(found.runs) != wanted else []
    most = wanted * (program.limits.seconds + LATE)
    told += [f"answered after {found.seconds:.1f} s"] if found.seconds > most else []
    for number, run in enumerate(found.runs):
        told += [f"run {number}: {fault}" for fault in _faults_of(attack, program, run, number, world)]
    return told


def _faults_of(attack: Attack, program: Program, run: Run, number: int, world: World) -> Iterator[str]:
    text = f"{run.output}\n{run.value}\n{run.detail}"
    if any(run.detail.startswith(error) for error in BROKEN):
        yield f"did not even begin: {run.detail}"
    if "BREACH" in text:
        yield f"boasts: {re.findall('BREACH.*', text)[:5]}"
    if world.sign in text:
        yield f"says what it must not know: ...{text[max(0, text.index(world.sign) - 80) :][:200]}"
    if attack.name in NEVER_FINISHED and run.ending is Ending.FINISHED:
        yield f"is called finished: {run.value or run.output[:100]!r}"
    honest = HONEST.get(attack.name)
    if honest and run.ending is Ending.FINISHED and run.value not in honest[number]:
        yield f"returned {run.value!r}"
    if attack.name == "changes_time" and run.seconds < 0.01:
        yield f"is said to have taken {run.seconds} s"
    if run.ending is not Ending.FINISHED and run.value is not None:
        yield f"has a value although it {run.ending}"
    if len(run.output) > program.limits.output_bytes or len(run.detail) > 10_000:
        yield f"was allowed {len(run.output)} + {len(run.detail)} characters"


#: What a test finds around it. Its answer must be the same to the letter before and after every attack.
LOOK_AROUND = (FOLDER / "_look_around.py").read_text()


async def look_around(runner: Runner) -> str:
    """Return what an honest program finds in its box."""
    program = Program(code=LOOK_AROUND, inputs=("one\ntwo\n",), limits=Limits(seconds=20))
    (run,) = await runner.run(program)
    return run.output if run.ending is Ending.FINISHED else f"{run.ending}: {run.detail} {run.output}"


class Guarded:
    """An executor of our own, in a control group, and what is left of what it started."""

    def __init__(self, folder: Path, group: Group | None, environment: dict[str, str], workers: int = 1) -> None:
        """Start it; `environment` holds what no program may see."""
        self.folder, self.group = folder, group
        self.socket = folder / "executor.sock"
        settings = folder / "flywheel.toml"
        settings.write_text(
            f'home = "{folder}"\n[executor]\nsocket = "{self.socket}"\nworkers = {workers}\nmemory_mib = 1024\n'
        )
        argv = [sys.executable, "-m", "flywheel", "executor", "--config", str(settings)]
        self.log = folder / "executor.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                group.inside(argv) if group else argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, "FLYWHEEL_HOME": str(folder), **environment},
            )  # fmt: skip
        self.idle = 0

    async def ready(self) -> Executor:
        """Return a client, when the executor contains what it runs."""
        client, until = Executor(self.socket), time.monotonic() + 60
        while True:
            try:
                why_not = await client.check()
            except FlywheelError as error:
                why_not = str(error)
            if not why_not:
                break
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, f"{why_not}\n{self.log.read_text()}"
            await asyncio.sleep(0.1)
        return client

    def settle(self) -> None:
        """Note how many processes there are while nothing runs: once they have been the same for a while."""
        seen, since = self.family(), time.monotonic()
        while time.monotonic() < since + _STILL_SECONDS:
            time.sleep(0.1)
            if (now := self.family()) != seen:
                seen, since = now, time.monotonic()
        self.idle = len(seen)

    def family(self) -> list[int]:
        """Return every process that descends from the executor, and whatever was left to us by one of those."""
        parents = dict(_parents())
        known = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in known} - known:
            known |= more
        strangers = {pid for pid, parent in parents.items() if parent == os.getpid() and pid in self.adopted()}
        return sorted((known & parents.keys()) | strangers)

    def adopted(self) -> set[int]:
        """Return the processes of the control group: what was left to us by a process of ours that ended."""
        return set(self.group.processes()) if self.group else set()

    def leftovers(self) -> list[str]:
        """Return what still runs once things had time to end."""
        until = time.monotonic() + _SETTLE_SECONDS
        while len(left := self.family()) > self.idle and time.monotonic() < until:
            time.sleep(0.02)
        if self.process.poll() is not None:
            return [f"the executor ended with {self.process.returncode}: {self.log.read_text()[-2000:]}"]
        return [f"{self.idle} processes before, now {[_words(pid) for pid in left]}"] if len(left) > self.idle else []

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.group:
            self.group.end()


def _words(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return f"{pid} of {dict(_parents()).get(pid)}: {line[:60]}"
    except OSError:
        return f"{pid} gone"


def _parents() -> Iterator[tuple[int, int]]:
    for entry in (path.name for path in Path("/proc").iterdir()):
        if entry.isdigit():
            try:
                state, parent = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                yield int(entry), int(parent)


@contextmanager
def guarded(folder: Path, group: Group | None, world: World, workers: int = 1) -> Iterator[Guarded]:
    """Run an executor whose surroundings hold the world's sign."""
    made = Guarded(folder, group, {"SURROUNDINGS": world.sign}, workers)
    try:
        yield made
    finally:
        made.stop()


def passes(expected: list[Any], runs: Sequence[Run], *, calls: bool) -> bool:
    """Judge as the gate does, by its own metrics: values or printed texts, compared outside."""
    if calls:
        return CodeCallsMetric().judge({"tests": [{"returns": each} for each in expected]}, runs).value == 1.0
    return CodeIoMetric().judge({"tests": [{"stdout": each} for each in expected]}, runs).value == 1.0
