"""The capture's writer: one thread, a transaction every tenth of a second, never in a request's way.

Calls wait in a bounded queue. While the disk is locked, full or gone they stay there and the writer tries again; what
no longer fits is dropped and counted, because a lost row is a lesson less and a waiting request is a broken agent.
What holds a secret loses its bodies before it is written; what is too old, or too much, is forgotten.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

import structlog

from flywheel.core.clocks import Clock
from flywheel.gateway.calls import Call
from flywheel.gateway.databases import Tidied
from flywheel.gateway.shelves import OwnShelf, Shelf, ShelfElsewhere, ShelfTroubleError

log = structlog.get_logger(__name__)

BATCH_SECONDS = 0.1
_LONGEST_PAUSE = 5.0
_CALLS_A_BATCH = 500
_LARGE_CALLS_A_BATCH = 25
_BYTES_A_BATCH = 4 * 1024 * 1024  # of all that wait: beyond that fewer calls go at once
_SECONDS_BETWEEN_TIDYINGS = 10.0
_SECONDS_BETWEEN_COMPLAINTS = 5.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait in memory, and how large and how old the file may grow before its oldest calls go."""

    calls: int = 10_000
    bytes: int = 64 * 1024 * 1024
    file_bytes: int = 4096 * 1024 * 1024
    age: timedelta = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class CaptureCounts:
    """What became of the calls so far; `trouble` is why they cannot be written now.

    `quarantined` of them held a secret and are written without their bodies; `forgotten` were too old or too many.
    """

    written: int = 0
    waiting: int = 0
    dropped: int = 0
    quarantined: int = 0
    forgotten: int = 0
    trouble: str | None = None


class CaptureWriter:
    """Takes calls from the request path and puts them on disk when it can."""

    def __init__(self, path: Path, clock: Clock, bounds: Bounds | None = None, *, apart: bool = False) -> None:
        """Prepare; nothing is opened before `start`. With `apart` a process of its own looks through and writes."""
        self._bounds = bounds or Bounds()
        self._shelf: Shelf = (ShelfElsewhere if apart else OwnShelf)(path, self._bounds.file_bytes)
        self._clock = clock
        self._queue: deque[Call] = deque()
        self._waiting_bytes = 0
        self._written = self._dropped = self._quarantined = self._forgotten = self._reported = 0
        self._last_complaint = self._last_tidying = float("-inf")
        self._trouble: str | None = None
        self._pause = BATCH_SECONDS
        self._closed = False
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        # A daemon thread: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def offer(self, call: Call) -> bool:
        """Take a call without ever waiting; False when there is no room and it was dropped."""
        with self._lock:
            if self._closed or self._is_full(call):
                self._dropped += 1
                return False
            self._queue.append(call)
            self._waiting_bytes += call.size
            return True

    def counts(self) -> CaptureCounts:
        """Return the counts at this moment."""
        with self._lock:
            return CaptureCounts(
                self._written, self._waiting(), self._dropped, self._quarantined, self._forgotten, self._trouble
            )

    def close(self, seconds: float = 5.0) -> CaptureCounts:
        """Write what waits, for at most `seconds`; what is left then is counted as dropped."""
        self._stopping.set()
        self._thread.join(seconds)
        with self._lock:
            self._dropped += self._waiting()
            self._closed = True
        self._complain(at_once=True)
        return self.counts()

    def _waiting(self) -> int:
        if self._closed:
            return 0
        return len(self._queue)

    def _is_full(self, call: Call) -> bool:
        waiting = self._waiting()
        if not waiting:
            return False  # one call of any size fits, or a large one would never be kept
        return waiting >= self._bounds.calls or self._waiting_bytes + call.size > self._bounds.bytes

    def _run(self) -> None:
        while not self._stopping.wait(self._pause):
            self._turn()
        self._turn()
        self._shelf.close()

    def _turn(self) -> None:
        """Write what waits, a batch at a time; stop at the first trouble, and tidy up when it is time."""
        while (batch := self._batch()) and self._attempt(batch):
            pass
        self._tidy()
        self._complain()

    def _batch(self) -> Sequence[Call]:
        """Return the calls that waited longest, not too many: the next ones follow at once."""
        with self._lock:
            most = _CALLS_A_BATCH if self._waiting_bytes <= _BYTES_A_BATCH else _LARGE_CALLS_A_BATCH
            return list(islice(self._queue, most))

    def _attempt(self, batch: Sequence[Call]) -> bool:
        """Write a batch; return whether the next may follow at once."""
        try:
            stored = self._shelf.write(batch)
        except ShelfTroubleError as error:
            self._note_trouble(str(error))
            return False
        except Exception:  # the supervised edge: a batch that can never be written must not block all others
            log.exception("gateway.capture_failed", calls=len(batch))
            self._forget(batch, written=False)
            return True
        self._note_health()
        self._forget(batch, written=True)
        self._quarantined += len(stored.quarantined)
        for call, rule in stored.quarantined.items():
            log.warning("gateway.call_quarantined", call=call, rule=rule)
        return True

    def _forget(self, batch: Sequence[Call], *, written: bool) -> None:
        size = sum(call.size for call in batch)
        with self._lock:
            if self._closed:
                return  # they were counted already
            for _ in batch:
                self._queue.popleft()
            self._waiting_bytes -= size
            if written:
                self._written += len(batch)
            else:
                self._dropped += len(batch)

    def _tidy(self) -> None:
        now = self._clock.monotonic()
        if self._trouble is not None or now - self._last_tidying < _SECONDS_BETWEEN_TIDYINGS:
            return
        try:
            done = self._shelf.tidy(self._clock.now() - self._bounds.age)
        except ShelfTroubleError as error:
            log.warning("gateway.capture_untidy", reason=str(error))
            done = Tidied(0, more=False)
        except Exception:  # the supervised edge: what cannot be tidied must not end the writing
            log.exception("gateway.capture_untidy")
            done = Tidied(0, more=False)
        self._forgotten += done.calls
        if done.calls:
            log.info("gateway.calls_forgotten", calls=done.calls, more=done.more)
        if not done.more:
            self._last_tidying = now

    def _note_trouble(self, trouble: str) -> None:
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        if trouble != self._trouble:
            log.warning("gateway.capture_failed", reason=trouble, waiting=self._waiting())
        self._trouble = trouble

    def _note_health(self) -> None:
        self._pause = BATCH_SECONDS
        if self._trouble is not None:
            log.info("gateway.capture_recovered", after=self._trouble)
        self._trouble = None

    def _complain(self, *, at_once: bool = False) -> None:
        """Log the calls dropped since the last time, not more often than every few seconds."""
        new, now = self._dropped - self._reported, self._clock.monotonic()
        if new and (at_once or now - self._last_complaint >= _SECONDS_BETWEEN_COMPLAINTS):
            log.warning("gateway.calls_dropped", calls=new, in_all=self._dropped, reason=self._trouble)
            self._reported, self._last_complaint = self._dropped, now
