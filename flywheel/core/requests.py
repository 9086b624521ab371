"""What a person asks of the daemon; written by the command line, satisfied by a cycle."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from flywheel.core.frozen import Frozen

RequestKind = Literal[
    "train",
    "freeze",
    "approve",
    "promote",
    "roll_back",
    "retire",
    "forget",
    "cancel",
    "ablate",
    "fuse",
    "import",
    "adopt",
    "rotate",
    "compare",
    "prune",
    "tidy",
    "pause",
    "resume",
]


class Request(Frozen):
    """One request with who asked, why, and what became of it."""

    id: str
    kind: RequestKind
    line: str
    subject: str
    reason: str = ""
    override: bool = False
    by: str = ""
    at: datetime
    state: Literal["open", "satisfied", "refused"] = "open"
    answer: str = ""
    cause: int | None = None
    body: dict[str, Any] = Field(default_factory=dict)
