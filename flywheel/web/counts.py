"""How the tasks of each adapter ended: counted beside the pages, because counting is dear, and kept while nothing came.

A page takes what is known. Where nothing is known yet it says so, and is renewed when the counting is done.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from flywheel.core.errors import FlywheelError
from flywheel.core.frozen import Frozen
from flywheel.store.attributions import Successes, successes
from flywheel.store.chronicles import Period, last_seq, periods

#: What changes how tasks ended, or who answered them.
_NEWS = ("sources.outcomes_ingested", "sources.calls_attributed", "operator.records_forgotten")
_PATIENCE_SECONDS = 0.05
_REST = 20  # counting takes at most one part in so many of the time


class Ended(Frozen):
    """How the tasks ended that one model alone answered, and from when to when it answered."""

    tasks: Successes
    period: Period | None = None


Counted = dict[str, Ended]
Read = Callable[..., Coroutine[Any, Any, Any]]


@dataclass(slots=True)
class _Known:
    version: int
    value: Counted
    rest_until: float


class Counts:
    """What was counted, line by line."""

    def __init__(self, read: Read) -> None:
        """Count with this, which runs a function on a session beside the event loop."""
        self._read = read
        self._known: dict[str, _Known] = {}
        self._counting: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()  # one line at a time: pages want threads, too
        self.done = 0

    async def of(self, line: str, version: int) -> Counted | None:
        """Return what is known of a line at this state of the store (see `version_of`); None while nothing is."""
        known = self._known.get(line)
        fresh = known is not None and known.version == version
        if not fresh and line not in self._counting and (known is None or time.monotonic() >= known.rest_until):
            self._counting[line] = asyncio.create_task(self._count(line, version))
        if known is None and (counting := self._counting.get(line)) is not None:
            await asyncio.wait({counting}, timeout=_PATIENCE_SECONDS)
            known = self._known.get(line)
        return known.value if known else None

    async def close(self) -> None:
        """Give up what is being counted."""
        tasks = list(self._counting.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _count(self, line: str, version: int) -> None:
        try:
            async with self._turn:
                began = time.monotonic()
                value = await self._read(_count, line)
                now = time.monotonic()
            self._known[line] = _Known(version, value, now + _REST * (now - began))
            self.done += 1
        except FlywheelError:
            return  # the page that asked says what is wrong with the store
        finally:
            self._counting.pop(line, None)


def version_of(session: Session) -> int:
    """Return a number that grows when what is counted may have changed."""
    return last_seq(session, _NEWS)


def _count(session: Session, line: str) -> Counted:
    found = successes(session, line)
    seen = periods(session, line, found)
    return {name: Ended(tasks=tasks, period=seen.get(name)) for name, tasks in found.items()}
