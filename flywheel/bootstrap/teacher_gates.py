"""The gate in front of one teacher: so many at once, so many a minute, nobody while it wants to be left alone."""

import asyncio
from typing import Literal

from flywheel.bootstrap.rests import Rest
from flywheel.bootstrap.teacher_books import TeacherBook
from flywheel.bootstrap.teachers import Teacher
from flywheel.core.clocks import Clock

_MINUTE = 60.0
_IN_VAIN = 5

Shut = Literal["refused", "unavailable"]


class TeacherGate:
    """Lets calls through to one teacher, until it is shut for the rest of the run."""

    def __init__(self, teacher: Teacher, book: TeacherBook, clock: Clock, rest: Rest) -> None:
        """Open it."""
        self.turn = asyncio.Semaphore(teacher.concurrency)
        self.shut_as: Shut = "unavailable"
        self.shut_because = ""
        self._teacher, self._book, self._clock, self._rest = teacher, book, clock, rest
        self._quiet_until = 0.0
        self._in_vain = 0

    async def wait(self) -> None:
        """Return when a call may begin."""
        while (pause := self._quiet_until - self._clock.monotonic()) > 0 and not self._is_over:
            await self._rest(pause)
        if self._teacher.rate is not None and not self._is_over:
            now = self._clock.now().timestamp()
            begin = self._book.slot(self._teacher.name, now, _MINUTE / self._teacher.rate)
            if begin > now:
                await self._rest(begin - now)

    def leave_alone(self, seconds: float) -> None:
        """Let nobody through for a while."""
        self._quiet_until = max(self._quiet_until, self._clock.monotonic() + seconds)

    def was_answered(self) -> None:
        """Forget what was asked in vain."""
        self._in_vain = 0

    def was_in_vain(self, note: str) -> None:
        """Count a question given up; after as many in a row as are asked at once, the teacher is taken to be away."""
        self._in_vain += 1
        if self._in_vain >= max(self._teacher.concurrency, _IN_VAIN):
            self.shut("unavailable", note)

    def shut(self, how: Shut, note: str) -> None:
        """Let nobody through any more."""
        if not self.shut_because:
            self.shut_as, self.shut_because = how, note

    @property
    def _is_over(self) -> bool:
        return bool(self.shut_because) or self._rest.is_over
