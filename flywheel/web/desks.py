"""What every page works with: the settings, the store to read, the store to ask in, the token."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError, ProgrammingError

from flywheel.core.clocks import Clock
from flywheel.core.errors import UnavailableError
from flywheel.daemon.settings import Settings
from flywheel.store.stores import Store, make_engine
from flywheel.web.counts import Counts
from flywheel.web.policy_shelves import PolicyShelf
from flywheel.web.tokens import Keeper

Result = TypeVar("Result")

_THREADS = 4
_SQLITE = "sqlite:///"
_LACKS = ("no such table", "no such column", "does not exist")


@dataclass(slots=True)
class Desk:
    """The parts, put together once. Pages read through `read` and ask through `write`, both off the event loop."""

    settings: Settings
    clock: Clock
    keeper: Keeper
    counts: Counts = field(init=False)
    policies: PolicyShelf = field(default_factory=PolicyShelf)
    _reader: Store = field(init=False)
    _writer: Store = field(init=False)
    _threads: ThreadPoolExecutor = field(init=False)
    _file: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Open nothing yet: the store may still be made."""
        url = self.settings.store_url
        self._reader, self._writer = Store(_read_only(make_engine(url))), Store(make_engine(url))
        self.counts = Counts(self.read)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="web")

    async def read(self, function: Callable[..., Result], *args: Any) -> Result:
        """Return `function(session, *args)` as of one moment; the session cannot write."""
        return await self.apart(self._read, function, *args)

    async def write(self, function: Callable[..., Result], *args: Any) -> Result:
        """Return `function(session, *args)`, whole or not at all. Only a person's requests are ever written."""
        return await self.apart(self._write, function, *args)

    async def apart(self, function: Callable[..., Result], *args: Any) -> Result:
        """Return `function(*args)`, run beside the event loop: for files and whatever else may wait."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args))

    async def close(self) -> None:
        """Let go of threads and connections."""
        await self.counts.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._reader.close()
        self._writer.close()

    def _read(self, function: Callable[..., Result], *args: Any) -> Result:
        self._check()
        with _of_this_version(), self._reader.read() as session:
            return function(session, *args)

    def _write(self, function: Callable[..., Result], *args: Any) -> Result:
        self._check()
        with _of_this_version(), self._writer.write() as session:
            return function(session, *args)

    def _check(self) -> None:
        """Refuse before a connection would make an empty store in the daemon's place; let go of a file that is gone."""
        url = self.settings.store_url
        if not url.startswith(_SQLITE):
            return
        try:
            stat = Path(url.removeprefix(_SQLITE)).stat()
        except OSError as error:
            raise UnavailableError("the daemon has not made its store yet", "start it: `flywheel run`") from error
        now = (stat.st_dev, stat.st_ino)
        if self._file not in {None, now}:  # another store has its place: one that was restored
            self._reader.close()
            self._writer.close()
        self._file = now


@contextmanager
def _of_this_version() -> Iterator[None]:
    """Say in words what a store lacks that the daemon has not brought up to date yet."""
    try:
        yield
    except (OperationalError, ProgrammingError) as error:
        if not any(words in str(error.orig) for words in _LACKS):
            raise
        message = "the store is of another version of flywheel"
        raise UnavailableError(message, "start the daemon, which brings it up to date: `flywheel run`") from error


def _read_only(engine: Engine) -> Engine:
    """Have the database itself refuse whatever a page would write."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
        return engine
    return engine.execution_options(postgresql_readonly=True)


DESK = web.AppKey("desk", Desk)


def desk_of(request: web.Request) -> Desk:
    """Return the desk that a request is answered at."""
    return request.app[DESK]
