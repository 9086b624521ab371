"""How a canary's share rises, what its calls may cost, who must approve of it, and what must be ruled out before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flywheel.core.lines import RolloutPlan
from flywheel.core.routing import Alias, Arm, Routing
from flywheel.rollout.canaries import Result, earned_share, judge_canary
from flywheel.rollout.guards import TaskCalls, strain_of
from flywheel.store.loaded import publish_routing
from flywheel.store.stores import insert_new
from flywheel.store.tables import AttributionRow

STEPS = ({"share": 0.3, "after": 10}, {"share": 0.5, "after": 20})


def plan(**given):
    return RolloutPlan(name="careful", why="tests", **given)


def rounds(count, canary=8, control=8):
    """Return rounds of one result of either arm, with so many successes in ten."""
    return [Result(canary=arm, success=turn % 10 < (canary if arm else control))
            for turn in range(count) for arm in (False, True)]  # fmt: skip


@pytest.mark.parametrize(
    "steps", [({"share": 0.1, "after": 10},), ({"share": 0.4, "after": 10}, {"share": 0.3, "after": 20}),
              ({"share": 0.3, "after": 20}, {"share": 0.4, "after": 20}), ({"share": 0.6, "after": 20},)]
)  # fmt: skip
def test_steps_that_do_not_rise_are_refused(steps):
    """Each step has a larger share than the one before, after more outcomes, and leaves half for the control."""
    with pytest.raises(ValidationError):
        plan(share=0.2, steps=steps)


def test_the_share_is_earned_by_outcomes_that_were_good_enough():
    """Nothing is earned before a step's outcomes, and nothing by outcomes that are worse than tolerated."""
    rising = plan(share=0.2, steps=STEPS)
    earned = [earned_share(judge_canary(rounds(count), rising, 0).numbers, rising) for count in (9, 10, 19, 20, 99)]
    assert earned == [0.2, 0.3, 0.3, 0.5, 0.5]
    assert earned_share(judge_canary(rounds(20, canary=6), rising, 0).numbers, rising) == 0.2


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=80))
def test_the_share_stays_between_the_first_and_the_last(found):
    """Whatever happens, a canary never gets more than the last step's share, nor less than the first."""
    rising = plan(share=0.2, steps=STEPS)
    results = [Result(canary=canary, success=success) for canary, success in found]
    assert 0.2 <= earned_share(judge_canary(results, rising, 0).numbers, rising) <= 0.5


def test_outcomes_enough_do_not_promote_before_the_loss_is_ruled_out():
    """Without proof a canary with outcomes enough goes on and says what it waits for; with proof it is promoted."""
    strict = plan(minimum_outcomes=20, alpha=0.01, ruled_out_loss=0.1)
    waiting = judge_canary(rounds(40), strict, 0)
    assert waiting.choice == "go_on"
    assert waiting.sentence.endswith("a loss of 10 points is not ruled out yet")
    proven = judge_canary(rounds(300), strict, 0)
    assert proven.choice == "promote"
    assert proven.numbers.ruled_out >= proven.numbers.needed


def test_a_loss_of_that_size_is_never_ruled_out_by_more_of_the_same():
    """Evidence against the loss does not grow where the loss is there."""
    strict = plan(minimum_outcomes=20, alpha=0.01, ruled_out_loss=0.1, tolerated_loss=0.2)
    assert judge_canary(rounds(2000, canary=7), strict, 0).choice == "roll_back"


def calls(canary, control, tasks):
    """Return the calls of tasks that alternate between the arms; each arm's are (failed of ten, milliseconds)."""
    sides = [(False, *control), (True, *canary)]
    return [
        TaskCalls(canary=arm, calls=10, failed=failed, latency_ms=latency)
        for _ in range(tasks) for arm, failed, latency in sides
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("canary", "words"),
    [
        ((0, 100.0), ""),
        ((0, 190.0), ""),
        ((10, None), "100 % of its calls fail, beside 0 %"),
        ((3, 100.0), "30 % of its calls fail, beside 0 %"),
        ((0, 250.0), "its calls take 250 ms, beside 100 ms"),
    ],
)
def test_calls_that_fail_or_drag_are_trouble(canary, words):
    """Failures beyond what is tolerated, and tasks beyond twice the latency, are found; what is tolerated is not."""
    assert strain_of(calls(canary, (0, 100.0), 120), plan()).trouble == words


def test_trouble_with_calls_takes_a_canary_back_that_solves_its_tasks():
    """Good outcomes do not outweigh calls that fail."""
    verdict = judge_canary(rounds(60), plan(), 0, calls((10, None), (0, 100.0), 60))
    assert verdict.choice == "roll_back"
    assert verdict.sentence.startswith("100 % of its calls fail")
    assert verdict.numbers.strain.canary_failed == 1.0


def test_without_a_control_no_calls_are_trouble():
    """A canary that nobody can be compared with is not taken back for its latency."""
    assert not strain_of([TaskCalls(canary=True, calls=1, failed=1, latency_ms=1e6)] * 200, plan()).trouble


