"""Live updates: what happens is told once, in order, by number; a browser that comes back misses nothing."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from web_house import LINE, at, browser

from flywheel.core.events import Event
from flywheel.store.counters import move_cursor
from flywheel.store.ledger import append, last_event
from flywheel.store.stores import Store, make_engine
from flywheel.web import lives
from flywheel.web.lives import TOWER

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(lives, "LOOK_SECONDS", 0.02)


@pytest.fixture
def store(world):
    with Store(make_engine(world.store_url)) as store:
        yield store


def happen(store, count=1):
    """Let events happen; return their numbers."""
    with store.write() as session:
        return [
            append(session, Event(kind="daemon.started", at=at(15), body={"secret": "words"})) for _ in range(count)
        ]


def newest(store):
    """Return the number of the last event."""
    with store.read() as session:
        return last_event(session).seq


@asynccontextmanager
async def watching(client, **asked):
    """Give the stream, once its watch has begun."""
    async with client.get("/events", **asked) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        await answer.content.readuntil(b"\n\n")
        tower = client.server.app[TOWER]
        await tower.looked()
        yield answer.content


async def numbers(stream, count):
    """Return the numbers of the next events of the stream."""
    found = []
    async with asyncio.timeout(30):
        while len(found) < count:
            text = (await stream.readuntil(b"\n\n")).decode()
            if text.startswith("id: "):
                found.append(int(text.split()[1]))
    return found


async def test_what_happens_is_told_by_its_number_and_never_its_content(world, store):
    """A new event reaches who watches with its kind; what it holds stays where a page may show it by its rules."""
    async with browser(world) as client, watching(client) as stream:
        (seq,) = happen(store)
        async with asyncio.timeout(30):
            text = await stream.readuntil(b"\n\n")
        assert text.decode().startswith(f"id: {seq}\n")
        assert b"daemon.started" in text
        assert b"words" not in text


async def test_a_browser_that_comes_back_is_told_what_it_missed(world, store):
    """With the number it saw last, everything after comes, once and in order; the page's own number does the same."""
    before = newest(store)
    missed = happen(store, 5)
    async with browser(world) as client:
        async with watching(client, headers={"Last-Event-ID": str(before)}) as stream:
            assert await numbers(stream, 5) == missed
            later = happen(store, 3)
            assert await numbers(stream, 3) == later
        async with watching(client, params={"after": str(missed[2])}) as stream:
            assert await numbers(stream, 5) == missed[3:] + later


async def test_what_is_missed_is_bounded(world, store):
    """Who was away for long is told the newest alone: it fetches its page anyway."""
    happen(store, lives.MOST_MISSED + 20)
    async with browser(world) as client, watching(client, params={"after": "1"}) as stream:
        told = await numbers(stream, lives.MOST_MISSED)
    assert told[-1] == newest(store)


async def test_progress_is_told_without_an_event(world, store):
    """Work that goes on changes no ledger, but pages that show its bar are renewed."""
    async with browser(world) as client, watching(client) as stream:
        with store.write() as session:
            move_cursor(session, "daemon:status", {"at": at(15).isoformat(), "sentence": "other", "waits": {}})
        async with asyncio.timeout(30):
            assert b"event: progress" in await stream.readuntil(b"\n\n")


async def test_nobody_looks_while_nobody_watches(world, store):
    """The store is looked at by one task for all, and by none when the last watcher has gone."""
    async with browser(world) as client:
        tower = client.server.app[TOWER]
        async with watching(client), watching(client):
            assert tower.watchers == 2
        async with asyncio.timeout(30):
            while tower.watchers:  # noqa: ASYNC110 - the server notices the end by itself
                await asyncio.sleep(0.01)
        assert tower._look is None


async def test_too_many_watchers_are_sent_away(world, monkeypatch):
    """There is room for so many; the next one is told to come back."""
    monkeypatch.setattr(lives, "MOST_WATCHERS", 1)
    async with browser(world) as client, watching(client):
        answer = await client.get("/events")
        assert answer.status == 503


async def test_a_number_that_is_none_is_no_error(world):
    """Whatever a browser says it saw, the stream begins."""
    async with browser(world) as client:
        for seen in ("x", "-1", "9" * 30, ""):
            async with watching(client, headers={"Last-Event-ID": seen}):
                pass


async def test_a_page_says_up_to_where_it_is_true(world, store):
    """A page carries the number of the last event it knows, so that nothing between it and its stream is lost."""
    async with browser(world) as client:
        page = await (await client.get("/")).text()
    assert f'data-seq="{newest(store)}"' in page
    assert f'href="/lines/{LINE}"' in page
