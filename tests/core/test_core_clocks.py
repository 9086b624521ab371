"""Time is injected, aware and UTC; whatever an agent writes as a time is read or is None, never an error."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.clocks import ManualClock, SystemClock, parse_time

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001 - hypothesis wants naive bounds
ZONES = st.timezones() | st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))


@given(MOMENTS, ZONES)
def test_iso_text_means_its_moment(moment: datetime, zone: Any) -> None:
    """A time with a zone is the same moment in UTC."""
    aware = moment.replace(tzinfo=zone)
    found = parse_time(f" {aware.isoformat()} ")
    assert found == aware
    assert found is not None
    assert found.tzinfo is UTC


@given(MOMENTS)
def test_iso_text_without_a_zone_is_utc(moment: datetime) -> None:
    """Agents that write no zone mean UTC."""
    assert parse_time(moment.isoformat()) == moment.replace(tzinfo=UTC)
    assert parse_time(moment.isoformat(sep=" ")) == moment.replace(tzinfo=UTC)


@given(MOMENTS)
def test_seconds_and_milliseconds_mean_the_same_moment(moment: datetime) -> None:
    """Epoch seconds and epoch milliseconds are told apart by their size."""
    whole = moment.replace(microsecond=0, tzinfo=UTC)
    assert parse_time(int(whole.timestamp())) == whole
    assert parse_time(whole.timestamp()) == whole
    assert parse_time(int(whole.timestamp()) * 1000) == whole


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()) | st.binary())
def test_anything_is_read_or_is_none(value: Any) -> None:
    """No value makes the reading fail; what is read is aware and UTC."""
    found = parse_time(value)
    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, "", "yesterday", "2026-13-01", float("nan"), float("inf"), 1e300, 10**400, [], {},
        "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00",
    ],
)  # fmt: skip
def test_what_is_no_time_is_none(value: Any) -> None:
    """Text, numbers and moments outside the calendar are not times; neither is a truth value."""
    assert parse_time(value) is None


@given(st.lists(st.floats(0, 1e6), max_size=10))
def test_the_manual_clock_moves_both_readings(steps: list[float]) -> None:
    """The double stands still until it is moved; both its readings tell the same passage of time."""
    clock = ManualClock()
    start = clock.now()
    for seconds in steps:
        clock.advance(seconds)
    assert abs((clock.now() - start).total_seconds() - clock.monotonic()) < 1e-3
    assert start.tzinfo is UTC


def test_the_system_clock_is_aware_and_never_goes_back() -> None:
    """The machine's time is aware UTC; its count of seconds only grows."""
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()
