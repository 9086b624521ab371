"""The ladder: which answers count on which rung, and how a line climbs."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flywheel.core.clocks import ManualClock
from flywheel.core.decisions import Judgement
from flywheel.core.events import Event
from flywheel.core.examples import PoolExample
from flywheel.core.intents import Intent
from flywheel.core.ladders import OWN, rung_asked
from flywheel.core.lines import Line
from flywheel.core.outcomes import Label
from flywheel.curate.climb_plans import Climber, plan
from flywheel.curate.climbs import ClimbRoom, at_the_foot, climbers
from flywheel.curate.lessons import Lesson, Lessons, Side
from flywheel.curate.rungs import REASON, counting, lessons_counting, rung_facts
from flywheel.daemon.treatments import Treatments
from flywheel.policy.judging import judge
from flywheel.policy.loading import load_policies
from flywheel.store import ledger
from flywheel.store.rungs import CLIMBED, PASSED, on_its_rung, stand_of

AT = ManualClock().now()
POLICIES = load_policies(Path(__file__).parents[2] / "policies")
ORIGINS = ("logged", "harness", "synthetic", "teacher")


def line(**values: Any) -> Line:
    """A line that climbs."""
    return Line(**({"name": "tool-calling", "why": "w", "base": "b", "rung": 1, "climbs_to": 4} | values))


def example(number: int, origin: str) -> PoolExample:
    """An example of the pool."""
    return PoolExample.model_validate({
        "seq": number, "id": f"e{number}", "task": f"t{number}", "session": "s", "group": "g", "category": "c",
        "prompt_key": f"q{number}", "at": AT, "origin": origin, "foreign": False,
    })  # fmt: skip


@given(st.lists(st.sampled_from(ORIGINS)), st.integers(1, 4), st.sets(st.integers(0, 20)))
def test_a_rung_lets_in_what_it_may_and_keeps_what_taught(origins: list[str], rung: int, before: set[int]) -> None:
    """Below the mixed rung none of the line's own answers, but for those that taught; nothing else is ever left out."""
    examples = [example(number, origin) for number, origin in enumerate(origins)]
    taught, left_out = {f"e{number}" for number in before}, Counter[str]()
    kept = counting(examples, rung, taught, left_out)
    assert {one.id for one in kept} >= {one.id for one in examples} & taught
    assert [one for one in examples if one not in kept] == [
        one for one in examples if rung < 2 and one.origin in OWN and one.id not in taught
    ]
    assert left_out[REASON] == len(examples) - len(kept)
    assert rung_facts(kept, rung, taught)["above_rung"] == 0
    assert rung_facts(examples, rung, taught)["above_rung"] == len(examples) - len(kept)


def test_every_origin_asks_for_a_rung() -> None:
    """What others made asks for the first one, what the agent itself answered for the mixed one."""
    assert {origin: rung_asked(origin) for origin in ORIGINS} == {
        "logged": 2, "harness": 2, "synthetic": 1, "teacher": 1,
    }  # fmt: skip


def test_pairs_and_judgements_of_its_own_answers_wait_for_the_mixed_rung() -> None:
    """A lesson one side of which the line's own agent answered is left out on the first rung, and counted."""
    sides = [(Side(("q",), "t", "s", "r"), Side(("q",), "t", "s", "r", own=own)) for own in (True, False, True)]
    every = [Lesson(f"l{n}", AT, n, pair, ("a", "b", "c"), ()) for n, pair in enumerate(sides)]
    found = lessons_counting(Lessons("pair", every, frozenset({"l2"})), 1)
    assert [one.id for one in found.every] == ["l1", "l2"]
    assert found.left_out == {REASON: 1}
    assert lessons_counting(Lessons("pair", every), 2).every == every


