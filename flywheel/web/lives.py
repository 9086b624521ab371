"""Live updates: one look at the ledger for all who watch, told as server-sent events, numbered by the ledger.

A browser that comes back says the last number it saw (`Last-Event-ID`) and is told what it missed. What is sent is the
kind, the line and the subject of an event, never its content: pages fetch themselves anew.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import structlog
from aiohttp import web
from sqlmodel import Session

from flywheel.core.errors import FlywheelError
from flywheel.core.events import Event
from flywheel.store.counters import cursor
from flywheel.store.jobs import open_jobs
from flywheel.store.ledger import events, last_event
from flywheel.web.desks import DESK, Desk

log = structlog.get_logger(__name__)

MOST_WATCHERS = 64
MOST_MISSED = 200
LOOK_SECONDS = 1.0
_BEAT_SECONDS = 15.0
_QUEUE = 64


#: What a watcher is told, in order; None ends its watch.
Queue = asyncio.Queue[bytes | None]


class Tower:
    """Looks at the store while anybody watches, and tells every watcher the same."""

    def __init__(self, desk: Desk) -> None:
        """Begin with nobody watching."""
        self._desk = desk
        self._watchers: set[Queue] = set()
        self._seq: int | None = None
        self._state = ""
        self._looked = asyncio.Event()
        self._look: asyncio.Task[None] | None = None

    @property
    def watchers(self) -> int:
        """Return how many watch."""
        return len(self._watchers)

    @contextmanager
    def watched(self) -> Iterator[Queue]:
        """Give a queue of what happens from now on, until the block ends."""
        queue: Queue = asyncio.Queue(_QUEUE)
        self._watchers.add(queue)
        if self._look is None:
            self._look = asyncio.create_task(self._look_on())
        try:
            yield queue
        finally:
            self._watchers.discard(queue)
            if not self._watchers and self._look is not None:
                self._look.cancel()
                self._look = None

    async def _look_on(self) -> None:
        self._seq, self._state = None, ""
        self._looked.clear()
        while True:
            with suppress(FlywheelError):  # a store that is away for now is looked at again
                await self._tell_news()
            await asyncio.sleep(LOOK_SECONDS)

    async def _tell_news(self) -> None:
        found, work = await self._desk.read(_news, self._seq)
        state = f"{work} {self._desk.counts.done}"
        first = self._seq is None
        self._seq = (found[-1].seq if found else self._seq) or 0
        self._looked.set()
        news = [] if first else [_told(event) for event in found]
        if state != self._state and not first:
            news.append(b"event: progress\ndata: {}\n\n")
        self._state = state
        for text in news:
            self._tell(text)

    async def looked(self) -> None:
        """Wait for the first look: what happened up to it is to be read, what happens after it is told."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_BEAT_SECONDS):
                await self._looked.wait()

    def end(self) -> None:
        """Let every watcher go."""
        self._tell(None)

    def _tell(self, text: bytes | None) -> None:
        for queue in self._watchers:
            if queue.full():  # who reads that slowly fetches the page as it is by then: the oldest news are no loss
                queue.get_nowait()
            queue.put_nowait(text)


TOWER = web.AppKey("tower", Tower)


async def tower_up(app: web.Application) -> AsyncIterator[None]:
    """Have a tower while the application runs."""
    app[TOWER] = Tower(app[DESK])
    yield


async def stop_watching(app: web.Application) -> None:
    """Let every watcher go, so that the process can leave at once; browsers come back by themselves."""
    app[TOWER].end()


def add_to(router: web.UrlDispatcher) -> None:
    """Answer for the stream."""
    router.add_get("/events", follow, allow_head=False)


async def follow(request: web.Request) -> web.StreamResponse:
    """Tell what happens, from the number the browser saw last, for as long as it stays."""
    tower = request.app[TOWER]
    if tower.watchers >= MOST_WATCHERS:
        raise web.HTTPServiceUnavailable(text="too many watch already", headers={"Retry-After": "30"})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    with tower.watched() as queue:
        await response.prepare(request)
        with suppress(ConnectionError):
            await response.write(b"retry: 3000\n\n")
            await tower.looked()
            for event in await _missed(request):
                await response.write(_told(event))
            await _relay(response, queue)
    return response


async def _relay(response: web.StreamResponse, queue: Queue) -> None:
    while True:
        try:
            async with asyncio.timeout(_BEAT_SECONDS):
                text = await queue.get()
        except TimeoutError:
            text = b": still here\n\n"  # a connection that is gone is noticed by writing to it
        if text is None:
            return
        await response.write(text)


async def _missed(request: web.Request) -> list[Event]:
    seen = request.headers.get("Last-Event-ID") or request.query.get("after", "")
    if not seen.isdecimal() or len(seen) > 18:  # noqa: PLR2004 - what a ledger number can be
        return []
    return await request.app[DESK].read(_after, int(seen))


def _after(session: Session, seq: int) -> list[Event]:
    return events(session, after=seq, limit=MOST_MISSED)


def _news(session: Session, seq: int | None) -> tuple[list[Event], str]:
    """Return the events after a number (or the last one there is), and how far all work is."""
    if seq is None:
        last = last_event(session)
        found = [last] if last else []
    else:
        found = events(session, after=seq, limit=MOST_MISSED)
    jobs = [(job.id, job.state, job.progress) for job in open_jobs(session)]
    return found, json.dumps([cursor(session, "daemon:status"), jobs], sort_keys=True, default=str)


def _told(event: Event) -> bytes:
    body = json.dumps({"kind": event.kind, "line": event.line, "subject": event.subject})
    return f"id: {event.seq}\ndata: {body}\n\n".encode()
