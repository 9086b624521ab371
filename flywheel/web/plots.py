"""Pictures of a page, drawn as SVG in it: each has a title and a description, and a table beneath says the same."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from flywheel.core.ids import content_hash, short
from flywheel.proc.curves import Curves, Point, thinned
from flywheel.web.elements import Child, Html, el
from flywheel.web.scales import Scale, TimeScale, number_marks, short_number

WIDE, LEFT, RIGHT = 720, 58, 14
_TALL, _TOP, _FOOT = 240, 30, 28
_MOST = 400  # points of a curve that are drawn
#: Curves are told apart without colour: by how they are dashed.
_DASHES: tuple[str | None, ...] = (None, "6 4", "2 3", "10 3 2 3")
_KINDS = ("mark", "open", "pass", "fail")


@dataclass(frozen=True)
class Words:
    """What a picture is called and what it shows, for those who do not see it."""

    title: str
    told: str


def picture(words: Words, tall: float, *parts: Child, wide: float = WIDE) -> Html:
    """Return a picture with its words; on a narrow screen it scrolls in its own box."""
    key = short(content_hash([words.title, words.told]))
    drawn = el(
        "svg",
        el("title", words.title, id=f"t{key}"),
        el("desc", words.told, id=f"d{key}"),
        parts,
        role="img",
        viewBox=f"0 0 {wide:g} {tall:g}",
        aria_labelledby=f"t{key} d{key}",
        class_="plot",
    )
    return el("div", drawn, class_="wide", tabindex=0, role="region", aria_label=words.title)


def curve_plot(words: Words, curves: Curves) -> Html | None:
    """Return curves over their steps, with a word on each; None where no curve has a point."""
    drawn = {name: thinned(points, _MOST) for name, points in curves.items() if points}
    if not drawn:
        return None
    steps = [point.step for points in drawn.values() for point in points]
    values = [point.value for points in drawn.values() for point in points]
    low = min(0.0, *values)
    x = Scale(min(steps), max(steps), LEFT, WIDE - RIGHT)
    y = Scale(low, max(values) * 1.05 or 1.0, _TOP + _TALL, _TOP)
    parts = [*levels(y, number_marks(y.low, y.high)), *step_marks(x, _TOP + _TALL)]
    parts += [_curve(points, x, y, place) for place, points in enumerate(drawn.values())]
    return picture(words, _TOP + _TALL + _FOOT, parts, _legend(list(drawn)))


def share_words(share: float) -> str:
    """Return a share as an axis says it."""
    return f"{100 * share:g}" + (" %" if share == 1 else "")


def levels(y: Scale, marks: Iterable[float], words: Callable[[float], str] = short_number) -> list[Html]:
    """Return the lines of an upright axis, each with its number."""
    drawn = []
    for mark in marks:
        at = y(mark)
        drawn.append(el("line", class_="rule", x1=LEFT, x2=WIDE - RIGHT, y1=at, y2=at))
        drawn.append(el("text", words(mark), class_="small", x=LEFT - 5, y=at + 4, text_anchor="end"))
    return drawn


def step_marks(x: Scale, bottom: float) -> list[Html]:
    """Return the numbers of steps below a picture."""
    return [_below(x(mark), bottom, short_number(mark)) for mark in number_marks(x.low, x.high, 6) if mark == int(mark)]


def time_marks(x: TimeScale, top: float, bottom: float) -> list[Html]:
    """Return the upright lines of an axis of time, each with its words below."""
    drawn = []
    for at, told in x.marks():
        drawn.append(el("line", class_="rule", x1=x(at), x2=x(at), y1=top, y2=bottom))
        drawn.append(_below(x(at), bottom, told))
    return drawn


def _below(at: float, bottom: float, told: str) -> Html:
    anchor = "end" if at > WIDE - RIGHT - 24 else "start" if at < LEFT + 12 else "middle"
    return el("text", told, class_="small", x=at, y=bottom + 17, text_anchor=anchor)


def _curve(points: Sequence[Point], x: Scale, y: Scale, place: int) -> Html:
    kind, dash = _KINDS[place % len(_KINDS)], _DASHES[place % len(_DASHES)]
    if len(points) == 1:
        return el("circle", class_=f"{kind} dot", cx=x(points[0].step), cy=y(points[0].value), r=3)
    told = " ".join(f"{x(point.step)},{y(point.value)}" for point in points)
    return el("polyline", class_=f"{kind} curve", points=told, stroke_dasharray=dash)


def _legend(names: Sequence[str]) -> list[Html]:
    drawn, at = [], LEFT + 8
    for place, name in enumerate(names):
        kind, dash = _KINDS[place % len(_KINDS)], _DASHES[place % len(_DASHES)]
        drawn.append(
            el("line", class_=f"{kind} curve", x1=at, x2=at + 24, y1=_TOP - 16, y2=_TOP - 16, stroke_dasharray=dash)
        )
        drawn.append(el("text", name, x=at + 30, y=_TOP - 12))
        at += 46 + 7 * len(name)
    return drawn
