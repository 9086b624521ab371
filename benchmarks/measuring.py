"""What measuring costs beside the asking: the same requests in a bare loop and through it, in turns. About a minute.

The server is local and answers every request in the same time, so whatever is more than the bare loop is the
machinery: order by roles, streams read, answers kept, scores, statistics, the report.

Usage: python benchmarks/measuring.py [--delay 0.05] [--problems 300] [--samples 2] [--concurrency 8] [--rounds 3]
"""

import argparse
import asyncio
import contextlib
import io
import json
import multiprocessing
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp

from flywheel.core.clocks import SystemClock
from flywheel.core.lines import Gate, Sampling
from flywheel.core.verdicts import Problem
from flywheel.gate.manners import Manners
from flywheel.gate.measuring import measure
from flywheel.gate.questions import blocks
from flywheel.gate.specs import MeasureSpec
from flywheel.gate.suites import Built, publish

HOST = "127.0.0.1"
TEXT = '<tool_call>{"name": "read_file", "arguments": {"path": "src/main.py"}}</tool_call>'
PIECES = 24
ROLES = {"base": "base", "candidate": "line@1"}


def _chunk(body: object) -> bytes:
    data = body if isinstance(body, bytes) else f"data: {json.dumps(body)}\n\n".encode()
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _first() -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + _chunk({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})


def _rest() -> bytes:
    size = -(-len(TEXT) // PIECES)
    deltas = [{"content": TEXT[at : at + size]} for at in range(0, len(TEXT), size)]
    data = b"".join(_chunk({"choices": [{"index": 0, "delta": delta}]}) for delta in deltas)
    data += _chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    data += _chunk({"choices": [], "usage": {"prompt_tokens": 500, "completion_tokens": PIECES}})
    return data + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


FIRST, REST = _first(), _rest()


class Server(asyncio.Protocol):
    """Answers every request in the same time: its first token at half of it, the rest at its end."""

    delay = 0.05

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing read."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer a whole request in time."""
        self.data += data
        head, found, body = self.data.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(body) >= length:
            self.data = body[length:]
            loop = asyncio.get_running_loop()
            loop.call_later(self.delay / 2, self.transport.write, FIRST)
            loop.call_later(self.delay, self.transport.write, REST)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Server, HOST, port, backlog=1024)
    await server.serve_forever()


def run_server(port: int, delay: float) -> None:
    Server.delay = delay
    asyncio.run(_serve(port))


@contextmanager
def served(delay: float) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    process = multiprocessing.Process(target=run_server, args=(port, delay), daemon=True)
    process.start()
    while True:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 0.1):
            break
        time.sleep(0.02)
    yield f"http://{HOST}:{port}"
    process.terminate()
    process.join()


def problem(number: int) -> Problem:
    messages = ({"role": "system", "content": "Be brief. " * 80}, {"role": "user", "content": f"Show {number}.py"})
    path = "src/main.py" if number % 2 else f"src/{number}.py"
    return Problem(
        id=f"p{number}", kind="tool_call", category=f"tool-{number % 6}", group=f"repo-{number % 40}", prompt_key="",
        messages=messages, expected=[{"name": "read_file", "arguments": {"path": path}}],
    )  # fmt: skip


def spec_in(folder: Path, url: str, problems: list[Problem], sampling: Sampling) -> MeasureSpec:
    manifest = publish(Built(tuple(problems), {}, "json"), "line", "dataset", "tool_call", folder / "suites")
    return MeasureSpec(
        line="line", adapter="a", suite=manifest.hash, suite_path=str(folder / "suites" / manifest.hash), server=url,
        models=ROLES, gate=Gate(name="bench", why="bench", sampling=sampling), alpha=0.05, attempt=1,
        out=str(folder / "out"),
    )  # fmt: skip


class Cost(NamedTuple):
    """Seconds on the wall, and of a core."""

    wall: float
    core: float


def cost_of(deed: Callable[[], object]) -> Cost:
    wall, core = time.perf_counter(), time.process_time()
    deed()
    return Cost(time.perf_counter() - wall, time.process_time() - core)


async def bare(url: str, bodies: list[bytes], concurrency: int) -> None:
    """Ask the same, and want nothing but the bytes."""
    waiting = iter(bodies)
    headers = {"content-type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def work() -> None:
            for body in waiting:
                async with session.post(f"{url}/v1/chat/completions", data=body, headers=headers) as response:
                    await response.read()

        await asyncio.gather(*(work() for _ in range(concurrency)))


def bodies_of(spec: MeasureSpec, problems: list[Problem]) -> list[bytes]:
    sampling = spec.gate.sampling
    return [
        json.dumps({
            "model": spec.models[one.role], "messages": list(one.problem.messages), "seed": one.seed,
            "temperature": sampling.temperature, "max_tokens": sampling.max_tokens, **Manners().fields(()),
        }).encode()
        for block in blocks(problems, spec, frozenset()) for one in block
    ]  # fmt: skip


def through(spec: MeasureSpec) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        measure(spec, SystemClock())


def as_process(spec: MeasureSpec, folder: Path) -> float:
    (folder / "spec.json").write_text(spec.model_dump_json())
    began = time.perf_counter()
    argv = [sys.executable, "-m", "flywheel.gate.measuring", str(folder / "spec.json")]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.05)
    parser.add_argument("--problems", type=int, default=300)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    problems = [problem(number) for number in range(options.problems)]
    sampling = Sampling(samples=options.samples, concurrency=options.concurrency)
    loops, measured = [], []
    with tempfile.TemporaryDirectory() as home, served(options.delay) as url:
        through(spec_in(Path(home) / "first", url, problems[:4], sampling))  # imports; the process below pays for them
        for number in range(options.rounds):
            spec = spec_in(Path(home) / str(number), url, problems, sampling)
            bodies = bodies_of(spec, problems)
            loops.append(cost_of(lambda asked=bodies: asyncio.run(bare(url, asked, options.concurrency))))
            measured.append(cost_of(lambda spec=spec: through(spec)))
        process = as_process(spec_in(Path(home) / "last", url, problems, sampling), Path(home))
    ideal = len(bodies) * options.delay / options.concurrency
    print(
        f"{len(bodies)} answers of {options.delay * 1000:g} ms, {options.concurrency} at once: {ideal:.2f} s at least"
    )
    tell("bare loop", loops)
    tell("measuring", measured)
    loop, whole = (statistics.median(cost.wall for cost in costs) for costs in (loops, measured))
    more = statistics.median(cost.core for cost in measured) - statistics.median(cost.core for cost in loops)
    print(
        f"ratio            {whole / loop:.3f} on the wall; {1000 * more / len(bodies):.2f} ms of a core more an answer"
    )
    print(f"as a process     {process:.2f} s, start and imports included: ratio {process / loop:.3f}")


def tell(name: str, costs: list[Cost]) -> None:
    wall, core = (statistics.median(values) for values in zip(*costs, strict=True))
    print(f"{name:16} {wall:.2f} s, {core:.2f} s of a core  (rounds: {', '.join(f'{one.wall:.2f}' for one in costs)})")


if __name__ == "__main__":
    main()
