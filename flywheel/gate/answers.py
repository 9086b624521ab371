"""The answers of a measurement, appended as they come: a kill at any moment loses at most those still under way."""

import os
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from flywheel.core.errors import ResourceError
from flywheel.gate.evidence import Answer

_BATCH = 32


class AnswerLog:
    """One file of answers. Every line is written at once; fsync comes in batches."""

    def __init__(self, path: Path) -> None:
        """Open the file, drop a torn last line, and know what was answered before."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._unsynced = 0
        self.answers = {answer.key: answer for answer in _whole(self._file)}

    def append(self, answer: Answer) -> None:
        """Keep an answer; the second answer to a question is not kept."""
        if answer.key in self.answers:
            return
        line = answer.model_dump_json(exclude_defaults=True).encode() + b"\n"
        try:
            if os.write(self._file, line) != len(line):
                raise ResourceError("answers.jsonl could not be written to its end", "free disk space")
            self.answers[answer.key] = answer
            self._unsynced += 1
            if self._unsynced >= _BATCH:
                self.sync()
        except OSError as error:
            raise ResourceError(f"answers.jsonl cannot be written: {error.strerror}", "free disk space") from error

    def sync(self) -> None:
        """Make what was appended survive a power cut."""
        os.fsync(self._file)
        self._unsynced = 0

    def close(self) -> None:
        """Sync and let go of the file."""
        self.sync()
        os.close(self._file)

    def __enter__(self) -> Self:
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def _whole(file: int) -> list[Answer]:
    """Return the answers that stand in whole lines, and cut off what follows the last of them."""
    data = os.pread(file, os.fstat(file).st_size, 0)
    end = data.rfind(b"\n") + 1
    if end < len(data):
        os.ftruncate(file, end)
    return [answer for line in data[:end].split(b"\n") if (answer := _answer(line)) is not None]


def _answer(line: bytes) -> Answer | None:
    try:
        return Answer.model_validate_json(line)
    except ValidationError:
        return None
