"""Resting between calls, until it is over or nobody is to rest any more."""

import asyncio
from collections.abc import Awaitable, Callable

Sleep = Callable[[float], Awaitable[None]]


class Rest:
    """Sleeps as it is told to; once it is ended, whoever sleeps wakes up and nobody sleeps again."""

    def __init__(self, sleep: Sleep) -> None:
        """Take how to sleep."""
        self._sleep = sleep
        self._over = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Tell whether it was ended."""
        return self._over.is_set()

    def end(self) -> None:
        """Wake everybody."""
        self._over.set()

    async def __call__(self, seconds: float) -> None:
        """Sleep so long, or until all rest is over."""
        if self.is_over:
            return
        waiting = {asyncio.ensure_future(self._sleep(seconds)), asyncio.ensure_future(self._over.wait())}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
