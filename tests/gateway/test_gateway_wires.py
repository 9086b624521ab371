"""The gateway's own lines to model servers: framing however it is cut, broken ends, lines kept and lines gone stale."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import aiohttp
import pytest
from gateway_house import BASE, House
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from flywheel.gateway import wires as wires_module
from flywheel.gateway.answers import Answer
from flywheel.gateway.wires import GarbledError, NotConnectedError, Wires, head

BODY = bytes(range(256)) * 3
CHUNKED = b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nX-Said: y\r\n\r\n"
LENGTH = b"HTTP/1.1 200 Fine\r\nContent-Length: %d\r\nX-Said: y\r\n\r\n" % len(BODY)
UNTIL_END = b"HTTP/1.1 200 Fine\r\nConnection: close\r\nX-Said: y\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"


def chunked(pieces: Sequence[bytes]) -> bytes:
    """Return a body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Return the data in pieces."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


@dataclass
class Server:
    """Answers each request on each connection with what it is told to, piece by piece, and may hang up."""

    said: Callable[[], Sequence[bytes]] = lambda: [LENGTH, BODY]
    hangs_up: bool = False
    origin: str = ""
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                length = next((int(line[16:]) for line in asked.split(b"\r\n") if line[:16] == b"content-length: "), 0)
                self.bodies.append(await reader.readexactly(length))
                self.heads.append(asked)
                for piece in self.said():
                    writer.write(piece)
                    await asyncio.sleep(0)
                if self.hangs_up:
                    return
        except (asyncio.IncompleteReadError, OSError):
            return

    async def watched(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, and let nothing of it stay."""
        self.writers.append(writer)
        task = asyncio.current_task()
        assert task
        self.tasks.append(task)
        try:
            await self.serve(reader, writer)
        finally:
            writer.close()


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Wires]:
    """Run a server, and wires to ask it over."""
    listening = await asyncio.start_server(server.watched, "127.0.0.1", 0, limit=2**20)
    server.origin = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    wires = Wires(connect_timeout=2.0)
    try:
        yield wires
    finally:
        wires.close()
        for writer in server.writers:
            writer.close()
        listening.close()
        await listening.wait_closed()
        await asyncio.gather(*server.tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # what was closed is gone after a turn or two


async def ask(wires: Wires, server: Server, method: str = "POST", body: bytes = b"{}") -> Answer:
    """Ask once."""
    async with asyncio.timeout(5):
        return await wires.send(server.origin, method, "/v1/x?y=1", CIMultiDict(accept="a"), body, fresh=False)


async def drained(answer: Answer) -> bytes:
    """Return the body as a stream's reader gets it."""
    data = b""
    while chunk := await answer.content.readany():
        data += chunk
    return data


# ── framing ─────────────────────────────────────────────────────────────────


@settings(max_examples=40, deadline=None)
@given(
    framing=st.sampled_from(["length", "chunks", "end"]),
    cuts=st.lists(st.integers(0, 4000), max_size=8),
    chunks=st.lists(st.integers(0, 800), max_size=5),
    early=st.booleans(),
    whole=st.booleans(),
)
def test_an_answer_is_the_same_however_it_comes(
    framing: str,
    cuts: list[int],
    chunks: list[int],
    *,
    early: bool,
    whole: bool,
) -> None:
    """Cut anywhere, in any framing, after any interim answers: the same status, headers and bytes, twice in a row."""
    told = {"length": LENGTH + BODY, "chunks": CHUNKED + chunked(cut(BODY, chunks)), "end": UNTIL_END + BODY}[framing]
    server = Server(lambda: cut(EARLY * early + told, cuts), hangs_up=framing == "end")

    async def run() -> None:
        async with serving(server) as wires:
            for _ in range(2):
                answer = await ask(wires, server)
                assert (answer.status, answer.reason, answer.headers["x-said"]) == (200, "Fine", "y")
                assert answer.content_length == (len(BODY) if framing == "length" else None)
                assert await (answer.read() if whole else drained(answer)) == BODY
            assert len(server.writers) == (2 if framing == "end" else 1), "a line is kept when it can be"

    asyncio.run(run())


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        ("POST", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n"),
        ("POST", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ],
)
async def test_an_answer_without_a_body_has_none(method: str, told: bytes) -> None:
    """Nothing is waited for, and the line is kept."""
    server = Server(lambda: [told])
    async with serving(server) as wires:
        for _ in range(2):
            assert await (await ask(wires, server, method, b"")).read() == b""
    assert len(server.writers) == 1


@pytest.mark.asyncio
async def test_large_headers_come_through() -> None:
    """What servers may say in 60 KB is heard; much more is no answer."""
    server = Server(lambda: [b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-long: %b\r\n\r\n" % (b"x" * 60_000)])
    async with serving(server) as wires:
        assert len((await ask(wires, server)).headers["x-long"]) == 60_000
        server.said = lambda: [b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-long: %b\r\n\r\n" % (b"x" * 80_000)]
        with pytest.raises(GarbledError):
            await ask(wires, server)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "told", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nb@d\r\n\r\n"]
)
async def test_what_is_no_answer_is_an_error(told: bytes) -> None:
    """Nothing hangs, and the error is one that callers expect."""
    server = Server(lambda: [told])
    async with serving(server) as wires:
        with pytest.raises(aiohttp.ClientError):
            await ask(wires, server)


# ── broken ends ─────────────────────────────────────────────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "told", [LENGTH + BODY[:-1], CHUNKED + b"5\r\nab", CHUNKED + b"5\r\nabcde\r\n", CHUNKED + b"5\r\nabcde\r\n0\r\n"]
)
async def test_a_body_that_breaks_off_is_an_error(told: bytes) -> None:
    """Read at once or by and by: never a clean end."""
    server = Server(lambda: [told], hangs_up=True)
    async with serving(server) as wires:
        for read in (Answer.read, drained):
            answer = await ask(wires, server)
            with pytest.raises(aiohttp.ClientError):
                await asyncio.wait_for(read(answer), 5)
            answer.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("later", [b"zz\r\nabc\r\n", b"5\r\nabcdefgh\r\n"])
async def test_a_garbled_body_is_an_error(later: bytes) -> None:
    """A server that breaks its own framing ends the answer, though it hangs on."""
    server = Server(lambda: [CHUNKED, b"3\r\nabc\r\n", later])
    async with serving(server) as wires:
        answer = await ask(wires, server)
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(drained(answer), 5)
        answer.close()
        server.said = lambda: [LENGTH, BODY]
        assert await (await ask(wires, server)).read() == BODY
    assert len(server.writers) == 2


@pytest.mark.asyncio
async def test_a_reset_is_no_end() -> None:
    """Where only the connection's end would mark the body's, a broken connection does not."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UNTIL_END + b"abc")
        await asyncio.sleep(0.05)
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    server = Server()
    server.serve = serve  # type: ignore[method-assign]
    async with serving(server) as wires:
        answer = await ask(wires, server)
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(drained(answer), 5)
        answer.close()


@pytest.mark.asyncio
async def test_what_nobody_reads_does_not_pile_up() -> None:
    """A server is read no faster than its answer is, and all of it comes in the end."""
    piece, sent = b"x" * 65536, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (400 * len(piece)))
        for _ in range(400):
            writer.write(piece)
            await writer.drain()
            sent += len(piece)

    server = Server()
    server.serve = serve  # type: ignore[method-assign]
    async with serving(server) as wires:
        answer = await ask(wires, server)
        await asyncio.sleep(0.2)
        assert sent < 200 * len(piece)
        assert len(await asyncio.wait_for(answer.read(), 10)) == 400 * len(piece)


@pytest.mark.asyncio
async def test_a_server_that_hangs_up_has_not_answered() -> None:
    """The error says that the request was lost, not that it was never sent."""
    server = Server(list, hangs_up=True)
    async with serving(server) as wires:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await ask(wires, server)


@pytest.mark.asyncio
async def test_nobody_there_is_told_apart() -> None:
    """Nothing was sent to a server that cannot be reached, nor to one whose name nobody knows."""
    wires = Wires(connect_timeout=2.0)
    for origin in ("http://127.0.0.1:9", "http://127.0.0.1:99999", f"http://{'x' * 80}.invalid"):
        with pytest.raises(NotConnectedError):
            await wires.send(origin, "GET", "/", CIMultiDict(), b"", fresh=False)


@pytest.mark.asyncio
async def test_a_silent_address_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that does not come is waited for only so long."""
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "create_connection", lambda *_, **__: asyncio.sleep(60))
    with pytest.raises(NotConnectedError):
        await Wires(connect_timeout=0.05).send("http://127.0.0.1:1", "GET", "/", CIMultiDict(), b"", fresh=False)


# ── lines kept ──────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_a_line_the_server_closed_is_not_used() -> None:
    """It is noticed without a request, and another is made."""
    server = Server()
    async with serving(server) as wires:
        await (await ask(wires, server)).read()
        server.writers[0].close()
        await asyncio.sleep(0.05)
        assert await (await ask(wires, server)).read() == BODY
    assert len(server.writers) == 2


@pytest.mark.asyncio
async def test_a_line_on_which_something_came_unasked_is_not_used() -> None:
    """An answer that nobody asked for must not be taken for the next one's."""
    server = Server()
    async with serving(server) as wires:
        await (await ask(wires, server)).read()
        server.writers[0].write(b"HTTP/1.1 408 Too Late\r\ncontent-length: 0\r\n\r\n")
        await asyncio.sleep(0.05)
        assert (await ask(wires, server)).status == 200
    assert len(server.writers) == 2


@pytest.mark.asyncio
async def test_lines_are_not_kept_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody needed for a while is closed, before the server does it."""
    monkeypatch.setattr(wires_module, "KEPT_SECONDS", 0.05)
    server = Server()
    async with serving(server) as wires:
        answers = [await ask(wires, server) for _ in range(3)]
        for answer in answers:
            await answer.read()
        assert len(wires._idle[server.origin]) == len(server.writers)
        await asyncio.sleep(0.2)
        assert wires._idle == {}
        assert wires._sweep is None


@pytest.mark.asyncio
@pytest.mark.parametrize("let_go", [Answer.close, Answer.release])
async def test_an_answer_that_is_let_go_ends_there(let_go: Callable[[Answer], None]) -> None:
    """The server sees its client leave at once, so that a generation ends."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + b"3\r\nabc\r\n")
        await reader.readexactly(2)
        assert await reader.read() == b""
        gone.set()

    server = Server()
    server.serve = serve  # type: ignore[method-assign]
    async with serving(server) as wires:
        answer = await ask(wires, server)
        assert await answer.content.readany() == b"abc"
        let_go(answer)
        let_go(answer)
        await asyncio.wait_for(gone.wait(), 5)


@pytest.mark.asyncio
async def test_whoever_stops_waiting_ends_the_request() -> None:
    """A request that is given up before its answer closes its line."""
    server = Server(list)
    async with serving(server) as wires:
        asking = asyncio.create_task(ask(wires, server))
        await asyncio.sleep(0.05)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.sleep(0.05)
        assert server.writers[0].is_closing()
        assert wires._idle == {}


# ── what is sent ────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_a_request_is_sent_as_it_is() -> None:
    """Path, headers and body arrive unchanged; a length is told where there is, or could be, a body."""
    server = Server()
    async with serving(server) as wires:
        for method, body in (("POST", b"{}"), ("POST", b""), ("GET", b""), ("DELETE", b""), ("GET", b"x")):
            await (await ask(wires, server, method, body)).read()
        large = bytes(range(256)) * 40_000
        await (await ask(wires, server, "POST", large)).read()
        await (await ask(wires, server)).read()
    lengths = [line for told in server.heads for line in told.split(b"\r\n") if line.startswith(b"content-length")]
    assert lengths == [b"content-length: %d" % length for length in (2, 0, 0, 1, len(large), 2)]
    assert server.heads[0].startswith(b"POST /v1/x?y=1 HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b"\r\naccept: a\r\n" in server.heads[0]
    assert server.bodies[-2] == large
    assert len(server.writers) == 1


@pytest.mark.asyncio
async def test_an_answer_before_the_end_of_the_question_is_taken() -> None:
    """A server that refuses without reading all of it is heard, and the line, half used, is closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n")
        await asyncio.sleep(0.2)

    server = Server()
    server.serve = serve  # type: ignore[method-assign]
    async with serving(server) as wires:
        answer = await ask(wires, server, body=b"x" * 30_000_000)
        assert answer.status == 413
        assert await answer.read() == b""
        assert wires._idle == {}


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"])) | st.text(alphabet="\r\n\0ab"))
def test_no_header_makes_a_line_of_its_own(value: str) -> None:
    """What would be another header, or a request of its own, is refused."""
    if {"\r", "\n", "\0"} & set(value):
        with pytest.raises(ValueError, match="end of a line"):
            head("GET", "/", "h", {"x-y": value}, None)
    else:
        assert head("GET", "/", "h", {"x-y": value}, 3) == (
            b"GET / HTTP/1.1\r\nhost: h\r\nx-y: %b\r\ncontent-length: 3\r\n\r\n" % value.encode()
        )


# ── through the gateway ─────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_a_call_that_met_a_closing_line_is_sent_again(house: House) -> None:
    """All kept lines go stale at once, under the request: it is answered over a new one."""
    await house.start()
    calls = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        told = json.dumps({"model": BASE}).encode()
        for _ in range(2):
            head_bytes = await reader.readuntil(b"\r\n\r\n")
            calls += 1
            if _:
                break  # the second request on a line is met by its end
            length = int(head_bytes.lower().rpartition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(told) + told)
        writer.close()

    server = Server()
    server.serve = serve  # type: ignore[method-assign]
    async with serving(server):
        await house.apply(house.routing(origins=(server.origin,)))
        statuses = await asyncio.gather(*(house.chat(BASE) for _ in range(8)))
        statuses += await asyncio.gather(*(house.chat(BASE) for _ in range(8)))
        assert {response.status for response, _ in statuses} == {200}
        assert calls == 24
