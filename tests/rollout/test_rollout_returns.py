"""A version that was taken back, turned down or retired never comes back by itself, whatever happens around it."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.core.lines import ShadowPlan
from flywheel.core.releases import MOVES, ReleaseState

FALLEN = {"rolled back", "rejected", "retired"}
NUMBERS = st.integers(1, 3)
STEPS = st.one_of(
    st.tuples(st.just("publish"), NUMBERS),
    st.tuples(st.just("pass"), NUMBERS),
    st.tuples(st.just("fail"), NUMBERS),
    st.tuples(st.just("good"), NUMBERS),
    st.tuples(st.just("bad"), NUMBERS),
    st.tuples(st.just("refuse"), NUMBERS),
    st.tuples(st.sampled_from(["approve", "promote", "roll_back", "retire"]), NUMBERS),
    st.tuples(st.just("wait"), st.sampled_from([1, 100, 200])),
)


class Story:
    """A line on which anything may happen but an override."""

    def __init__(self, house):
        self.house = house
        self.count = 0
        self.line = ""

    def begin(self, listens):
        """Turn to a line of its own, so that one store serves all examples."""
        self.count += 1
        line = next(iter(self.house.lines.values()))
        self.line = f"line{self.count}"
        self.house.lines.clear()
        self.house.lines[self.line] = line.model_copy(update={"name": self.line})
        self.house.roll_out(share=0.2, minimum_outcomes=4, alpha=0.2, shadow=ShadowPlan(calls=4 if listens else 0))

    def take(self, what, number):
        """Let one thing happen, then a cycle; return where each version stands."""
        name, house = f"{self.line}@{number}", self.house
        known = house.release(name) is not None
        if what == "publish" and not known:
            house.publish(number, self.line)
        elif what in {"pass", "fail"} and known:
            self.count += 1
            house.judge(name, {"pass": "pass", "fail": "fail"}[what], suite=f"s{self.count}")
        elif what in {"good", "bad"}:
            for _ in range(6):
                house.ends(name, what == "good", line=self.line)
                house.ends("tiny-base", what != "good", line=self.line)
        elif what == "refuse":
            house.refuse(name)
        elif what == "wait":
            house.clock.advance(number * 3600)
        elif known and what != "publish":
            house.ask(what, name, line=self.line)
        asyncio.run(house.cycle())
        return {number: house.state_of(f"{self.line}@{number}") for number in (1, 2, 3)}


@pytest.fixture
def story(house):
    return Story(house)


@given(st.booleans(), st.lists(STEPS, max_size=12))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_but_an_override_brings_back_what_has_fallen(story, listens, steps):
    """Verdicts, outcomes, time, and what people ask without an override: a fallen version stays, or retires."""
    story.begin(listens)
    before = {}
    for what, number in [("publish", 1), ("publish", 2), ("pass", 1), ("pass", 2), *steps]:
        now = story.take(what, number)
        for version, state in before.items():
            if state in FALLEN:
                assert now[version] in {state, "retired"}, (what, number, before, now)
        assert list(now.values()).count("active") <= 1
        assert list(now.values()).count("canary") + list(now.values()).count("shadow") <= 1
        before = now


def test_the_ways_back_lead_through_a_canary_and_never_to_the_place_of_the_active_one():
    """By the table of moves itself: what has fallen can only get a canary, and what is retired nothing."""
    for state in (ReleaseState.ROLLED_BACK, ReleaseState.REJECTED):
        assert MOVES[state] == {ReleaseState.CANARY, ReleaseState.RETIRED}
    assert not MOVES[ReleaseState.RETIRED]