@pytest.mark.asyncio
async def test_own_answers_wait_in_the_pool_until_the_line_has_climbed(desk: Any) -> None:
    """On the first rung a dataset holds what others made; after the climb the same pool gives the rest as well."""
    desk.line = line(dataset=desk.line.dataset, trigger=desk.line.trigger)
    desk.bring(*(desk.outcome(number, origin="synthetic") for number in range(20)))
    desk.bring_many(20, 50)
    await desk.settle()
    first = desk.last()
    assert (first.examples, first.left_out[REASON]) == (20, 30)
    desk.trained()
    _passed(desk)
    assert await _climb(desk) == 2
    desk.line = _standing(desk)
    assert desk.counters()["examples_fresh"] == 30
    await desk.settle()
    second = desk.last()
    assert (second.number, second.examples, second.fresh) == (2, 50, 30)
    assert second.shares["others_share"] == 0.4
    assert second.shares["lost_examples"] == 0


@pytest.mark.asyncio
async def test_a_line_climbs_one_rung_at_a_time_and_each_once(desk: Any) -> None:
    """However often a climb is done, one event tells it; the next rung counts its passes anew."""
    desk.line = line()
    _passed(desk)
    room = _room(desk)
    (step,) = (await room.propose()).proposals
    assert (step.intent.params, step.facts["line.passes_on_rung"]) == ({"rung": 2}, 1)
    done = [await room.perform(step.intent, 1) for _ in range(3)]
    assert [one.changed for one in done] == [True, False, False]
    assert [event.body["rung"] for event in desk.events(CLIMBED)] == [2]
    (step,) = (await room.propose()).proposals
    assert (step.intent.params, step.facts["line.passes_on_rung"]) == ({"rung": 3}, 0)


@pytest.mark.asyncio
async def test_the_file_has_the_last_word(desk: Any) -> None:
    """A line never stands above `climbs_to` nor below `rung`; without `climbs_to` it stays where its file says."""
    desk.line = line()
    for _ in range(3):
        await _climb(desk)
    stands = [(values, _standing(desk, **values).rung) for values in (
        {}, {"climbs_to": 2}, {"rung": 3, "climbs_to": 3}, {"climbs_to": None}, {"rung": 4, "climbs_to": 4},
    )]  # fmt: skip
    assert [rung for _, rung in stands] == [4, 2, 3, 1, 4]
    assert (await _room(desk).propose()).proposals == ()


def test_the_ladder_leads_upwards() -> None:
    """A highest rung below the first one is refused where the file is read."""
    with pytest.raises(ValidationError, match="never descends"):
        line(rung=3, climbs_to=2)


@given(rung=st.integers(1, 4), top=st.integers(1, 4))
def test_a_climber_wants_the_next_rung_until_it_is_up(rung: int, top: int) -> None:
    """Always one rung further, never beyond the highest."""
    here = Climber(line=line(climbs_to=top), rung=rung, facts={})
    wanted = [step.intent.params["rung"] for step in plan((here,)).proposals]
    assert wanted == ([rung + 1] if rung < top else [])


counts = st.none() | st.integers(0, 5)


@given(next_rung=st.integers(2, 4), planning=st.booleans(), lowest=counts, passes=counts, own=counts, promoted=counts)
def test_what_ships_opens_a_rung_only_when_all_of_it_is_earned(
    *, next_rung: int, planning: bool, lowest: int | None, passes: int | None, own: int | None, promoted: int | None
) -> None:
    """Proved on this rung; enough answers of its own from the third; promoted for the fourth; planning comes last."""
    facts = {
        "line.next_rung": next_rung, "line.is_planning": planning, "ladder.lowest_other_rung": lowest,
        "line.passes_on_rung": passes, "line.own_examples": own, "line.minimum_examples": 3,
        "line.promotions": promoted,
    }  # fmt: skip
    intent = Intent(kind="curate.climb_rung", line="plan", subject="plan", why="w", params={"rung": next_rung})
    earned = (passes or 0) >= 1
    earned &= next_rung < 3 or (own or 0) >= 3
    earned &= next_rung < 4 or (promoted or 0) >= 1
    earned &= not planning or (lowest or 0) >= next_rung
    assert judge(intent, facts, POLICIES).judgement is (Judgement.ALLOW if earned else Judgement.HOLD)


