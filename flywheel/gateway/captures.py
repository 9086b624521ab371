"""The capture's writer: one thread, one transaction every tenth of a second, never in a request's way.

Calls wait in a bounded queue. While the disk is locked, full or gone they stay there and the writer tries again; what
no longer fits is dropped and counted, because a lost row is a lesson less and a waiting request is a broken agent.
"""

import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import structlog

from flywheel.core.clocks import Clock
from flywheel.gateway.calls import Call
from flywheel.gateway.databases import CaptureDatabase

log = structlog.get_logger(__name__)

BATCH_SECONDS = 0.1
_LONGEST_PAUSE = 5.0
_SECONDS_BETWEEN_COMPLAINTS = 5.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait in memory, and how large the file may grow before its oldest calls go."""

    calls: int = 10_000
    bytes: int = 64 * 1024 * 1024
    file_bytes: int = 4096 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CaptureCounts:
    """What became of the calls so far; `trouble` is why they cannot be written now."""

    written: int = 0
    waiting: int = 0
    dropped: int = 0
    trouble: str | None = None


class CaptureWriter:
    """Takes calls from the request path and puts them on disk when it can."""

    def __init__(self, path: Path, clock: Clock, bounds: Bounds | None = None) -> None:
        """Prepare; nothing is opened before `start`."""
        self._bounds = bounds or Bounds()
        self._database = CaptureDatabase(path, self._bounds.file_bytes)
        self._clock = clock
        self._queue: deque[Call] = deque()
        self._waiting_bytes = 0
        self._written = self._dropped = self._reported = 0
        self._last_complaint = float("-inf")
        self._trouble: str | None = None
        self._pause = BATCH_SECONDS
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
            if self._is_full(call):
                self._dropped += 1
                return False
            self._queue.append(call)
            self._waiting_bytes += call.size
            return True

    def counts(self) -> CaptureCounts:
        """Return the counts at this moment."""
        with self._lock:
            return CaptureCounts(self._written, len(self._queue), self._dropped, self._trouble)

    def close(self, seconds: float = 5.0) -> CaptureCounts:
        """Write what waits, for at most `seconds`; what is left then is counted as dropped."""
        self._stopping.set()
        self._thread.join(seconds)
        with self._lock:
            self._dropped += len(self._queue)
            self._queue.clear()
            self._waiting_bytes = 0
        self._complain(at_once=True)
        return self.counts()

    def _is_full(self, call: Call) -> bool:
        if not self._queue:
            return False  # one call of any size fits, or a large one would never be kept
        return len(self._queue) >= self._bounds.calls or self._waiting_bytes + call.size > self._bounds.bytes

    def _run(self) -> None:
        while not self._stopping.wait(self._pause):
            self._turn()
        self._turn()
        self._database.close()

    def _turn(self) -> None:
        with self._lock:
            batch = list(self._queue)
        if batch:
            self._attempt(batch)
        self._complain()

    def _attempt(self, batch: list[Call]) -> None:
        try:
            self._database.write(batch)
        except CaptureDatabase.TROUBLES as error:
            self._database.close()
            self._note_trouble(f"{type(error).__name__}: {error}")
        except Exception:  # the supervised edge: a batch that can never be written must not block all others
            self._database.close()
            log.exception("gateway.capture_failed", calls=len(batch))
            self._forget(batch, written=False)
        else:
            self._note_health()
            self._forget(batch, written=True)

    def _forget(self, batch: list[Call], *, written: bool) -> None:
        with self._lock:
            for call in batch[: len(self._queue)]:
                self._queue.popleft()
                self._waiting_bytes -= call.size
            if written:
                self._written += len(batch)
            else:
                self._dropped += len(batch)

    def _note_trouble(self, trouble: str) -> None:
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        if trouble != self._trouble:
            log.warning("gateway.capture_failed", reason=trouble, waiting=len(self._queue))
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
