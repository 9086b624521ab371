"""What a box costs: the same tests in the executor's boxes and as plain `python -I` processes, in turns, in one run.

A plain process contains nothing; it is what everybody has, so figures of different machines compare by the ratio.
Usage: python benchmarks/sandbox.py [--tests 200] [--rounds 3] [--workers 2]
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from flywheel.core.errors import FlywheelError
from flywheel.sandbox.clients import Executor
from flywheel.sandbox.programs import Call, Ending, Limits, Program

_FUNCTION = "def add(a, b):\n    return sorted(set(range(a % 50)) | {b})\n"
_SCRIPT = "a, b = map(int, input().split())\nprint(sorted(set(range(a % 50)) | {b}))\n"
_LIMITS = Limits(seconds=30)

#: How many tests a problem has, where they are sent together as the gate does.
BATCH = 10
TEN = "box, 10 calls"

Test = Callable[[int], Awaitable[None]]


def in_a_box(executor: Executor, kind: str) -> Test:
    """Return what runs one test in a box, and sees that its answer is right; "calls" runs ten, as problems have."""

    async def test(number: int) -> None:
        if kind == "calls":
            calls = tuple(Call(args=(number + each, 7)) for each in range(BATCH))
            runs = await executor.run(Program(code=_FUNCTION, entry="add", calls=calls, limits=_LIMITS))
            assert [run.value for run in runs] == [right(number + each) for each in range(BATCH)]
            return
        if kind == "call":
            program = Program(code=_FUNCTION, entry="add", calls=(Call(args=(number, 7)),), limits=_LIMITS)
        else:
            program = Program(code=_SCRIPT, inputs=(f"{number} 7\n",), limits=_LIMITS)
        (run,) = await executor.run(program)
        assert run.ending is Ending.FINISHED, run
        assert (run.value or run.output).strip() == right(number)

    return test


async def in_a_process(number: int) -> None:
    """Run one test as a plain process of its own, and see that its answer is right."""
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, "-I", "-c", _SCRIPT, stdin=pipe, stdout=pipe)
    output, _ = await child.communicate(f"{number} 7\n".encode())
    assert output.decode().strip() == right(number)


def right(number: int) -> str:
    return str(sorted(set(range(number % 50)) | {7}))


async def one_by_one(test: Test, count: int) -> list[float]:
    """Return the milliseconds of each test, one at a time."""
    found = []
    for number in range(count):
        began = time.perf_counter()
        await test(number)
        found.append((time.perf_counter() - began) * 1000)
    return found


async def flat_out(test: Test, count: int, at_once: int) -> float:
    """Return tests a second, so many at once."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await test(number)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return count / (time.perf_counter() - began)


@asynccontextmanager
async def executor(workers: int) -> AsyncIterator[Executor]:
    """Run an executor of its own until the block ends."""
    with tempfile.TemporaryDirectory() as home:
        settings, log = Path(home) / "flywheel.toml", Path(home) / "log"
        settings.write_text(f'home = "{home}"\n[executor]\nworkers = {workers}\n')
        with log.open("wb") as words:
            child = subprocess.Popen(  # noqa: ASYNC220 - started once, and asked over its socket
                [sys.executable, "-m", "flywheel", "executor", "--config", str(settings)], stdout=words, stderr=words
            )
        try:
            client = Executor(Path(home) / "executor.sock")
            await _ready(client, child, log)
            yield client
        finally:
            child.terminate()
            child.wait(30)


async def _ready(client: Executor, child: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            why_not = await client.check()
        except FlywheelError as error:
            why_not = str(error)
        if not why_not:
            return
        if child.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"no box holds here: {why_not}\n{log.read_text()}")  # noqa: ASYNC240 - it ends here
        await asyncio.sleep(0.1)


async def measure(arguments: argparse.Namespace) -> None:
    """Measure in turns and print each figure with its range over the rounds: on a shared machine one mean misleads."""
    async with executor(arguments.workers) as client:
        tests = {
            "box, call": in_a_box(client, "call"),
            "box, stdin": in_a_box(client, "stdin"),
            TEN: in_a_box(client, "calls"),
            "python -I": in_a_process,
        }
        p50: dict[str, list[float]] = {name: [] for name in tests}
        p95: dict[str, list[float]] = {name: [] for name in tests}
        rates: dict[str, list[float]] = {name: [] for name in tests}
        before = os.getloadavg()[0]
        for _ in range(arguments.rounds):
            for name, test in tests.items():
                await one_by_one(test, 10)
                if name != TEN:
                    cuts = statistics.quantiles(await one_by_one(test, arguments.tests), n=100)
                    p50[name].append(cuts[49])
                    p95[name].append(cuts[94])
                # Twice as many askers as boxes, so that none waits for its next test; a plain process for each core.
                at_once = arguments.workers * (1 if test is in_a_process else 2)
                each = BATCH if name == TEN else 1
                rates[name].append(each * await flat_out(test, arguments.tests * 2 // each, at_once))
    print(f"{arguments.tests} tests one by one and twice as many at once, {arguments.workers} workers, ", end="")
    print(f"{arguments.rounds} rounds: median (least - most)")
    print(f"{os.cpu_count()} cores, load {before:.1f} before and {os.getloadavg()[0]:.1f} after")
    _show(p50, p95, rates)


def _show(p50: dict[str, list[float]], p95: dict[str, list[float]], rates: dict[str, list[float]]) -> None:
    print(f"{'':12}{'p50 ms':>24}{'p95 ms':>24}{'tests/s':>24}{'p50 : plain':>14}{'tests/s : plain':>17}")
    for name, typical in p50.items():
        slower = _ratio(typical, p50["python -I"]) if typical else ""
        faster = _ratio(rates[name], rates["python -I"])
        print(f"{name:14}{_range(typical)}{_range(p95[name])}{_range(rates[name], 0)}{slower:>14}{faster:>17}")


def _ratio(values: list[float], plain: list[float]) -> str:
    return f"{statistics.median(each / other for each, other in zip(values, plain, strict=True)):.2f}"


def _range(values: list[float], digits: int = 1) -> str:
    if not values:
        return " " * 24
    text = f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} - {max(values):.{digits}f})"
    return f"{text:>24}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
