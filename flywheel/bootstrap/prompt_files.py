"""Questions that a person gives in a file: one JSON object a line, read as it goes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from flywheel.bootstrap.prompts import Prompt
from flywheel.core.errors import MisuseError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import bytes_hash
from flywheel.core.lines import Line
from flywheel.core.makings import UNKNOWN_LICENCE
from flywheel.core.outcomes import Message

LONGEST = 4_000_000  # characters of a row
NOT_READ = "a row that is no question"


class Row(Frozen):
    """A question: `prompt`, or `messages` that do not end with an answer; the rest is what is known of it."""

    prompt: str = ""
    messages: tuple[Message, ...] = ()
    call_type: str = ""
    group: str = ""
    tags: tuple[str, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    tests: dict[str, Any] | None = None
    licence: str = Field(default=UNKNOWN_LICENCE, min_length=1)

    @model_validator(mode="after")
    def _asks(self) -> Self:
        asked = bool(self.prompt.strip()), bool(self.messages)
        if asked[0] == asked[1] or (self.messages and self.messages[-1].role in {"assistant", "system"}):
            msg = "give a prompt, or messages that end with what is asked"
            raise ValueError(msg)
        return self


def prompts_in(path: Path, line: Line) -> Iterator[Prompt | str]:
    """Yield the questions of a file in order, and the hash of each row that is none; raises MisuseError."""
    try:
        with path.open("rb") as file:
            for raw in file:
                if raw.strip():
                    yield _prompt(raw, path, line) or bytes_hash([raw])
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
        raise MisuseError(f"{path}: {reason}", "name a file with one JSON object a line") from error


def _prompt(raw: bytes, path: Path, line: Line) -> Prompt | None:
    if len(raw) > LONGEST:
        return None
    try:
        row = Row.model_validate_json(raw)
        "".join(one.content for one in row.messages).encode()
    except (ValidationError, UnicodeEncodeError):
        return None
    kinds = line.select.call_types
    return Prompt(
        messages=row.messages or (Message(role="user", content=row.prompt),),
        call_type=row.call_type or (kinds[0] if kinds else "prompt"),
        group=row.group or path.stem,
        subject=path.stem,
        tags=row.tags,
        tools=row.tools,
        licence=row.licence,
        tests=row.tests,
        about={"file": path.name},
    )
