"""Tables of opencode that hold secrets are never read, whatever the version."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from opencode_agents import V2_SCHEMA, Opencode

from flywheel.core.clocks import ManualClock
from flywheel.sources import opencode_schemas
from flywheel.sources.opencode_schemas import SECRET_TABLES, deny_secrets
from flywheel.sources.opencodes import OpencodeReader
from flywheel.sources.probes import _Nothing
from flywheel.sources.settings import OpencodeSource


@pytest.fixture
def opencode(tmp_path: Path) -> Iterator[Opencode]:
    made = Opencode(tmp_path / "opencode.db")
    made.run("DROP TABLE session_message")
    made.connection.executescript(V2_SCHEMA)
    made.run("INSERT INTO credential VALUES ('c', NULL, 'l', 'a secret', NULL, NULL, 1, 0, 0)")
    made.run("INSERT INTO account VALUES ('a', 'e', 'u', 'a secret', 'a secret', 0, 0, 0)")
    session = made.session()
    made.run("INSERT INTO session_share VALUES (?, 'i', 'a secret', 'u', 0, 0)", session)
    made.ask(session, "hello")
    made.answer(session, text="hi")
    yield made
    made.close()


def test_no_column_of_a_secret_table_is_ever_read(opencode, monkeypatch):
    """SQLite itself says what every statement reads: sessions and what was said in them, and never a secret."""
    read: set[str] = set()
    may = opencode_schemas._may

    def told(action, table, *rest):
        if action == sqlite3.SQLITE_READ:
            read.add(str(table))
        return may(action, table, *rest)

    monkeypatch.setattr(opencode_schemas, "_may", told)
    source = OpencodeSource(name="oc", path=opencode.path)
    reader = OpencodeReader(source, ManualClock(datetime(2030, 1, 1, tzinfo=UTC)))
    batch = reader.read({}, _Nothing())
    assert sum(len(task.outcomes) for task in batch.tasks) == 1
    assert {"session", "message", "part", "session_v2", "event_sequence"} <= read
    assert not read & (SECRET_TABLES | {"event"})
    reader.close()


@pytest.mark.parametrize("table", sorted(SECRET_TABLES))
def test_a_reader_s_connection_cannot_read_them(opencode, table):
    """Not even when it is asked to."""
    connection = sqlite3.connect(opencode.path)
    deny_secrets(connection)
    with pytest.raises(sqlite3.DatabaseError, match="prohibited"):
        connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - the names are ours
    connection.execute("SELECT * FROM session").fetchall()
    connection.close()
