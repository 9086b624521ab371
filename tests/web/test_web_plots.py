"""The pictures of the dashboard: where things stand, which marks an axis gets, and how exact an interval is."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flywheel.core.events import Event
from flywheel.gate.statistics import clopper_pearson
from flywheel.proc.curves import Point
from flywheel.store.chronicles import Held, Period
from flywheel.web.intervals import rate_bounds
from flywheel.web.plots import Words, curve_plot
from flywheel.web.scales import Scale, TimeScale, number_marks, short_number
from flywheel.web.story_plots import MARKED, Story, Version, story_plot

numbers = st.floats(-1e12, 1e12)
points = st.builds(Point, st.integers(0, 10**6), numbers)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - with a zone


@settings(deadline=None)
@given(numbers, numbers, numbers)
def test_everything_stands_within_the_picture(low, high, value):
    """Whatever the numbers, a place is between the axis's ends, and larger numbers never stand before smaller ones."""
    scale = Scale(low, high, 10, 90)
    assert 10 <= scale(value) <= 90
    assert scale(low) <= scale(max(low, high))


@settings(deadline=None)
@given(numbers, numbers)
def test_an_axis_has_few_round_marks_in_order(low, high):
    """Marks lie between the ends, are few, and go up."""
    assume(high - low > 1e-6 * max(abs(low), abs(high), 1e-3))
    marks = number_marks(low, high)
    assert len(marks) <= 7
    assert marks == sorted(set(marks))
    slack = (high - low) * 1e-6
    assert all(low - slack <= mark <= high + slack for mark in marks)


@settings(deadline=None)
@given(moments, st.timedeltas(timedelta(0), timedelta(days=9000)))
def test_an_axis_of_time_has_few_marks_in_what_people_count_in(first, length):
    """From an hour to years: at most seven marks, in order, each within the axis, each with a word."""
    scale = TimeScale([first, first + length], 0, 100)
    marks = scale.marks()
    assert len(marks) <= 7
    assert [at for at, _ in marks] == sorted({at for at, _ in marks})
    assert all(scale.first <= at <= scale.last and told for at, told in marks)


@settings(deadline=None)
@given(st.integers(0, 3000), st.integers(0, 3000))
def test_intervals_are_those_of_the_gate(events, others):
    """The bounds equal those of the library that the gate uses: `flywheel adapters show` says the same."""
    mine, its = rate_bounds(events, events + others, 0.025), clopper_pearson(events, events + others, 0.025)
    assert mine == pytest.approx(its, abs=1e-8)
    assert mine[0] <= (events / (events + others) if events + others else 0.5) <= mine[1]


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.sampled_from(["train/loss", "eval/loss", "<b>"]), st.lists(points, max_size=500), max_size=3))
def test_any_curves_make_a_picture(curves):
    """However many points a curve has, of whatever size, the picture is drawn, small, and nothing in it acts."""
    drawn = curve_plot(Words("<Loss>", "told"), curves)
    assert (drawn is None) == (not any(curves.values()))
    assert drawn is None or ("<b>" not in drawn and len(drawn) < 60_000)


names = st.sampled_from(["plan@1", "plan@12", "base", '<i>"'])
versions = st.builds(
    lambda name, first, length, rate: Version(name, Period(first=first, last=first + length), 9, rate, rate / 2, 1.0),
    names, moments, st.timedeltas(timedelta(0), timedelta(days=400)), st.floats(0, 1),
)  # fmt: skip
happened = st.builds(
    lambda kind, at, verdict: Event(kind=kind, at=at, subject="<i>", body={"verdict": verdict}),
    st.sampled_from(MARKED), moments, st.sampled_from(["pass", "fail", "insufficient evidence", None]),
)  # fmt: skip
stories = st.builds(
    Story,
    line=names,
    versions=st.lists(versions, max_size=4).map(tuple),
    pool=st.lists(st.builds(Held, at=moments, examples=st.integers(0, 10**6)), max_size=8).map(tuple),
    events=st.lists(happened, max_size=12).map(tuple),
    now=st.none() | moments,
)


@settings(deadline=None, max_examples=40)
@given(stories)
def test_any_story_makes_a_picture(story):
    """Whatever happened, the picture has its words and every mark; where nothing did, there is no picture."""
    drawn = story_plot(story)
    if not (story.versions or story.pool or story.events):
        assert drawn is None
        return
    assert drawn is not None
    assert "<i>" not in drawn
    assert drawn.count("<title") == 1 + len(story.versions) + len(story.events) + bool(story.pool)
    assert drawn.count("<desc") == 1
    assert "nan" not in drawn


@pytest.mark.parametrize(("value", "told"), [(0, "0"), (1234, "1.23k"), (5e6, "5M"), (0.00015, "0.00015")])
def test_numbers_of_an_axis_are_short(value, told):
    """A number on an axis takes little room."""
    assert short_number(value) == told
