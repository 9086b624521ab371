"""What a cold start makes to learn from: questions with answers, each with its evidence and where it comes from."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Message, Signal

SHELF_SOURCE = "bootstrap"  # the name of the source that reads them
UNKNOWN_LICENCE = "unknown"  # nothing on the record allows passing it on: for adapters that stay with their owner

Recipe = Literal["mine", "import", "teach", "lintseq"]


class Making(Frozen):
    """One question with its answer. Of the same task a `key` is given once; a label is what the `signals` support.

    What the line's own model said is of the origin `harness`: it asks for the rung on which own answers count.
    With `line` it is for that line alone; else the lines select it as they select outcomes.
    `licence` is an SPDX id or `unknown`; `about` says what it was made from (repo, commit, file, dataset, row, teacher)
    and never holds a secret or a person's name. The other fields are an outcome's.
    """

    key: str = Field(min_length=1)
    recipe: Recipe
    origin: Literal["synthetic", "teacher", "harness"]
    group: str
    call_type: str
    at: datetime
    model: str
    messages: tuple[Message, ...] = Field(min_length=1)
    response: str
    signals: tuple[Signal, ...]
    line: str | None = None
    session: str = ""
    weight: float = Field(default=1.0, gt=0, le=100)
    tags: tuple[str, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    chain: str = ""
    licence: str = UNKNOWN_LICENCE
    about: dict[str, Any] = Field(default_factory=dict)
