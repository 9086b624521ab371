"""A source that is missing, replaced, locked, damaged or odd is named once, and everything else goes on."""

import shutil
import sqlite3

import pytest

from flywheel.core.attempts import Retry
from flywheel.core.errors import ResourceError, SettingsError
from flywheel.sources.connections import WatchedDatabase
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.settings import GenericSource


def failures(house):
    return [event.body["problem"] for event in house.events("sources.source_failed")]


@pytest.mark.asyncio
async def test_a_missing_file_is_told_once_and_read_when_it_appears(store, tmp_path, house, agent):
    """Missing folder, missing file and the file at last: two named failures, one recovery, all outcomes."""
    agent.task("t1", 1)
    agent.call("t1")
    agent.run("PRAGMA wal_checkpoint(TRUNCATE)")
    away = type(house)(store, GenericSource(name="away", path=tmp_path / "later" / "agent.db"))
    assert isinstance((await away.cycle())[0], Retry)
    assert await away.cycle() == []
    assert "cannot be read" in (await away.room.propose()).waits["tool-calling"]
    away.source.path.parent.mkdir()
    await away.cycle()
    assert failures(away) == ["is not there: its folder is missing", "is not there: there is no such file"]
    shutil.copy(agent.path, away.source.path)
    await away.cycle()
    assert len(away.events("sources.source_recovered")) == 1
    assert away.labels() == {"positive": 1}
    away.room.close()


@pytest.mark.asyncio
async def test_a_replaced_file_is_read_from_its_beginning(house, agent, tmp_path):
    """When another database takes the file's place, everything in it is read and nothing is doubled."""
    agent.task("t1", 1)
    agent.call("t1")
    await house.cycle()
    other = type(agent)(tmp_path / "other.db")
    for name in ("t1", "t2"):
        other.task(name, 1)
        other.call(name)
    other.close()
    agent.close()
    for name in ("agent.db-wal", "agent.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "other.db").replace(agent.path)
    await house.cycle()
    assert house.labels() == {"positive": 2}


@pytest.mark.asyncio
async def test_a_damaged_file_is_named_and_others_go_on(store, tmp_path, house):
    """A file that is no database is a named failure."""
    path = tmp_path / "bad.db"
    path.write_bytes(b"this is not a database at all" * 100)
    bad = type(house)(store, GenericSource(name="bad", path=path))
    await bad.cycle()
    assert failures(bad) == ["is not an SQLite database"]


@pytest.mark.asyncio
async def test_missing_tables_and_columns_are_named(store, tmp_path, house):
    """Tables that do not fit are a named failure while running, told again only when it changes."""
    path = tmp_path / "odd.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE task_runs (task_id TEXT)")
    odd = type(house)(store, GenericSource(name="odd", path=path))
    await odd.cycle()
    assert await odd.cycle() == []
    connection.execute("ALTER TABLE task_runs ADD COLUMN success INTEGER")
    await odd.cycle()
    assert [problem.split(": ", 1)[1] for problem in failures(odd)] == [
        "table task_runs has no column for success (looked for success, succeeded, is_success, passed, ok)",
        "there is no table llm_calls",
    ]
    odd.room.close()
    connection.close()


def test_a_wrong_column_map_is_an_error_at_start(agent, house, store):
    """A mapping to a column that is not there says so at start and names the nearest."""
    wrong = GenericSource(name="agent", path=agent.path, call_columns={"response": "respons"})
    room = type(house)(store, wrong).room
    with pytest.raises(SettingsError, match=r"no column 'respons'.*did you mean 'response'"):
        room.check()
    unknown = type(house)(store, wrong.model_copy(update={"call_columns": {"respnse": "response"}})).room
    with pytest.raises(SettingsError, match="not mapped by 'respnse'"):
        unknown.check()
    room.close()
    unknown.close()


def test_a_locked_database_is_named(tmp_path):
    """A database somebody keeps locked is a named problem after the wait, and readable afterwards."""
    path = tmp_path / "locked.db"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("CREATE TABLE t (x)")
    writer.execute("PRAGMA locking_mode = EXCLUSIVE")
    writer.execute("BEGIN EXCLUSIVE")
    watched = WatchedDatabase(path, lock_seconds=0.05)
    with pytest.raises(SourceProblemError, match="locked"), watched.reading():
        pass
    writer.close()
    with watched.reading() as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    watched.close()


def test_the_agents_database_cannot_be_written(agent):
    """The connection refuses every write, and reading leaves the agent's bytes as they are."""
    agent.task("t1", 1)
    before = agent.path.read_bytes()
    watched = WatchedDatabase(agent.path)
    with pytest.raises(SourceProblemError, match="cannot be read"), watched.reading() as connection:
        connection.execute("DELETE FROM task_runs")
    watched.close()
    assert agent.path.read_bytes() == before


