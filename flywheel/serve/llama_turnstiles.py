"""Lets calls through to llama-server; while it is started anew they wait, and those on their way end first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flywheel.core.errors import UnavailableError


class Turnstile:
    """Counts the calls on their way; one start at a time."""

    def __init__(self) -> None:
        """Begin open, with nobody on the way."""
        self._open = asyncio.Event()
        self._open.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._lock = asyncio.Lock()
        self.on_the_way = 0

    @property
    def is_open(self) -> bool:
        """Tell whether calls go through."""
        return self._open.is_set()

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Wait until calls go through, and count one until the block ends."""
        await self._open.wait()
        self.on_the_way += 1  # between the wait and this nothing waits, so that no start overlooks a call
        self._idle.clear()
        try:
            yield
        finally:
            self.on_the_way -= 1
            if not self.on_the_way:
                self._idle.set()

    @asynccontextmanager
    async def closed(self, seconds: float) -> AsyncIterator[None]:
        """Hold calls, wait for those on their way, and let them through again; raises when these take too long."""
        async with self._lock:
            self._open.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._idle.wait()
                yield
            except TimeoutError as error:
                raise UnavailableError(
                    f"{self.on_the_way} calls did not end in {seconds:g} s, and none is cut", "it is tried again"
                ) from error
            finally:
                self._open.set()
