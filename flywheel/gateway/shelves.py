"""Where captured calls are put: looked through for secrets, then into the file. In this process or in one of its own.

A process of its own is what the gateway takes: in the gateway's interpreter requests would wait for looking through and
writing. It ends when the gateway does, however that ends.
"""

import marshal
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import flywheel
from flywheel.gateway.calls import Call
from flywheel.gateway.databases import CaptureDatabase, Tidied
from flywheel.gateway.quarantines import UNREADABLE, quarantined
from flywheel.gateway.usages import usage_of

_END_SECONDS = 5.0
_KEEPER = "flywheel.gateway.shelf_keepers"


class ShelfTroubleError(Exception):
    """The disk, or the process that writes to it, does not take calls now; they may be brought again."""


class Stored(NamedTuple):
    """What was found while calls were stored: the rule by the id of each call that lost its bodies."""

    quarantined: dict[str, str]


class Shelf(Protocol):
    """Takes calls in batches, whole or not at all; the same batch may be brought twice."""

    def write(self, batch: Sequence[Call]) -> Stored:
        """Store a batch; raises ShelfTroubleError when it is to be brought again."""
        ...

    def tidy(self, before: datetime) -> Tidied:
        """Forget what is too old, or too much; raises ShelfTroubleError when that is to be tried again."""
        ...

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        ...


class OwnShelf:
    """Looks calls through and writes them right here."""

    def __init__(self, path: Path, file_bytes: int) -> None:
        """Keep them in this file; nothing is opened yet."""
        self._database = CaptureDatabase(path, file_bytes)

    def write(self, batch: Sequence[Call]) -> Stored:
        """Store a batch."""
        looked_through = [_looked_through(call) for call in batch]
        try:
            self._database.write(looked_through)
        except CaptureDatabase.TROUBLES as error:
            raise self._trouble(error) from error
        return Stored({call.id: call.quarantine for call in looked_through if call.quarantine is not None})

    def tidy(self, before: datetime) -> Tidied:
        """Forget what is too old, or too much."""
        try:
            return self._database.tidy(before)
        except CaptureDatabase.TROUBLES as error:
            raise self._trouble(error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _trouble(self, error: Exception) -> ShelfTroubleError:
        self._database.close()
        return ShelfTroubleError(f"{type(error).__name__}: {error}")


class ShelfElsewhere:
    """Has a process of its own do it, and starts another when that is gone."""

    def __init__(self, path: Path, file_bytes: int) -> None:
        """Keep them in this file; nothing is started yet."""
        self._arguments = (str(path.absolute()), str(file_bytes))
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None

    def write(self, batch: Sequence[Call]) -> Stored:
        """Store a batch."""
        return Stored(self._ask("write", list(map(tuple, batch))))

    def tidy(self, before: datetime) -> Tidied:
        """Forget what is too old, or too much."""
        return Tidied(*self._ask("tidy", before.isoformat()))

    def close(self) -> None:
        """Let the process end, and end it when it does not."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _ask(self, deed: str, what: Any) -> Any:
        try:
            connection = self._connection or self._start()
            connection.send_bytes(marshal.dumps((deed, what)))
            kind, answer = connection.recv()
        except (EOFError, OSError) as error:
            self.close()
            reason = f"the process that writes the capture is gone: {type(error).__name__}"
            raise ShelfTroubleError(reason) from error
        if kind == "trouble":
            raise ShelfTroubleError(answer)
        if kind == "failed":
            raise RuntimeError(answer)
        return answer

    def _start(self) -> "Connection[Any, Any]":
        ours, theirs = multiprocessing.Pipe()
        root = str(Path(flywheel.__file__).parent.parent)
        found = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _KEEPER, str(theirs.fileno()), *self._arguments],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": found},
            )
        self._connection = ours
        return ours


def _looked_through(call: Call) -> Call:
    """Return the call as it is stored: with the tokens it told, and without its bodies when it holds a secret."""
    if call.completion_tokens is None and call.prompt_tokens is None:
        usage = usage_of(call.response)
        call = call._replace(prompt_tokens=usage.prompt, completion_tokens=usage.completion)
    try:
        return quarantined(call)
    except Exception:  # noqa: BLE001 - the supervised edge: what cannot be looked through is not kept, and the next is written
        return call._replace(request=b"", response=b"", quarantine=UNREADABLE)
