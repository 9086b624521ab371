"""What a cold start made comes into the pool by the door that logged outcomes come by."""

import json
import sqlite3
from datetime import UTC, datetime

import pytest

from flywheel.core.clocks import ManualClock
from flywheel.core.lines import Line, Select
from flywheel.sources.run import SourcesRoom
from flywheel.store.ledger import events
from flywheel.store.outcomes import list_outcomes

LINES = {"code": Line(name="code", why="w", base="b", select=Select(call_types=("code",)))}


class Shelf:
    """The shelf's file, as the room of the cold start writes it."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute(
            "CREATE TABLE tasks (seq INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT UNIQUE, recipe TEXT,"
            " makings INTEGER, body TEXT)"
        )

    def put(self, task, *makings):
        """Lay down a task's makings."""
        self.connection.execute("DELETE FROM tasks WHERE task = ?", (task,))
        self.connection.execute(
            "INSERT INTO tasks (task, recipe, makings, body) VALUES (?, 'mine', ?, ?)",
            (task, len(makings), json.dumps(makings)),
        )


def making(key, response="added", **values):
    return {
        "key": key, "recipe": "mine", "origin": "synthetic", "group": "org/repo", "call_type": "code",
        "at": datetime(2026, 1, 1, tzinfo=UTC).isoformat(), "model": "git", "response": response,
        "messages": [{"role": "user", "content": f"Do {key}"}], "licence": "MIT", "about": {"commit": "c0ffee"},
        "signals": [{"name": "commit_kept", "points": 1, "strength": 0.8}],
    } | values  # fmt: skip


@pytest.fixture
def shelf(tmp_path):
    made = Shelf(tmp_path / "bootstrap.db")
    yield made
    made.connection.close()


@pytest.fixture
def room(store, tmp_path):
    made = SourcesRoom(store, ManualClock(), [], lambda: LINES, None, tmp_path / "bootstrap.db")
    yield made
    made.close()


async def look(room):
    plan = await room.propose()
    for proposal in plan.proposals:
        await room.perform(proposal.intent, None)
    return len(plan.proposals)


def stored(store):
    with store.read() as session:
        return {one.outcome.messages[0].content: one.outcome for one in list_outcomes(session, limit=1000)}


@pytest.mark.asyncio
async def test_without_a_shelf_there_is_nothing_to_do(store, room):
    """No file, no look, no complaint, even when everything is to be read again."""
    assert (room.changed(), await look(room)) == (False, 0)
    room.ask_full_look()
    await look(room)
    with store.read() as session:
        assert events(session, kinds=["sources.source_failed"]) == []


@pytest.mark.asyncio
async def test_makings_become_outcomes_that_know_where_they_come_from(store, room, shelf):
    """Origin, licence and provenance are kept, the label rests on the evidence, the line is found by its selection."""
    shelf.put("mine/org/repo/c0ffee", making("a"), making("b", origin="teacher", signals=[]))
    assert await look(room) == 1
    found = stored(store)
    made, unproved = found["Do a"], found["Do b"]
    assert (made.source, made.line, made.origin, made.labelled.label) == ("bootstrap", "code", "synthetic", "positive")
    assert made.extra == {"licence": "MIT", "recipe": "mine", "commit": "c0ffee"}
    assert (unproved.origin, unproved.labelled.label) == ("teacher", "unknown")
    assert await look(room) == 0


@pytest.mark.asyncio
async def test_what_is_made_anew_replaces_and_what_is_withdrawn_teaches_nobody(store, room, shelf):
    """A task's makings are mirrored: changed ones change, missing ones are retired, and nothing is doubled."""
    shelf.put("t", making("a"), making("b"))
    await look(room)
    shelf.put("t", making("a", response="better"))
    await look(room)
    with store.read() as session:
        found = {one.outcome.response: one.outcome.labelled.label for one in list_outcomes(session, limit=1000)
                 if one.outcome.messages[0].content == "Do a"}  # fmt: skip
    assert found == {"added": "unknown", "better": "positive"}
    assert stored(store)["Do b"].labelled.label == "unknown"


@pytest.mark.asyncio
async def test_what_is_made_for_a_line_is_for_no_other(store, room, shelf):
    """Whatever its lines select: it goes there, and to nobody when there is no such line."""
    shelf.put("t", making("a", line="code", call_type="odd"), making("b", line="gone"), making("c", call_type="odd"))
    await look(room)
    assert {words: one.line for words, one in stored(store).items()} == {"Do a": "code", "Do b": None, "Do c": None}


@pytest.mark.asyncio
async def test_no_secret_comes_in(store, room, shelf):
    """What holds one is refused by its rule, and its words are nowhere."""
    secret = "gh" + "p_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
    shelf.put("t", making("a", response=f"token = '{secret}'"), making("b"))
    shelf.put("u", {"key": "of another version"})
    await look(room)
    assert list(stored(store)) == ["Do b"]
    with store.read() as session:
        refused = [event.body["rule"] for event in events(session, kinds=["sources.row_quarantined"])]
    assert refused == ["github-token", "shape"]


@pytest.mark.asyncio
async def test_another_shelf_in_its_place_is_read_from_the_start(store, room, shelf, tmp_path):
    """A cursor belongs to one file."""
    for number in range(3):
        shelf.put(f"t{number}", making(f"a{number}"))
    await look(room)
    other = Shelf(tmp_path / "other.db")
    other.put("new", making("new"))
    other.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.connection.close()
    shelf.connection.close()
    for name in ("bootstrap.db", "bootstrap.db-wal", "bootstrap.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "other.db").rename(tmp_path / "bootstrap.db")
    await look(room)
    assert "Do new" in stored(store)
