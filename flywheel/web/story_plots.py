"""A line's story as one picture, on one axis of time: who answered how well, how the pool grew, what was decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flywheel.core.events import Event
from flywheel.store.chronicles import Held, Period
from flywheel.web.elements import Html, el
from flywheel.web.plots import LEFT, RIGHT, WIDE, Words, levels, picture, share_words, time_marks
from flywheel.web.scales import Scale, TimeScale, number_marks

#: What is marked, lane by lane: the kinds of events, with the shape and the colour of each.
LANES: tuple[tuple[str, dict[str, tuple[str, str]]], ...] = (
    ("data", {"curate.dataset_frozen": ("square", "mark")}),
    ("verdicts", {"gate.adapter_passed": ("disc", "pass"), "gate.adapter_failed": ("cross", "fail")}),
    (
        "releases",
        {
            "rollout.canary_started": ("ring", "open"),
            "rollout.adapter_promoted": ("up", "pass"),
            "rollout.adapter_rolled_back": ("down", "fail"),
            "rollout.adapter_rejected": ("cross", "fail"),
        },
    ),
)
MARKED = tuple(kind for _, kinds in LANES for kind in kinds)

_RATES, _POOL, _LANE, _GAP, _TOP, _FOOT = 190, 90, 26, 34, 22, 28
_SIZE, _SMALL = 5.0, 2.5
_ROOMY = 30  # more marks of a lane are drawn small
_NAMED = 8  # so many versions have their names beside them, the newest
_LONGEST = 18


@dataclass(frozen=True)
class Version:
    """A model that answered the agent: from when to when, and how its tasks ended, with the interval of the rate."""

    name: str
    period: Period
    tasks: int
    rate: float
    low: float
    high: float
    ours: bool = True


@dataclass(frozen=True)
class Story:
    """Everything that the picture shows."""

    line: str
    versions: tuple[Version, ...] = ()
    pool: tuple[Held, ...] = ()
    events: tuple[Event, ...] = ()
    now: datetime | None = None

    @property
    def moments(self) -> list[datetime]:
        """Return every moment of it."""
        found = [event.at for event in self.events] + [held.at for held in self.pool]
        found += [at for one in self.versions for at in (one.period.first, one.period.last)]
        return [*found, self.now] if self.now and found else found


def story_plot(story: Story) -> Html | None:
    """Return the picture; None where nothing happened yet."""
    if not story.moments:
        return None
    x = TimeScale(story.moments, LEFT, WIDE - RIGHT)
    rates, pool = _TOP, _TOP + _RATES + _GAP
    lanes = pool + _POOL + _GAP - 8
    bottom = lanes + _LANE * len(LANES)
    parts = [
        *time_marks(x, _TOP, bottom),
        _heading("tasks that succeeded, of each version", rates),
        *_rates(story.versions, x, Scale(0, 1, rates + _RATES, rates)),
        _heading("examples in the pool", pool),
        *_pool(story.pool, x, pool),
        *[part for place, (name, _) in enumerate(LANES) for part in _lane(name, place, lanes, story, x)],
    ]
    return picture(Words(f"The story of {story.line}", told(story)), bottom + _FOOT, parts)


def told(story: Story) -> str:
    """Return the picture in words."""
    versions = "; ".join(f"{one.name}: {100 * one.rate:.0f} % of {one.tasks} tasks" for one in story.versions)
    pool = f"{story.pool[-1].examples} examples in the pool" if story.pool else "no examples yet"
    counted = {name: sum(event.kind in kinds for event in story.events) for name, kinds in LANES}
    marks = f"{counted['data']} datasets, {counted['verdicts']} verdicts, {counted['releases']} changes of releases"
    return "; ".join(filter(None, [versions, pool, marks])) + ". The tables below say the same."


def _heading(words: str, top: float) -> Html:
    return el("text", words, class_="small", x=LEFT, y=top - 7)


def _rates(versions: Sequence[Version], x: TimeScale, y: Scale) -> list[Html]:
    drawn = levels(y, (0, 0.25, 0.5, 0.75, 1), share_words)
    for place, one in enumerate(versions):
        left, right = x(one.period.first), max(x(one.period.last), x(one.period.first) + 3)
        kind = "mark" if one.ours else "soft"
        words = f"{one.name}: {100 * one.rate:.0f} % of {one.tasks} tasks ({100 * one.low:.0f} to {100 * one.high:.0f})"
        high, low, at = y(one.high), y(one.low), y(one.rate)
        band = el("rect", class_=f"{kind} band", x=left, y=high, width=right - left, height=max(low - high, 1))
        middle = el("line", class_=f"{kind} curve", x1=left, x2=right, y1=at, y2=at)
        name = one.name if len(one.name) <= _LONGEST else f"…@{one.name.rpartition('@')[2]}"
        above = at - 6 if place % 2 == 0 else at + 15
        text = el("text", name, class_="small", x=_inside(left), y=min(max(above, y(1) + 10), y(0) - 4))
        drawn.append(el("g", el("title", words), band, middle, text if place >= len(versions) - _NAMED else None))
    return drawn


def _pool(pool: Sequence[Held], x: TimeScale, top: float) -> list[Html]:
    most = max((held.examples for held in pool), default=0)
    y = Scale(0, max(most, 1), top + _POOL, top)
    drawn = levels(y, [mark for mark in number_marks(0, max(most, 1), 3) if mark == int(mark)])
    if not pool:
        return drawn
    heights = [y(0), *(y(held.examples) for held in pool)]
    steps = [
        f"L{x(held.at)},{before}L{x(held.at)},{after}"
        for held, before, after in zip(pool, heights, heights[1:], strict=False)
    ]
    path = [f"M{x(pool[0].at)},{y(0)}", *steps, f"L{WIDE - RIGHT},{heights[-1]}L{WIDE - RIGHT},{y(0)}Z"]
    words = f"from {pool[0].examples} to {pool[-1].examples} examples"
    return [*drawn, el("path", el("title", words), class_="mark area", d="".join(path))]


def _lane(name: str, place: int, top: float, story: Story, x: TimeScale) -> list[Html]:
    kinds = dict(LANES)[name]
    middle = top + _LANE * place + _LANE / 2
    drawn = [
        el("line", class_="rule", x1=LEFT, x2=WIDE - RIGHT, y1=middle, y2=middle),
        el("text", name, class_="small", x=LEFT - 5, y=middle + 4, text_anchor="end"),
    ]
    marks = [event for event in story.events if event.kind in kinds]
    size, last = (_SIZE, 0.0) if len(marks) <= _ROOMY else (_SMALL, 0.0)
    for event in marks:
        at = x(event.at)
        if size == _SIZE:  # what happened at once stands side by side, where there is room
            at = last = max(at, last + 2 * size + 1)
        drawn.append(_mark(event, kinds[event.kind], (min(at, WIDE - RIGHT), middle), size))
    return drawn


def _mark(event: Event, looks: tuple[str, str], place: tuple[float, float], s: float) -> Html:
    """Draw an event so that it is told apart without colour; what was not decided is a ring."""
    shape, kind = looks
    verdict = event.body.get("verdict")
    if shape == "cross" and verdict == "insufficient evidence":
        shape, kind = "ring", "open"
    what = verdict or event.kind.partition(".")[2].replace("_", " ")
    words = el("title", f"{event.subject[:40]}: {what}, {event.at:%Y-%m-%d %H:%M}")
    x, y = place
    if shape in {"disc", "ring"}:
        return el("circle", words, class_=f"{kind} {shape}", cx=x, cy=y, r=s)
    d = {
        "square": f"M{x - s},{y - s}H{x + s}V{y + s}H{x - s}Z",
        "cross": f"M{x - s},{y - s}L{x + s},{y + s}M{x - s},{y + s}L{x + s},{y - s}",
        "up": f"M{x},{y - s - 1}L{x + s + 1},{y + s}H{x - s - 1}Z",
        "down": f"M{x},{y + s + 1}L{x + s + 1},{y - s}H{x - s - 1}Z",
    }[shape]
    return el("path", words, class_=f"{kind} {shape}", d=d)


def _inside(left: float) -> float:
    return min(left + 3, WIDE - RIGHT - 90)
