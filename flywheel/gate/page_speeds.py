"""What was slow: seconds, first tokens and tokens a second of every role, and the problems that took longest."""

from collections.abc import Sequence
from typing import Literal

from flywheel.core.verdicts import Report
from flywheel.gate.evidence import ROLES, Compared, Role
from flywheel.gate.page_parts import percent, section, shown, table

_LISTED, _LONGEST_ID = 5, 24
Times = Literal["seconds", "first_tokens", "rates"]


def speed_section(report: Report, evidence: Sequence[Compared]) -> str:
    """Return the times of every role; nothing where no answer was timed."""
    roles = [role for role in ROLES if _all(evidence, role, "seconds")]
    if not roles:
        return ""
    rows = [[role, *_row(evidence, role)] for role in roles]
    head = ("", "answers timed", "seconds, half within", "95 % within", "slowest", "first token", "tokens a second")
    told = '<p class="soft">First token and tokens a second: half of the answers were at least that fast.</p>'
    return section(
        "speed", "What was slow", _compared(report), table("Seconds an answer took", head, rows), told,
        _slowest(evidence, roles),
    )  # fmt: skip


def _compared(report: Report) -> str:
    slower, bound = report.numbers.get("latency.increase"), report.numbers.get("latency.bound")
    if slower is None:
        return ""
    way = "slower" if slower >= 0 else "faster"
    told = f", and is slower by less than {percent(bound)} with 95 % confidence" if bound is not None else ""
    return f"<p>On the same problems the candidate was {percent(abs(slower))} {way} than the base{shown(told)}.</p>"


def _all(evidence: Sequence[Compared], role: Role, name: Times) -> list[float]:
    return sorted(value for one in evidence if role in one.roles for value in getattr(one.roles[role], name))


def _row(evidence: Sequence[Compared], role: Role) -> list[str]:
    seconds = _all(evidence, role, "seconds")
    marks = [f"{_within(seconds, share):.3g} s" for share in (0.5, 0.95, 1.0)]
    first, rates = _all(evidence, role, "first_tokens"), _all(evidence, role, "rates")
    return [
        str(len(seconds)), *marks, f"{_within(first, 0.5):.3g} s" if first else "not told",
        f"{_within(rates, 0.5):.3g}" if rates else "not told",
    ]  # fmt: skip


def _within(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def _slowest(evidence: Sequence[Compared], roles: Sequence[Role]) -> str:
    slow = sorted(evidence, key=lambda one: -_longest(one, "candidate"))[:_LISTED]
    rows = [
        [
            _short(one.problem),
            one.category,
            *(f"{_longest(one, role):.3g} s" if _longest(one, role) else "" for role in roles),
        ]
        for one in slow
        if _longest(one, "candidate")
    ]
    head = ("problem", "category", *roles)
    return f"<h3>Slowest for the candidate</h3>{table('Slowest', head, rows, frozenset({1}))}" if rows else ""


def _longest(one: Compared, role: Role) -> float:
    return max(one.roles[role].seconds, default=0.0) if role in one.roles else 0.0


def _short(problem: str) -> str:
    return problem if len(problem) <= _LONGEST_ID else f"{problem[: _LONGEST_ID // 2]}…"