ODD_ROWS = {
    "bytes": {"response": b"\xff\xfe\x00"},
    "no-question": {"prompt": None},
    "not-json": {"prompt": None, "messages": "[{"},
    "unknown-role": {"messages": '[{"role": "alien", "content": "x"}]'},
    "not-messages": {"messages": '{"a": 1}'},
    "not-text": {"messages": '[{"role": "user", "content": [{"type": "image_url"}]}]'},
    "half a character": {"messages": '[{"role": "user", "content": "\\ud800"}]'},
    "deep": {"messages": "[" * 100_000},
    "zero byte": {"model": "a\x00b"},
}


@pytest.mark.asyncio
@pytest.mark.parametrize("case", ODD_ROWS)
async def test_an_odd_row_is_quarantined_and_the_rest_goes_on(house, agent, case):
    """A row of the wrong shape is quarantined once, by rule, without its content; its neighbours are stored."""
    for task in ("a", "b", "c"):
        agent.task(task, 1)
        agent.call(task, **(ODD_ROWS[case] if task == "b" else {}))
    await house.cycle()
    assert house.labels() == {"positive": 2}
    (event,) = house.events("sources.row_quarantined")
    assert set(event.body) == {"row", "rule", "reason"}
    assert await house.proposals() == 0


@pytest.mark.asyncio
async def test_broken_utf8_and_nameless_rows_are_quarantined(house, agent):
    """Text that is not UTF-8 and calls of no task are refused by name."""
    agent.task("a", 1)
    agent.run("INSERT INTO llm_calls (task_id, prompt, response) VALUES ('a', CAST(x'ff41' AS TEXT), 'r')")
    agent.call(None)
    agent.call(b"\xff")
    await house.cycle()
    assert sorted(event.body["rule"] for event in house.events("sources.row_quarantined")) == [
        "no-task", "no-task", "not-utf8",
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_odd_success_values_are_unknown(house, agent):
    """What is not clearly success or failure is unknown."""
    for number, value in enumerate([None, 2, "maybe", b"\x01", -1, ""]):
        agent.task(f"t{number}", value)
        agent.call(f"t{number}")
    await house.cycle()
    assert house.labels() == {"unknown": 6}


@pytest.mark.asyncio
async def test_a_source_that_is_away_asks_for_no_look(store, tmp_path, house):
    """A full look that waits for a missing source costs nothing until the source is back."""
    away = type(house)(store, GenericSource(name="late", path=tmp_path / "late.db"))
    await away.cycle()
    away.room.changed()
    away.room.ask_full_look()
    assert [away.room.changed() for _ in range(3)] == [False, False, False]
    late = sqlite3.connect(tmp_path / "late.db")
    late.execute("CREATE TABLE x (y)")
    late.close()
    assert away.room.changed()
    away.room.close()


@pytest.mark.asyncio
async def test_another_file_is_not_read_by_the_columns_of_the_one_before(house, agent, tmp_path):
    """A replaced file with other columns is looked at anew: a column that is gone is never taken for success."""
    agent.task("t1", 1)
    agent.call("t1")
    await house.cycle()
    assert house.labels() == {"positive": 1}
    agent.close()
    for name in ("agent.db-wal", "agent.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    for number in range(5):
        other = type(agent)(tmp_path / "other.db", _OTHER_SCHEMA)
        other.run("INSERT INTO task_runs VALUES (?, 0, '2026-01-01T10:00:00Z', '', '')", f"failed-{number}")
        other.call(f"failed-{number}")
        other.close()
        (tmp_path / "other.db").replace(agent.path)
        await house.cycle()
    assert house.labels() == {"positive": 1, "negative": 5}


_OTHER_SCHEMA = """
CREATE TABLE task_runs (task_id TEXT PRIMARY KEY, passed INTEGER, created_at TEXT NOT NULL, session TEXT, repo TEXT);
CREATE TABLE llm_calls (id INTEGER PRIMARY KEY, task_id TEXT, call_type TEXT, model TEXT, system_prompt TEXT,
  prompt TEXT, messages TEXT, response TEXT, timestamp TEXT, latency_ms REAL);
CREATE INDEX llm_calls_task ON llm_calls (task_id);
"""


@pytest.mark.asyncio
async def test_what_could_not_be_stored_is_read_again(house, agent, monkeypatch):
    """A disk that was full during a look hides nothing: the next look finds it, though the agent wrote nothing more."""
    agent.task("t1", 1)
    agent.call("t1")
    with monkeypatch.context() as full:
        full.setattr(house.store, "write", _no_room)
        with pytest.raises(ResourceError):
            await house.cycle()
    assert house.room.changed()
    await house.cycle()
    assert house.labels() == {"positive": 1}
    assert not house.room.changed()


def _no_room():
    raise ResourceError("the store cannot write", "free disk space")
