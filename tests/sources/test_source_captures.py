"""The gateway's capture: each call is joined to who answered it, once."""

import json
import sqlite3

import pytest
from sqlmodel import select

from flywheel.sources import captures, run
from flywheel.sources.capture_sweeps import Wanted, find_calls
from flywheel.sources.settings import GenericSource
from flywheel.store.join_tables import CapturedCallRow
from flywheel.store.tables import AttributionRow

pytestmark = pytest.mark.asyncio

CAPTURE = """
CREATE TABLE calls (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, at TEXT NOT NULL, alias TEXT,
  model TEXT, arm TEXT, routing_version INTEGER, session TEXT NOT NULL, session_source TEXT, task TEXT)
"""


def write(connection, call, alias="tool-calling", task=None):
    connection.execute(
        "INSERT INTO calls (id, at, alias, model, arm, session, task) VALUES (?,?,?,?,?,?,?)",
        (call, "2026-01-01T10:00:00.000001+00:00", alias, "tool-calling@2", "canary", "s1", task),
    )


async def test_calls_are_attributed_once(store, agent, house, tmp_path):
    """An absent capture is no failure; calls through an alias are stored once, by task or else session."""
    path = tmp_path / "capture.db"
    watched = type(house)(store, GenericSource(name="agent", path=agent.path), path)
    await watched.cycle()
    assert watched.events("sources.source_failed") == []
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(CAPTURE)
    write(connection, "c1", task="t1")
    write(connection, "c2")
    write(connection, "c3", alias=None)
    for _ in range(2):
        await watched.cycle()
        watched.room.close()
        watched.room = watched.new_room()
    with store.read() as session:
        rows = session.exec(select(AttributionRow)).all()
    assert [(row.call, row.name, row.arm, row.task) for row in rows] == [
        ("c1", "tool-calling@2", "canary", "t1"), ("c2", "tool-calling@2", "canary", "s1"),
    ]  # fmt: skip
    assert [event.body["calls"] for event in watched.events("sources.calls_attributed")] == [2]
    watched.room.close()
    connection.close()


async def test_an_agent_that_never_pauses_is_looked_at_twice_a_second(store, agent, house, tmp_path):
    """Calls alone ask for no cycle each; what came meanwhile is stored at the next look, or with the next outcome."""
    path = tmp_path / "capture.db"
    watched = type(house)(store, GenericSource(name="agent", path=agent.path), path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(CAPTURE)
    for number in range(20):
        write(connection, f"c{number}")
        await watched.cycle(later=0.1)
    assert len(watched.events("sources.calls_attributed")) == 4
    write(connection, "c20")
    assert not watched.room.changed()
    agent.task("t1", success=1)
    agent.call("t1")
    assert watched.room.changed()
    await watched.cycle(later=0)
    assert sum(event.body["calls"] for event in watched.events("sources.calls_attributed")) == 21
    watched.room.close()
    connection.close()


async def test_a_backlog_of_calls_is_read_without_a_rest(store, agent, house, tmp_path, monkeypatch):
    """Where a turn ends with more to read the next look goes on at once: reading once reads everything."""
    monkeypatch.setattr(captures, "CALLS_A_BATCH", 2)
    monkeypatch.setattr(run, "BATCHES_A_TURN", 1)
    path = tmp_path / "capture.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(CAPTURE)
    for number in range(9):
        write(connection, f"c{number}")
    watched = type(house)(store, GenericSource(name="agent", path=agent.path), path)
    while await watched.cycle(later=0):
        pass
    assert sum(event.body["calls"] for event in watched.events("sources.calls_attributed")) == 9
    watched.room.close()
    connection.close()


async def test_a_broken_capture_is_no_news_again_and_again(store, agent, house, tmp_path):
    """A capture that cannot be read does not seem mended while it rests: it is told once, and asks for no cycle."""
    path = tmp_path / "capture.db"
    path.write_bytes(b"this is no database" * 100)
    watched = type(house)(store, GenericSource(name="agent", path=agent.path), path)
    assert watched.room.changed()
    for _ in range(5):
        await watched.cycle(later=0.2)
        assert not watched.room.changed()
    assert len(watched.events("sources.source_failed")) == 1
    assert watched.events("sources.source_recovered") == []
    watched.room.close()


async def test_a_capture_of_another_version_is_named(store, agent, house, tmp_path):
    """A capture without the columns that are needed is a named failure."""
    path = tmp_path / "capture.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE calls (id TEXT)")
    watched = type(house)(store, GenericSource(name="agent", path=agent.path), path)
    await watched.cycle()
    (event,) = watched.events("sources.source_failed")
    assert event.subject == "gateway"
    watched.room.close()
    connection.close()


async def test_how_a_call_ended_is_kept(store, agent, house, tmp_path):
    """Status, times and tokens come along where the capture has them; what is no number is not known."""
    path = tmp_path / "capture.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(CAPTURE)
    names = ("status", "complete", "fallback", "latency_ms", "first_token_ms", "prompt_tokens", "completion_tokens")
    for name in names:
        connection.execute(f"ALTER TABLE calls ADD COLUMN {name}")
    rows = [(200, 1, 0, 12.5, 3, 7, 9), (None, 0, 1, -1.0, "x", 2**40, None)]
    for number, row in enumerate(rows):
        write(connection, f"c{number}", task="t")
        for name, value in zip(names, row, strict=True):
            connection.execute(f"UPDATE calls SET {name} = ? WHERE id = ?", (value, f"c{number}"))  # noqa: S608 - our own
    watched = type(house)(store, GenericSource(name="agent", path=agent.path), path)
    await watched.cycle()
    with store.read() as session:
        found = session.exec(select(AttributionRow)).all()
    assert [tuple(getattr(row, name) for name in names) for row in found] == [
        (200, True, False, 12.5, 3.0, 7, 9), (None, False, True, None, None, None, None),
    ]  # fmt: skip
    watched.room.close()
    connection.close()


async def test_a_shadow_is_nobodys_call(store, agent, house, tmp_path):
    """What repeats a call for comparison is attributed to no arm, and no outcome is joined to it."""
    path = tmp_path / "capture.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(CAPTURE)
    bodies = ("status INTEGER", "complete INTEGER", "request BLOB", "response BLOB", "mirrors TEXT", "secret TEXT")
    for column in bodies:
        connection.execute(f"ALTER TABLE calls ADD COLUMN {column}")
    asked = json.dumps({"messages": [{"role": "user", "content": "what"}]}).encode()
    said = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "that"}}]}).encode()
    for call, arm, mirrors in (("c1", "canary", None), ("c2", "shadow", "c1")):
        write(connection, call, task="t1")
        connection.execute(
            "UPDATE calls SET arm = ?, mirrors = ?, status = 200, complete = 1, request = ?, response = ? WHERE id = ?",
            (arm, mirrors, asked, said, call),
        )
    write(connection, "c3", task="t2")
    connection.execute("UPDATE calls SET secret = 'a-rule', status = 200, request = '', response = '' WHERE id = 'c3'")
    watched = type(house)(store, GenericSource(name="agent", path=agent.path), path)
    await watched.cycle()
    with store.read() as session:
        assert [row.call for row in session.exec(select(AttributionRow)).all()] == ["c1", "c3"]
        assert [row.call for row in session.exec(select(CapturedCallRow)).all()] == ["c1"]
    assert find_calls(path, Wanted(calls=frozenset({"c1"}))) == [1, 2]
    watched.room.close()
    connection.close()
