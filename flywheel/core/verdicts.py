"""What the gate says: measured numbers, and a verdict that states its evidence."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from flywheel.core.frozen import Frozen

ProblemKind = Literal["tool_call", "exact", "choice", "items", "edit", "code_io", "code_calls"]


class Verdict(StrEnum):
    """Pass, fail, or not enough evidence to say either."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INSUFFICIENT = "insufficient evidence"


class Check(Frozen):
    """One rule of a gate with the number it saw: `points gained 34.2 (needs 5.0)`.

    `low` and `high` bound the number, with 95 % confidence, where the rule knows an interval.
    """

    name: str
    verdict: Verdict
    seen: float | None
    needs: str
    sentence: str
    low: float | None = None
    high: float | None = None


class Problem(Frozen):
    """One question of a suite, with what counts as right and where it belongs.

    `time` is when it was asked first or published; `tools` are the schemas that were offered with it.
    """

    id: str
    kind: ProblemKind
    category: str
    group: str
    messages: tuple[dict[str, str], ...]
    expected: Any
    prompt_key: str
    time: datetime | None = None
    tools: tuple[dict[str, Any], ...] = ()


class Report(Frozen):
    """One measurement of one adapter on one suite, judged."""

    adapter: str
    suite: str
    gate: str
    verdict: Verdict
    sentence: str
    checks: tuple[Check, ...]
    numbers: dict[str, float | None] = Field(default_factory=dict)
    categories: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    alpha_spent: float = Field(ge=0)
    sampling: dict[str, Any] = Field(default_factory=dict)
