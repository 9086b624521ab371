"""What the agent did and how it ended: the raw material, each with its evidence."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from flywheel.core.frozen import Frozen

Role = Literal["system", "user", "assistant", "tool"]
Origin = Literal["logged", "synthetic", "teacher", "harness"]


class Message(Frozen):
    """One message of a conversation, in the shape chat templates take."""

    role: Role
    content: str


class Label(StrEnum):
    """What the evidence supports; unknown is never success."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNKNOWN = "unknown"


class Signal(Frozen):
    """One piece of evidence: what was seen, which way it points, how strongly."""

    name: str
    points: Literal[-1, 0, 1]
    strength: float = Field(ge=0, le=1)
    note: str = ""


class Labelled(Frozen):
    """A label with the evidence it rests on."""

    label: Label
    confidence: float = Field(ge=0, le=1)
    signals: tuple[Signal, ...] = ()


class Outcome(Frozen):
    """One model call of the agent, its answer, and what became of it.

    `tags` say what it is about (`language:rust`, `stage:execute_plan/part_grouping`, `domain:math`) and lines select by
    them; `tools` are the schemas that were offered with the question; attempts at the same thing share a `chain`.
    """

    key: str
    source: str
    task: str
    session: str
    group: str
    call_type: str
    at: datetime
    model: str
    messages: tuple[Message, ...]
    response: str
    labelled: Labelled
    line: str | None = None
    origin: Origin = "logged"
    weight: float = Field(default=1.0, gt=0, le=100)
    tags: tuple[str, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    chain: str = ""
    extra: dict[str, Any] = Field(default_factory=dict)
