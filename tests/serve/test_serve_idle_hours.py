"""Idle hours are learned from calls: never a busy one, never from too little, the same whenever one looks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.serve.idle_hours import HOURS, IdleHours, Rules, hour_of_week, learn

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = timedelta(weeks=1)
HOUR = timedelta(hours=1)

hours_of_week = st.lists(st.integers(0, 400), min_size=HOURS, max_size=HOURS)
sparse = st.lists(st.sampled_from([0, 0, 0, 0, 1, 50, 200]), min_size=HOURS, max_size=HOURS)


def counted(week, weeks=4, begin=MONDAY):
    """The calls by hour when every week is the same; the first hour has one, so that the weeks are known."""
    found = {begin + number * WEEK + hour * HOUR: calls for number in range(weeks) for hour, calls in enumerate(week)}
    return {**found, begin: max(found[begin], 1)}


def at_work():
    """A working week: Monday to Friday, nine to six."""
    return [60 if hour // 24 < 5 and 9 <= hour % 24 < 18 else 0 for hour in range(HOURS)]


def test_nights_and_weekends_of_a_working_week_are_idle() -> None:
    """What a person would say of this week is learned."""
    learned = learn(counted(at_work()), MONDAY + 4 * WEEK, zone=UTC)
    assert learned is not None
    assert learned.hours == {hour for hour, calls in enumerate(at_work()) if not calls}
    assert learned.holds(datetime(2026, 2, 7, 12, tzinfo=UTC))
    assert not learned.holds(datetime(2026, 2, 2, 12, tzinfo=UTC), UTC)


def test_hours_are_local() -> None:
    """The agent's owner sleeps by the clock on the wall, also when that is moved in between."""
    zone = ZoneInfo("Europe/Berlin")
    assert hour_of_week(datetime(2026, 1, 5, 0, tzinfo=UTC), zone) == 1
    assert hour_of_week(datetime(2026, 7, 6, 0, tzinfo=UTC), zone) == 2


@given(sparse, st.integers(2, 8))
def test_an_hour_with_many_calls_is_never_idle(week: list[int], weeks: int) -> None:
    """What got at least an average hour's calls is busy, whatever the others got."""
    learned = learn(counted(week, weeks), MONDAY + weeks * WEEK, zone=UTC)
    if learned is not None:
        average = sum(week) / HOURS
        assert not [hour for hour in learned.hours if week[hour] > average]


@given(sparse, st.integers(0, HOURS - 1))
def test_more_calls_never_make_an_hour_idle(week: list[int], hour: int) -> None:
    """A call more in an hour may make it busy, never idle."""
    more = [calls + (number == hour) for number, calls in enumerate(week)]
    each = Rules(shortest=1)  # alone: a neighbour may become idle by what counts as hardly any
    before, after = (learn(counted(one), MONDAY + 4 * WEEK, each, zone=UTC) for one in (week, more))
    if before is not None and after is not None:
        assert hour in before.hours or hour not in after.hours


@given(sparse, st.integers(1, 6))
def test_it_is_the_same_a_week_later(week: list[int], later: int) -> None:
    """The same calls some weeks later teach the same."""
    one = learn(counted(week), MONDAY + 4 * WEEK, zone=UTC)
    other = learn(counted(week, begin=MONDAY + later * WEEK), MONDAY + (4 + later) * WEEK, zone=UTC)
    assert one == other


@given(hours_of_week)
@settings(max_examples=40)
def test_too_little_teaches_nothing(week: list[int]) -> None:
    """From less than two whole weeks, or few calls, nothing is learned; neither from calls that are yet to come."""
    assert learn(counted(week, 1), MONDAY + WEEK, zone=UTC) is None
    assert learn(counted(week), MONDAY, zone=UTC) is None
    few = [min(calls, 1) if hour % 24 == 12 else 0 for hour, calls in enumerate(week)]
    assert learn(counted(few), MONDAY + 4 * WEEK, zone=UTC) is None


@given(sparse)
def test_idle_hours_come_in_stretches(week: list[int]) -> None:
    """An idle hour has an idle one beside it, over the end of the week, too: a pause is no time to train."""
    learned = learn(counted(week), MONDAY + 4 * WEEK, zone=UTC)
    for hour in learned.hours if learned else ():
        assert (hour + 1) % HOURS in learned.hours or (hour - 1) % HOURS in learned.hours


@given(st.integers(2, 400))
def test_where_all_hours_are_alike_none_is_idle(calls: int) -> None:
    """An agent that never sleeps leaves no hour to training."""
    learned = learn(counted([calls] * HOURS), MONDAY + 4 * WEEK, zone=UTC)
    assert learned == IdleHours(hours=frozenset())


def test_two_whole_weeks_are_enough() -> None:
    """The limit is what the documents say."""
    assert learn(counted(at_work(), 2), MONDAY + 2 * WEEK - HOUR, zone=UTC) is None
    assert learn(counted(at_work(), 2), MONDAY + 2 * WEEK, zone=UTC) is not None


def test_what_is_long_past_is_forgotten() -> None:
    """Only the last four weeks count: a holiday job of last year says nothing of this week."""
    nights = [60 - calls for calls in at_work()]
    counts = {**counted(nights, 10), **counted(at_work(), 4, MONDAY + 10 * WEEK)}
    learned = learn(counts, MONDAY + 14 * WEEK, zone=UTC)
    assert learned == learn(counted(at_work()), MONDAY + 4 * WEEK, zone=UTC)
