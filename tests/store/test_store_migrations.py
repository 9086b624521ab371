"""The schema: a fresh store is at head and equals the tables, goes down and up again, and a newer one is refused."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect
from sqlmodel import SQLModel

import flywheel.store.tables  # noqa: F401 - filling the metadata is the purpose
from flywheel.core.errors import SettingsError
from flywheel.store.migrating import _config, migrate
from flywheel.store.stores import make_engine, open_store, sqlite_url

HEAD = ScriptDirectory.from_config(_config()).get_current_head()


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    engine = make_engine(sqlite_url(path))
    yield engine
    engine.dispose()


def revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def schema(engine: Engine) -> set[tuple[Any, ...]]:
    """Return everything SQLite was told to keep, by its own words."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_master").all()
    return {tuple(row) for row in rows}


def walk(engine: Engine, action: Any, to: str) -> None:
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        action(config, to)


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, SQLModel.metadata))


def test_a_fresh_store_is_at_head_and_equals_the_tables(path: Path, engine: Engine) -> None:
    """The migrations lead exactly to the tables that the code declares: no table, column or index is missing."""
    open_store(sqlite_url(path)).close()
    assert revision(engine) == HEAD
    with engine.connect() as connection:
        assert differences(connection) == []
    assert tables(engine) == set(SQLModel.metadata.tables)


def test_the_partial_indexes_keep_their_conditions(path: Path, engine: Engine) -> None:
    """One active release and one live suite a line: an index without its condition would forbid the second ever."""
    open_store(sqlite_url(path)).close()
    kept = {name: sql for kind, name, sql in schema(engine) if kind == "index"}
    for table in SQLModel.metadata.tables.values():
        for index in table.indexes:
            condition = index.dialect_options["sqlite"]["where"]
            assert condition is None or str(condition) in kept[str(index.name)]


def test_numbers_are_never_reused(path: Path, engine: Engine) -> None:
    """Every table that counts its rows keeps its count when rows are deleted."""
    open_store(sqlite_url(path)).close()
    kept = {name: sql for kind, name, sql in schema(engine) if kind == "table"}
    counting = [t.name for t in SQLModel.metadata.tables.values() if t.dialect_options["sqlite"]["autoincrement"]]
    assert "ledger" in counting
    assert [name for name in counting if "AUTOINCREMENT" not in kept[name]] == []


def test_opening_again_changes_nothing(path: Path, engine: Engine) -> None:
    """A store at head is left alone."""
    open_store(sqlite_url(path)).close()
    before = schema(engine)
    open_store(sqlite_url(path)).close()
    assert schema(engine) == before


def test_down_to_nothing_and_up_again(engine: Engine) -> None:
    """Every step has its way back, and the way up leads to the same place twice."""
    migrate(engine)
    first = schema(engine)
    walk(engine, command.downgrade, "base")
    assert tables(engine) == set()
    migrate(engine)
    assert schema(engine) == first


def test_every_revision_has_one_successor() -> None:
    """The history is a line: a fork would let two stores differ."""
    script = ScriptDirectory.from_config(_config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1


def test_a_store_from_a_newer_version_is_refused(path: Path, engine: Engine) -> None:
    """What a later flywheel wrote is not touched, and the mend is told."""
    open_store(sqlite_url(path)).close()
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    before = schema(engine)
    with pytest.raises(SettingsError, match=r"written by another version.*install the newer version"):
        open_store(sqlite_url(path))
    assert schema(engine) == before
    assert revision(engine) == "9999"


def test_a_migration_that_is_interrupted_leaves_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema changes whole: a fault after the last table leaves the store as it was."""

    def broken(*_: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr("alembic.runtime.migration.HeadMaintainer.update_to_step", broken)
        with pytest.raises(RuntimeError, match="power cut"):
            migrate(engine)
    assert tables(engine) == set()
    migrate(engine)
    assert revision(engine) == HEAD


OPEN = """
import sys
from pathlib import Path
from flywheel.store.stores import open_store, sqlite_url
open_store(sqlite_url(Path(sys.argv[1]))).close()
"""


def test_two_programs_may_open_a_fresh_store_at_once(path: Path, engine: Engine) -> None:
    """The schema is made once; the other waits and finds it."""
    programs = [subprocess.Popen([sys.executable, "-c", OPEN, str(path)], stderr=subprocess.PIPE) for _ in range(2)]
    assert [(program.communicate()[1], program.returncode) for program in programs] == [(b"", 0)] * 2
    assert revision(engine) == HEAD
