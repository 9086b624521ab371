"""Opening the store: engine, pragmas, short transactions, errors as values of our own tree."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session, SQLModel

from flywheel.core.errors import CorruptError, FlywheelError, ResourceError, SettingsError, UnavailableError
from flywheel.core.steps import Steps
from flywheel.store.revisions import is_current

PRAGMAS = (
    "PRAGMA busy_timeout = 10000",  # another short transaction is waited for, never reported
    "PRAGMA journal_mode = WAL",  # readers never block the writer
    "PRAGMA synchronous = NORMAL",  # with WAL: consistent after a power cut; a lost tail is redone by the next cycle
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -4096",  # 4 MiB a connection: the idle daemon stays small
)


class Store:
    """The store behind a URL. Every access is a short transaction, whole or not at all."""

    def __init__(self, engine: Engine, steps: Steps | None = None) -> None:
        """Take an engine whose schema is current (see `open_store`)."""
        self.engine = engine
        self.steps = steps or Steps()
        self._writer = engine.execution_options(flywheel_begin="BEGIN IMMEDIATE")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one moment and changes nothing."""
        with _translated(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose changes all happen at the end, or none."""
        self.steps.wrote("before")
        with _translated(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session
        self.steps.wrote("after")

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def make_engine(url: str) -> Engine:
    """Return an engine for a store URL; SQLite gets its pragmas and explicit transactions."""
    with _usable():
        engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
    return engine


def open_store(url: str, steps: Steps | None = None) -> Store:
    """Open the store, creating or migrating its schema first."""
    engine = make_engine(url)
    _make_parent(url)
    with _translated():
        if not is_current(engine):
            from flywheel.store.migrating import migrate  # alembic costs 10 MB and a third of a command's start

            migrate(engine)
    return Store(engine, steps)


def sqlite_url(path: Path) -> str:
    """Return the store URL of a file."""
    return f"sqlite:///{path}"


def insert_new(session: Session, table: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows that are not there yet by any unique key; return how many were new."""
    if not rows:
        return 0
    statement = insert_into(session, table).on_conflict_do_nothing()
    return sum(session.connection().execute(statement, dict(row)).rowcount for row in rows)


def insert_into(session: Session, table: type[SQLModel]) -> Any:
    """Return an insert that can say what happens where a key is taken, in the words of the session's database."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    return insert(table)


@contextmanager
def _usable() -> Iterator[None]:
    try:
        yield
    except (ArgumentError, ModuleNotFoundError, ValueError) as error:
        # Without the URL: it may hold a password.
        raise SettingsError(
            f"the setting `store` is no URL that can be used: {error}", "see docs/settings.md"
        ) from error


def _make_parent(url: str) -> None:
    with _usable():
        database = make_url(url).database if url.startswith("sqlite") else None
    if database and database != ":memory:":
        try:
            Path(database).parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"cannot make the folder of {database}: {error.strerror}", "check home") from error
        # It holds the agent's conversations: nobody else's from the first byte. What is wrong here, SQLite says better.
        with suppress(OSError):
            os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _on_connect(connection: Any, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver's own rules are surprising
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("flywheel_begin", "BEGIN"))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        raise _as_ours(error) from error


def _as_ours(error: DatabaseError) -> FlywheelError | DatabaseError:
    name = getattr(error.orig, "sqlite_errorname", "")
    text = str(error.orig)
    if name == "SQLITE_FULL" or name.startswith("SQLITE_IOERR"):
        return ResourceError(f"the store cannot write: {text}", "free disk space; nothing was lost", delay=10)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return ResourceError("the store is locked by another program", "find it with `fuser flywheel.db`", delay=2)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return CorruptError(f"the store is damaged: {text}", "restore a backup of flywheel.db or move the file away")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return SettingsError(f"the store cannot be opened for writing: {text}", "check home and its permissions")
    if isinstance(error, OperationalError) and not name:
        return UnavailableError(f"the store does not answer: {text.partition(chr(10))[0]}", "check the setting `store`")
    return error
