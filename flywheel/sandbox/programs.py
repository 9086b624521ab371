"""What is run and what came of it: the values that cross between a gate and the executor. Pure."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from flywheel.core.frozen import Frozen

Language = Literal["python", "typescript", "javascript"]


class Limits(Frozen):
    """How much one test may take before it is ended."""

    seconds: float = Field(default=5.0, gt=0, le=300)
    memory_mib: int = Field(default=512, ge=16)
    output_bytes: int = Field(default=1_000_000, ge=1)


class Call(Frozen):
    """One test of a function: what it is called with. JSON values in, one JSON value out."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = Field(default_factory=dict)


class Program(Frozen):
    """Code and the inputs of its tests: texts for standard input, or calls of `entry`. Never what is expected."""

    code: str
    language: Language = "python"
    entry: str = ""
    inputs: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    files: dict[str, str] = Field(default_factory=dict)
    command: tuple[str, ...] = ()
    limits: Limits = Limits()


class Ending(StrEnum):
    """How one test ended."""

    FINISHED = "finished"
    RAISED = "raised"
    TIMED_OUT = "timed_out"
    DIED = "died"
    TOO_MUCH = "too_much"
    REFUSED = "refused"


class Run(Frozen):
    """What one test did: `output` is what it printed, `value` the serialised value that a call returned.

    `value` is JSON text, never an object: whoever compares does so outside, where no `__eq__` of the program rules.
    """

    ending: Ending
    output: str = ""
    value: str | None = None
    detail: str = ""
    seconds: float = 0.0
