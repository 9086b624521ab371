"""Plots of a page, drawn as SVG within it: intervals by category, scores over time. A table always says the same."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flywheel.core.ids import content_hash, short
from flywheel.core.verdicts import Verdict
from flywheel.gate.page_parts import points, shown

_WIDE, _LEFT, _RIGHT = 400, 12, 12
_ROW, _HEAD, _FOOT = 36, 8, 26
_TALL, _SIDE = 180, 44
_LONGEST_NAME = 44
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Interval:
    """A difference with what it may be: `low` and `high` are None where too little was seen to tell."""

    name: str
    at: float
    low: float | None = None
    high: float | None = None
    whole: bool = False


@dataclass(frozen=True)
class Moment:
    """One evaluation on the way of a line."""

    name: str
    at: datetime
    verdict: Verdict
    base: float
    candidate: float
    suite: str


def interval_plot(title: str, rows: Sequence[Interval]) -> str:
    """Return differences with their intervals, one below the other, against the line of no difference."""
    if not rows:
        return ""
    ends = [0.0, *(end for row in rows for end in (row.low, row.at, row.high) if end is not None)]
    scale = _Scale(max(min(ends), -1.0), min(max(ends), 1.0))
    tall = _HEAD + _ROW * len(rows) + _FOOT
    told = "; ".join(f"{row.name} {points(row.at)} points" for row in rows[:12])
    drawn = [_interval(row, place, scale) for place, row in enumerate(rows)]
    return _picture((title, f"Points gained by category: {told}"), tall, [*_axis(scale, tall), *drawn])


class _Scale:
    """Where a difference stands, from the lowest to the highest that is to be seen."""

    def __init__(self, low: float, high: float) -> None:
        step = next((one for one in _STEPS if (high - low) / one <= 6), _STEPS[-1])  # noqa: PLR2004 - marks that fit
        self.low, self.high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
        self.high += step if self.high <= self.low else 0.0
        self.marks = [self.low + step * n for n in range(round((self.high - self.low) / step) + 1)]

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(_LEFT + share * (_WIDE - _LEFT - _RIGHT), 1)


def _axis(scale: _Scale, tall: int) -> list[str]:
    lines = []
    for mark in scale.marks:
        at, zero = scale(mark), abs(mark) < 1e-9  # noqa: PLR2004 - what rounding leaves of nothing
        kind, text = ("zero", "0") if zero else ("rule", f"{100 * mark:+.0f}")
        lines.append(f'<line class="{kind}" x1="{at}" x2="{at}" y1="{_HEAD}" y2="{tall - _FOOT}"/>')
        anchor = "start" if mark == scale.marks[0] else "end" if mark == scale.marks[-1] else "middle"
        lines.append(f'<text class="small" x="{at}" y="{tall - 8}" text-anchor="{anchor}">{text}</text>')
    return lines


def _interval(row: Interval, place: int, scale: _Scale) -> str:
    top = _HEAD + place * _ROW
    at, middle, kind = scale(row.at), top + 24, "all" if row.whole else "mark"
    name = row.name if len(row.name) <= _LONGEST_NAME else row.name[: _LONGEST_NAME - 1] + "…"
    parts = [
        f'<text x="{_LEFT + 4}" y="{top + 13}">{shown(name)}</text>',
        f'<text x="{_WIDE - _RIGHT - 4}" y="{top + 13}" text-anchor="end">{points(row.at)}</text>',
    ]
    if row.low is not None and row.high is not None:
        left, right = scale(row.low), scale(row.high)
        parts.append(f'<line class="{kind}" stroke-width="2" x1="{left}" x2="{right}" y1="{middle}" y2="{middle}"/>')
    shape = f'<rect class="{kind}" x="{at - 4}" y="{middle - 4}" width="8" height="8"/>' if row.whole else (
        f'<circle class="{kind}" cx="{at}" cy="{middle}" r="4"/>'
    )  # fmt: skip
    return "".join([*parts, shape])


def time_chart(title: str, moments: Sequence[Moment]) -> str:
    """Return the scores of a line's candidates over time with the base's; where the suite changed is a dashed line."""
    if not moments:
        return ""
    tall = _TALL + _FOOT + _HEAD
    places = [_place(number, len(moments)) for number in range(len(moments))]
    base = " ".join(f"{x},{_height(one.base)}" for x, one in zip(places, moments, strict=True))
    drawn = [*_levels(), *_rotations(moments, places), f'<polyline class="soft" points="{base}"/>']
    drawn += [_moment(one, x, _size(len(moments))) for x, one in zip(places, moments, strict=True)]
    drawn.append(_day(moments[0], _SIDE, "start", tall))
    if len(moments) > 1:
        drawn.append(_day(moments[-1], _WIDE - _RIGHT, "end", tall))
    last = moments[-1]
    ended = f"the last, {last.name}, was {last.verdict.value} at {100 * last.candidate:.1f} %"
    return _picture((title, f"{len(moments)} evaluations; {ended}"), tall, drawn)


def _place(number: int, count: int) -> float:
    room = _WIDE - _SIDE - _RIGHT - 16
    return round(_SIDE + 8 + (room * number / (count - 1) if count > 1 else room / 2), 1)


def _height(score: float) -> float:
    return round(_HEAD + _TALL * (1 - min(max(score, 0.0), 1.0)), 1)


def _size(count: int) -> float:
    return 5.0 if count <= 30 else 3.0 if count <= 100 else 1.5  # noqa: PLR2004 - marks that stay apart


def _levels() -> list[str]:
    lines = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        high = _height(share)
        lines.append(f'<line class="rule" x1="{_SIDE}" x2="{_WIDE - _RIGHT}" y1="{high}" y2="{high}"/>')
        text = f'<text class="small" x="{_SIDE - 4}" y="{high + 4}" text-anchor="end">'
        lines.append(f"{text}{100 * share:.0f}{' %' if share == 1 else ''}</text>")
    return lines


def _rotations(moments: Sequence[Moment], places: Sequence[float]) -> list[str]:
    lines = []
    for number in range(1, len(moments)):
        if moments[number].suite != moments[number - 1].suite:
            at = round((places[number - 1] + places[number]) / 2, 1)
            lines.append(f'<line class="zero" x1="{at}" x2="{at}" y1="{_HEAD}" y2="{_HEAD + _TALL}"/>')
    return lines


def _moment(one: Moment, x: float, size: float) -> str:
    """Draw a disc for pass, a cross for fail, a ring for too little evidence: told apart without colour."""
    y = _height(one.candidate)
    told = f"<title>{shown(one.name)}: {shown(one.verdict.value)}, {100 * one.candidate:.1f} %</title>"
    if one.verdict is Verdict.FAIL:
        d = f"M{x - size},{y - size}L{x + size},{y + size}M{x - size},{y + size}L{x + size},{y - size}"
        return f'<path class="fail" stroke-width="2" d="{d}">{told}</path>'
    kind = "pass" if one.verdict is Verdict.PASS else "open"
    return f'<circle class="{kind}" stroke-width="2" cx="{x}" cy="{y}" r="{size}">{told}</circle>'


def _day(one: Moment, at: float, anchor: str, tall: int) -> str:
    return f'<text class="small" x="{at}" y="{tall - 8}" text-anchor="{anchor}">{one.at:%Y-%m-%d}</text>'


def _picture(words: tuple[str, str], tall: int, parts: Sequence[str]) -> str:
    title, told = words
    key = short(content_hash(words))
    return (
        f'<svg role="img" viewBox="0 0 {_WIDE} {tall}" aria-labelledby="t{key}" aria-describedby="d{key}">'
        f'<title id="t{key}">{shown(title)}</title><desc id="d{key}">{shown(told)}</desc>\n'
        + "\n".join(parts)
        + "\n</svg>"
    )
