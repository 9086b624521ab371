"""The boxes: so many at once, each for one test at a time; a box that is lost is replaced, its test is failed."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from flywheel.core.errors import UnavailableError
from flywheel.sandbox.boxes import Box, LostError
from flywheel.sandbox.endings import ending_of
from flywheel.sandbox.languages import Trial
from flywheel.sandbox.programs import Ending, Run

log = structlog.get_logger(__name__)

_PATIENCE_SECONDS = 2.0
_AGAIN_SECONDS = 1.0


class Pool:
    """So many boxes, ready."""

    def __init__(self, make: Callable[[int], Awaitable[Box]], workers: int) -> None:
        """Make boxes by `make`, one for each worker."""
        self._make = make
        self.workers = workers
        self._idle: asyncio.Queue[Box] = asyncio.Queue()
        self._boxes: dict[int, Box] = {}
        self._mending: set[asyncio.Task[None]] = set()
        self._closing = False
        self._why = ""

    async def start(self) -> None:
        """Make the boxes ready; raises UnavailableError when one cannot be made."""
        made = await asyncio.gather(*map(self._make, range(self.workers)), return_exceptions=True)
        for box in made:
            if isinstance(box, Box):
                self._keep(box)
        for failed in made:
            if isinstance(failed, BaseException):
                await self.close()
                raise failed

    async def run(self, trial: Trial) -> Run:
        """Run one test in the next free box; UnavailableError when no box can be made any more."""
        box = await self._free()
        whole = False
        try:
            told = await box.run(trial)
            whole = trial.kind != "command"  # a command may write: its box goes with what it wrote
        except LostError as error:
            if self._closing:
                raise UnavailableError("the executor is leaving", delay=2) from error
            log.warning("executor.box_lost", reason=str(error), place=box.place)
            return Run(ending=Ending.DIED, detail=f"the box was lost: {error}"[:500])
        finally:
            if whole:
                self._idle.put_nowait(box)
            else:
                self._replace(box)
        return ending_of(told, trial.limits, is_call=trial.returns)

    async def close(self) -> None:
        """End every box."""
        self._closing = True
        for task in self._mending:
            task.cancel()
        await asyncio.gather(*self._mending, return_exceptions=True)
        await asyncio.gather(*(box.close() for box in self._boxes.values()))
        self._boxes.clear()

    async def _free(self) -> Box:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    box = await self._idle.get()
                if not box.dead:
                    return box
                self._replace(box)  # it ended while it was idle: no test is to blame
            if self._closing or (self._why and not self._boxes):
                raise UnavailableError(f"there is no box: {self._why or 'the executor is leaving'}", delay=10)

    def _keep(self, box: Box) -> None:
        self._boxes[box.place] = box
        self._idle.put_nowait(box)

    def _replace(self, box: Box) -> None:
        if not self._closing:
            task = asyncio.get_running_loop().create_task(self._mend(box))
            self._mending.add(task)
            task.add_done_callback(self._mending.discard)

    async def _mend(self, old: Box) -> None:
        await old.close()
        self._boxes.pop(old.place, None)
        while True:
            try:
                self._keep(await self._make(old.place))
            except UnavailableError as error:
                self._why = str(error)
                log.warning("executor.box_failed", reason=self._why)
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                self._why = ""
                return