@pytest.mark.asyncio
@pytest.mark.parametrize(("groups", "share", "judgement"), [
    (("g0", "g1", "g2"), 0.0, Judgement.REFUSE), (("own/new", "g1", "g2", "g0"), 0.25, Judgement.ALLOW),
])  # fmt: skip
async def test_a_plateau_wants_repos_that_the_line_has_not_seen(
    desk: Any, groups: tuple[str, ...], share: float, judgement: Judgement
) -> None:
    """After two candidates without a gain more of the same repos is refused, and a fifth from new ones is enough."""
    desk.bring(*(desk.outcome(number, origin="synthetic") for number in range(20)))
    await desk.settle()
    desk.trained()
    fresh = (desk.outcome(n, origin="synthetic", group=groups[n % len(groups)]) for n in range(20, 40))
    desk.bring(*fresh)
    await desk.settle()
    found = desk.last().shares["new_group_share"]
    assert found == share
    rail = next(one for one in POLICIES.guardrails if one.name == "plateau-needs-diversity")
    intent = Intent(kind="train.start_run", line="l", subject="s", why="w")
    facts = {"line.rounds_without_gain": 2, "dataset.new_group_share": found}
    assert judge(intent, facts, POLICIES.model_copy(update={"guardrails": (rail,)})).judgement is judgement


@pytest.mark.asyncio
async def test_own_answers_are_counted_as_they_come_and_anew_before_a_climb(desk: Any) -> None:
    """What came since is added; when a climb could follow, what was withdrawn meanwhile does not count."""
    desk.line = line(rung=2, dataset=desk.line.dataset.model_copy(update={"minimum_examples": 30}))
    room = _room(desk)
    counted = []
    for first, last in ((0, 10), (10, 10), (10, 25), (25, 40)):
        desk.bring_many(first, last)
        desk.bring(*(desk.outcome(1000 + n, origin="synthetic") for n in range(first, last)))
        await desk.settle()
        counted.append((await room.propose()).proposals[0].facts["line.own_examples"])
    assert counted == [10, 10, 25, 30]
    desk.bring(*(desk.outcome(number, Label.NEGATIVE) for number in range(20)))
    await desk.settle()
    assert (await room.propose()).proposals[0].facts["line.own_examples"] == 30
    _passed(desk)
    (step,) = (await room.propose()).proposals
    assert step.facts["line.own_examples"] == 20
    assert judge(step.intent, step.facts, POLICIES).judgement is Judgement.HOLD


def test_nobody_stands_higher_than_others_have_climbed(desk: Any) -> None:
    """The lowest rung of the others is where they stand today, not where their files begin."""
    lines = {one.name: one for one in (line(), line(name="plan", planning=True))}
    with desk.store.write() as session:
        ledger.append(session, Event(kind=CLIMBED, at=AT, line="tool-calling", body={"rung": 2}))
    with desk.store.read() as session:
        found = {one.line.name: one.facts["ladder.lowest_other_rung"] for one in climbers(session, lines)}
    assert found == {"tool-calling": 2, "plan": 2}
    assert {one.facts["ladder.lowest_other_rung"] for one in at_the_foot(lines)} == {1}


def test_runs_and_datasets_see_the_line_where_it_stands(desk: Any) -> None:
    """What is handed to the rooms has the rung of today; a line that does not climb is the very one declared."""
    still = line(name="still", rung=2, climbs_to=None)
    with desk.store.write() as session:
        ledger.append(session, Event(kind=CLIMBED, at=AT, line="tool-calling", body={"rung": 3}))
    treated = Treatments(desk.store, {"tool-calling": line(), "still": still}, {}).lines()
    assert (treated["tool-calling"].rung, treated["still"]) == (3, still)


def _passed(desk: Any) -> None:
    desk.clock.advance(1)
    with desk.store.write() as session:
        ledger.append(session, Event(kind=PASSED, at=desk.clock.now(), line=desk.line.name, subject="a@1"))


def _room(desk: Any) -> ClimbRoom:
    return ClimbRoom(desk.store, desk.clock, lambda: {desk.line.name: desk.line})


async def _climb(desk: Any) -> int:
    room = _room(desk)
    (step,) = (await room.propose()).proposals
    await room.perform(step.intent, None)
    with desk.store.read() as session:
        return stand_of(session, desk.line).rung


def _standing(desk: Any, **values: Any) -> Line:
    with desk.store.read() as session:
        return on_its_rung(session, desk.line.model_copy(update=values))
