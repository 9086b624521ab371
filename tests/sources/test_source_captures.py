"""The gateway's capture: each call is joined to who answered it, once."""

import sqlite3

import pytest
from sqlmodel import select

from flywheel.sources.settings import GenericSource
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
