"""The life of a release: which states may follow which, and what is gone back to."""

from datetime import UTC, datetime

import pytest

from flywheel.core.releases import MOVES, Release, ReleaseState, in_state, previous_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
S = ReleaseState


def reachable(start: ReleaseState) -> set[ReleaseState]:
    """Return every state a release can come to."""
    found: set[ReleaseState] = set()
    waiting = [start]
    while waiting:
        for state in MOVES[waiting.pop()] - found:
            found.add(state)
            waiting.append(state)
    return found


def test_every_state_has_its_moves_and_can_be_reached() -> None:
    """The table is complete: no state is missing and none is an island."""
    assert set(MOVES) == set(S)
    assert reachable(S.REGISTERED) == set(S) - {S.REGISTERED}


def test_the_agent_is_reached_only_through_a_canary() -> None:
    """Only a canary, or what was active before, becomes active."""
    assert {state for state, ways in MOVES.items() if S.ACTIVE in ways} == {S.CANARY, S.SUPERSEDED}


def test_retired_is_the_end_and_always_open() -> None:
    """A person can retire anything; nothing comes back from there."""
    assert MOVES[S.RETIRED] == frozenset()
    assert all(S.RETIRED in ways for state, ways in MOVES.items() if state is not S.RETIRED)


@pytest.mark.parametrize("state", S)
def test_no_state_follows_itself(state: ReleaseState) -> None:
    """A move changes something."""
    assert state not in MOVES[state]


def release(number: int, state: ReleaseState, seq: int | None = None) -> Release:
    return Release(line="l", number=number, adapter=f"h{number}", state=state, changed_at=AT, seq=seq)


def test_what_gave_way_last_is_gone_back_to() -> None:
    """Not the highest number but the last to give way is the one before."""
    rows = [release(1, S.SUPERSEDED, 30), release(2, S.SUPERSEDED, 20), release(3, S.ACTIVE, 40)]
    assert previous_of(rows) == rows[0]
    assert previous_of(rows[2:]) is None
    assert in_state(rows, S.ACTIVE) == rows[2]
    assert in_state(rows, S.CANARY) is None
    assert rows[0].name == "l@1"
