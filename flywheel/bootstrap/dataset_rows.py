"""What a reader makes of one row of an open dataset: lessons, some of which have to be proved first. Pure.

A reader knows one published shape and nothing of files: rows in, lessons out, and `BadRowError` for what is none. What
a lesson becomes (its proof, its key on the shelf, its licence, where it comes from) is the importer's.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import Field

from flywheel.core.foreign_rows import BadRowError
from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Message, Signal
from flywheel.sandbox.programs import Language

__all__ = ["PUBLISHED", "BadRowError", "Lesson", "Proof", "Reader", "asked"]

#: Somebody put the answer into a dataset; nobody here has seen it work. Enough for lines that want 0.7, not for 0.91.
PUBLISHED = Signal(name="published", points=1, strength=0.7, note="a dataset has it as the answer")


class Proof(Frozen):
    """What a program has to show in the sandbox: tests, or statements that have to hold after it.

    `tests` are in the shape of a suite's problem: `{"tests": [{"stdin": …, "stdout": …}]}` of a program, or
    `{"entry": "name", "tests": [{"args": […], "returns": …}]}` of a function. `asserts` are Python statements of which
    each is a test. Without a single test nothing is proved. `shows` says what the program is given for: `fault` is one
    that the dataset has as wrong, and that really fails a test here.
    """

    program: str
    language: Language = "python"
    tests: dict[str, Any] | None = None
    asserts: tuple[str, ...] = ()
    seconds: float = Field(default=5.0, gt=0, le=300)
    tolerance: float | None = None
    shows: Literal["works", "fault"] = "works"


class Lesson(Frozen):
    """One question with its answer, as a row tells it; `key` is given once in a row.

    `group` is what must not be on both sides of a split (a repo, a contest, a problem); empty, it is the row. `at` is
    None where the row has no date: then the dataset's. With a `proof` the `signals` are those beside it, and what the
    sandbox saw is added. Of the lessons of one `slot` the first that holds is kept, in their order: a problem with a
    hundred solutions teaches one. `licence` is the row's own, where rows differ; else the dataset's counts.
    `line` where only one line can learn from it, whatever lines select.
    """

    key: str = "answer"
    call_type: str
    messages: tuple[Message, ...] = Field(min_length=1)
    response: str = Field(min_length=1)
    signals: tuple[Signal, ...] = ()
    proof: Proof | None = None
    slot: str = ""
    group: str = ""
    at: datetime | None = None
    origin: Literal["synthetic", "teacher"] = "synthetic"
    model: str = ""
    tags: tuple[str, ...] = ()
    chain: str = ""
    licence: str = ""
    line: str | None = None
    about: dict[str, Any] = Field(default_factory=dict)


class Reader(Protocol):
    """How rows of one dataset are read.

    `name` is what people type; `licence` is the dataset's as published (an SPDX id, or `unknown`); `published` is when,
    and dates what has no date of its own; `columns` are those that are read, by their first names (of Parquet files no
    other column is unpacked); `proves` tells whether lessons may come with a proof, so that the executor is needed.
    """

    name: str
    licence: str
    published: datetime
    columns: tuple[str, ...]
    proves: bool

    def read(self, row: Mapping[str, Any]) -> tuple[Lesson, ...]:
        """Return what a row teaches, one lesson at least; raises BadRowError with a reason that can be counted."""
        ...


def asked(text: str, order: str = "") -> tuple[Message, ...]:
    """Return a question as messages; with an order that stands above it as the system's."""
    above = (Message(role="system", content=order),) if order else ()
    return (*above, Message(role="user", content=text))
