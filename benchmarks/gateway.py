"""What the gateway costs: the same requests direct and through it, in turns, in one run. Under a minute.

Usage: python benchmarks/gateway.py [--rate 1000] [--connections 64] [--seconds 4] [--rounds 3]
"""

import argparse
import asyncio
import json
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import structlog

from flywheel.core.routing import Alias, Arm, Routing
from flywheel.gateway.run import serve_gateway
from flywheel.gateway.settings import GatewaySettings

HOST = "127.0.0.1"
_ANSWER = json.dumps({
    "id": "c", "object": "chat.completion", "model": "line@1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "word " * 120}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 500, "completion_tokens": 120},
}).encode()  # fmt: skip
_RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_ANSWER) + _ANSWER
_HEADS_END = b"\r\n\r\n"


class Upstream(asyncio.Protocol):
    """Answers every request with the same bytes: as little work as Python can do."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing read."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self.data += data
        while rest := _after_message(self.data):
            self.data = rest[0]
            self.transport.write(_RESPONSE)


class Client(asyncio.Protocol):
    """One connection that asks one thing at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing read."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.data = transport, b""
        self.answered: asyncio.Future[None] | None = None

    def ask(self, request: bytes) -> asyncio.Future[None]:
        """Send, and return what is done when the answer is there."""
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answered

    def data_received(self, data: bytes) -> None:
        """Note a whole answer."""
        self.data += data
        if rest := _after_message(self.data):
            assert self.data.startswith(b"HTTP/1.1 200"), self.data[:200]
            self.data = rest[0]
            assert self.answered
            self.answered.set_result(None)


def _after_message(data: bytes) -> tuple[bytes] | None:
    end = data.find(_HEADS_END)
    if end < 0:
        return None
    head = data[:end].lower()
    mark = head.index(b"content-length:") + 15
    length = int(head[mark:].split(b"\r\n", 1)[0])
    whole = end + len(_HEADS_END) + length
    return (data[whole:],) if len(data) >= whole else None


def request(number: int) -> bytes:
    messages = [{"role": "system", "content": "Be brief. " * 80}, {"role": "user", "content": "def f(x):\n" * 100}]
    body = json.dumps({"messages": messages, "model": "line", "temperature": 0.2}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n"
    head += f"authorization: Bearer k\r\nx-session-id: s{number}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _serve_upstream(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, HOST, port, backlog=1024)
    await server.serve_forever()


def run_upstream(port: int) -> None:
    asyncio.run(_serve_upstream(port))


def run_gateway(home: str, port: int, upstream: int) -> None:
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.ReturnLoggerFactory()
    )
    settings = GatewaySettings(home=Path(home), port=port, upstreams=(f"http://{HOST}:{upstream}",))
    asyncio.run(serve_gateway(settings))


@asynccontextmanager
async def connected(port: int, count: int) -> AsyncIterator[list[Client]]:
    loop = asyncio.get_running_loop()
    clients = [(await loop.create_connection(Client, HOST, port))[1] for _ in range(count)]
    yield clients
    for client in clients:
        client.transport.close()


async def at_rate(port: int, connections: int, rate: float, seconds: float) -> list[float]:
    """Return latencies in ms, from the moment each request was due: waiting for a connection counts."""
    requests = [request(number) for number in range(200)]
    latencies: list[float] = []
    async with connected(port, connections) as clients:
        free: asyncio.Queue[Client] = asyncio.Queue()
        for client in clients:
            free.put_nowait(client)

        async def ask(number: int, due: float) -> None:
            client = await free.get()
            await client.ask(requests[number % len(requests)])
            latencies.append((time.perf_counter() - due) * 1000)
            free.put_nowait(client)

        began = time.perf_counter()
        tasks = []
        for number in range(int(rate * seconds)):
            due = began + number / rate
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            # What is due is asked now; the generator's own lateness is not the gateway's.
            tasks.append(asyncio.create_task(ask(number, time.perf_counter())))
        await asyncio.gather(*tasks)
    return latencies[len(latencies) // 10 :]


async def flat_out(port: int, connections: int, seconds: float) -> float:
    """Return requests a second when every connection asks again as soon as it is answered."""
    done = 0
    end = time.perf_counter() + seconds
    async with connected(port, connections) as clients:

        async def ask(client: Client, data: bytes) -> None:
            nonlocal done
            while time.perf_counter() < end:
                await client.ask(data)
                done += 1

        await asyncio.gather(*(ask(client, request(number)) for number, client in enumerate(clients)))
    return done / seconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(work: Callable[..., None], port: int, *arguments: object) -> Iterator[None]:
    """Run a server in a process of its own until the block ends."""
    child = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    child.start()
    try:
        deadline = time.monotonic() + 15
        while not _listens(port):
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)
        yield
    finally:
        child.terminate()
        child.join(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def measure(arguments: argparse.Namespace, ports: dict[str, int]) -> None:
    """Measure in turns and print each figure with its range over the rounds: on a shared machine one mean misleads."""
    p50: dict[str, list[float]] = {name: [] for name in ports}
    p99: dict[str, list[float]] = {name: [] for name in ports}
    rates: dict[str, list[float]] = {name: [] for name in ports}
    for _ in range(arguments.rounds):
        for name, port in ports.items():
            values = asyncio.run(at_rate(port, arguments.connections, arguments.rate, arguments.seconds))
            cuts = statistics.quantiles(values, n=100)
            p50[name].append(cuts[49])
            p99[name].append(cuts[98])
            rates[name].append(asyncio.run(flat_out(port, arguments.connections, arguments.seconds / 2)))
    print(f"{arguments.rate}/s, {arguments.connections} connections, {arguments.rounds} rounds: median (least - most)")
    print(f"{'':10}{'p50 ms':>26}{'p99 ms':>26}{'req/s':>26}")
    for name in ports:
        print(f"{name:10}{_range(p50[name], 3)}{_range(p99[name], 3)}{_range(rates[name], 0)}")
    added = [[through - direct for direct, through in zip(*cut.values(), strict=True)] for cut in (p50, p99)]
    print(f"{'added':10}{_range(added[0], 3)}{_range(added[1], 3)}")


def _range(values: list[float], digits: int) -> str:
    text = f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} - {max(values):.{digits}f})"
    return f"{text:>26}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    upstream, gateway = free_port(), free_port()
    with tempfile.TemporaryDirectory() as home:
        alias = Alias(
            arms=(Arm(model="line@1", share=0.8, role="active"), Arm(model="line@2", share=0.2, role="canary"))
        )
        routing = Routing(version=1, upstreams=(f"http://{HOST}:{upstream}",), base_model="b", aliases={"line": alias})
        (Path(home) / "routing.json").write_bytes(routing.dump())
        with process(run_upstream, upstream, upstream), process(run_gateway, gateway, home, gateway, upstream):
            measure(arguments, {"direct": upstream, "gateway": gateway})


if __name__ == "__main__":
    main()