@pytest.mark.asyncio
async def test_a_canary_that_does_well_gets_a_larger_share_step_by_step(house):
    """The registry's share rises with the outcomes, each time once, in the ledger with its numbers."""
    house.roll_out(share=0.2, steps=STEPS, minimum_outcomes=30)
    await house.canary(1)
    shares = []
    for turn in range(29):
        house.ends("tiny-base", turn % 2 == 0)
        house.ends("tool-calling@1", True)
        await house.settle()
        shares.append(house.release("tool-calling@1").share)
    assert [shares.count(share) for share in (0.2, 0.3, 0.5)] == [9, 10, 10]
    raised = house.events("rollout.share_raised")
    assert [(told.body["before"], told.body["share"]) for told in raised] == [(0.2, 0.3), (0.3, 0.5)]
    assert raised[0].body["numbers"]["canary"] == 10
    assert house.release("tool-calling@1").canary_since < raised[0].at


@pytest.mark.asyncio
async def test_failing_calls_take_the_canary_back_before_any_outcome_is_known(house):
    """What the gateway saw of both arms is enough: nobody has to wait for tasks to end."""
    alias = Alias(arms=(Arm(model="tiny-base", share=1.0, role="active"),))
    routing = Routing(version=1, upstreams=("http://127.0.0.1:1",), base_model="tiny-base", aliases={"t": alias})
    with house.store.write() as session:
        publish_routing(session, routing, house.clock.now())
    name = await house.canary(1)
    for turn in range(40):
        house.ends("tiny-base", None, status=200, latency_ms=50.0)
        house.ends(name, None, status=502 if turn % 4 else 200, latency_ms=50.0)
    await house.settle()
    assert house.state_of(name) == "rolled back"
    (told,) = house.events("rollout.adapter_rolled_back")
    assert "% of its calls fail, beside 0 %" in told.body["why"]
    assert told.body["numbers"]["strain"]["control_calls"] == 40


@pytest.mark.asyncio
async def test_tasks_of_both_arms_and_calls_that_clients_took_back_count_for_nobody(house):
    """A task that both arms answered, and a call without a status, are no evidence against anybody."""
    await house.active(1)
    name = await house.canary(2)
    for turn in range(60):
        house.ends(name, None, task=f"both{turn}", status=500)
        house.ends("tool-calling@1", None, task=f"both{turn}", status=200)
        house.ends(name, None, status=None)
        house.ends("tool-calling@1", None, status=200)
    await house.settle()
    assert house.state_of(name) == "canary"


@pytest.mark.asyncio
async def test_a_rollout_that_asks_for_approval_waits_for_a_person(house):
    """A canary that has proven itself is not promoted before somebody approves; it can still be taken back."""
    house.roll_out(share=0.2, minimum_outcomes=10, approval=True)
    await house.active(1)
    name = await house.canary(2)
    for _ in range(12):
        house.ends("tool-calling@1", True)
        house.ends(name, True)
    await house.settle()
    assert house.state_of(name) == "canary"
    assert "waits for a person: `flywheel adapters approve tool-calling@2`" in await house.waits()
    house.ask("approve", name)
    await house.settle()
    assert house.state_of(name) == "active"


@pytest.mark.asyncio
async def test_a_raise_decided_for_what_moved_meanwhile_is_left(house):
    """A larger share for a canary that was taken back in between changes nothing."""
    house.roll_out(share=0.2, steps=STEPS, minimum_outcomes=30)
    name = await house.canary(1)
    for _ in range(12):
        house.ends("tiny-base", True)
        house.ends(name, True)
    (stale,) = (await house.room.propose()).proposals
    assert stale.intent.kind == "rollout.raise_share"
    house.ask("roll_back", name)
    asked = (await house.room.propose()).proposals[0]
    await house.room.perform(asked.intent, asked.cause)
    assert not (await house.room.perform(stale.intent, stale.cause)).changed
    assert house.release(name).share == 0


@pytest.mark.asyncio
async def test_what_calls_cost_is_found_by_index(house):
    """The guards' query scans no table: its cost is the calls of both arms since the canary began."""
    from sqlalchemy import event

    from flywheel.store.arm_calls import arm_calls

    seen = []
    with house.store.write() as session:
        insert_new(session, AttributionRow, [{"call": "c", "line": "l", "name": "n", "arm": "active", "task": "t",
                                              "session": "s", "at": house.clock.now()}])  # fmt: skip
    note = lambda _c, _k, statement, values, _x, _m: seen.append((statement, values))  # noqa: E731
    event.listen(house.store.engine, "before_cursor_execute", note)
    with house.store.read() as session:
        arm_calls(session, "l", ("n", "m"), house.clock.now())
    event.remove(house.store.engine, "before_cursor_execute", note)
    statement, values = seen[-1]
    with house.store.read() as session:
        steps = [row[-1] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert not any(step.startswith("SCAN") for step in steps), steps
