"""For `gateway.py`: a model server that costs next to nothing, and clients that ask it, directly or through something.

Server and clients speak bare HTTP/1.1, so that what is measured between them is the thing between them.
"""

import asyncio
import json
import multiprocessing
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

HOST = "127.0.0.1"
_ANSWER = json.dumps({
    "id": "c", "object": "chat.completion", "created": 1, "model": "line@1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "word " * 120}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 500, "completion_tokens": 120, "total_tokens": 620},
}).encode()  # fmt: skip
_RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_ANSWER) + _ANSWER
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_STREAM_END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
_HEADS_END = b"\r\n\r\n"
_SENT = re.compile(rb'"sent": (\d+\.\d+)')
_WARM_UP = 0.1  # the share of each series that is not counted


class Upstream(asyncio.Protocol):
    """Answers every request with the same bytes, or with a stream whose every event says when it was sent."""

    chunks, pause = 40, 0.04

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing read."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.data = transport, b""
        self.tasks: set[asyncio.Task[None]] = set()

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self.data += data
        while rest := _after_message(self.data):
            request, self.data = self.data, rest[0]
            if b'"stream": true' in request:
                self.tasks.add(asyncio.ensure_future(self._stream()))
            else:
                self.transport.write(_RESPONSE)

    async def _stream(self) -> None:
        self.transport.write(_STREAM_HEAD)
        for _ in range(self.chunks):
            await asyncio.sleep(self.pause)
            event = _event(time.perf_counter())
            self.transport.write(b"%x\r\n%b\r\n" % (len(event), event))
        self.transport.write(_STREAM_END)


def _event(sent: float) -> bytes:
    choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
    event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "line@1", "choices": [choice]}
    return b"data: " + json.dumps({**event, "sent": round(sent, 7)}).encode() + b"\n\n"


class Client(asyncio.Protocol):
    """One connection that asks one thing at a time; of a stream it notes how old each event is when it comes."""

    key = ""  # whose door asks for one is measured with it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing read."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.data = transport, b""
        self.answered: asyncio.Future[None] | None = None
        self.ages: list[float] = []
        self.streams = False

    def ask(self, request: bytes) -> asyncio.Future[None]:
        """Send, and return what is done when the answer is there."""
        self.answered = asyncio.get_running_loop().create_future()
        self.streams = b'"stream": true' in request
        self.transport.write(request)
        return self.answered

    def data_received(self, data: bytes) -> None:
        """Note a whole answer."""
        if self.streams:
            now = time.perf_counter()
            self.ages.extend((now - float(sent)) * 1000 for sent in _SENT.findall(data))
        self.data += data
        rest = _after_stream(self.data) if self.streams else _after_message(self.data)
        if rest:
            assert self.data.startswith(b"HTTP/1.1 200"), self.data[:300]
            self.data = rest[0]
            assert self.answered
            self.answered.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """End an answer that will not come."""
        if self.answered and not self.answered.done():
            self.answered.set_exception(error or ConnectionError(f"closed after {self.data[:300]!r}"))


def _after_message(data: bytes) -> tuple[bytes] | None:
    end = data.find(_HEADS_END)
    if end < 0:
        return None
    head = data[:end].lower()
    mark = head.find(b"content-length:")
    length = int(head[mark + 15 :].split(b"\r\n", 1)[0]) if mark >= 0 else 0
    whole = end + len(_HEADS_END) + length
    return (data[whole:],) if len(data) >= whole else None


def _after_stream(data: bytes) -> tuple[bytes] | None:
    return (b"",) if data.endswith(b"0\r\n\r\n") else None


def request(number: int, *, stream: bool = False) -> bytes:
    messages = [{"role": "system", "content": "Be brief. " * 80}, {"role": "user", "content": "def f(x):\n" * 100}]
    fields = {"messages": messages, "model": "line", "temperature": 0.2, **({"stream": True} if stream else {})}
    body = json.dumps(fields).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n"
    head += f"authorization: Bearer {Client.key}\r\nx-session-id: s{number}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _serve_upstream(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, HOST, port, backlog=1024)
    await server.serve_forever()


def run_upstream(port: int) -> None:
    asyncio.run(_serve_upstream(port))


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
    return _warm(latencies)


async def streaming(port: int, connections: int, seconds: float) -> list[float]:
    """Return how many ms each event of streams was under way; every connection reads one stream after the other."""
    end = time.perf_counter() + seconds
    async with connected(port, connections) as clients:

        async def ask(number: int, client: Client) -> None:
            await asyncio.sleep(number / connections * Upstream.pause)  # not all events at the same moment
            while time.perf_counter() < end:
                await client.ask(request(number, stream=True))

        await asyncio.gather(*(ask(number, client) for number, client in enumerate(clients)))
        return _warm([age for client in clients for age in client.ages])


async def flat_out(port: int, connections: int, seconds: float = 3600.0, most: float = float("inf")) -> float:
    """Return requests a second when every connection asks again as soon as it is answered, until time or `most`."""
    asked = done = 0
    began = time.perf_counter()
    async with connected(port, connections) as clients:

        async def ask(client: Client, data: bytes) -> None:
            nonlocal asked, done
            while asked < most and time.perf_counter() < began + seconds:
                asked += 1
                await client.ask(data)
                done += 1

        await asyncio.gather(*(ask(client, request(number)) for number, client in enumerate(clients)))
        return done / (time.perf_counter() - began)


def _warm(values: Sequence[float]) -> list[float]:
    return list(values[int(len(values) * _WARM_UP) :])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(work: Callable[..., None], port: int, *arguments: object) -> Iterator[int]:
    """Run a server in a process of its own until the block ends; gives its id."""
    child = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    child.start()
    try:
        wait_for(port, 15, child.is_alive)
        yield int(child.pid or 0)
    finally:
        child.terminate()
        child.join(10)


def wait_for(port: int, seconds: float, lives: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not _listens(port):
        assert lives(), "the server ended before it listened"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.05)


def family(pid: int) -> list[int]:
    """Return a process and its children, whichever thread began them."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(int(child) for task in tasks for child in task.read_text(encoding="utf-8").split())]


def resident(pid: int) -> float:
    """Return the memory that a process and its children hold, in MiB."""
    told = [Path(f"/proc/{one}/status").read_text(encoding="utf-8") for one in family(pid)]
    return sum(int(status.split("VmRSS:")[1].split()[0]) for status in told) / 1024


def worked(pid: int) -> float:
    """Return the seconds of a core that a process has used, all of its threads together; 0 names none."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
