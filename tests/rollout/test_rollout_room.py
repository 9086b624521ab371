"""The life of an adapter in front of the agent: registered, canary, active, and every way back."""

import pytest
from sqlalchemy import event, text

from flywheel.core.facts import check_facts
from flywheel.store import releases as release_rows
from flywheel.store.attributions import attributed_outcomes

pytestmark = pytest.mark.asyncio


def feed(house, canary, control, rounds, canary_success, control_success):
    """Let tasks end on both arms."""
    for turn in range(rounds):
        for k in range(2):
            house.ends(control, (turn * 2 + k) % 10 < control_success)
        house.ends(canary, turn % 10 < canary_success)


async def test_a_published_adapter_is_registered_inactive_once(house):
    """Every published adapter becomes a release, inactive, and a second cycle adds nothing."""
    name = house.publish(1)
    assert await house.cycle() == ["registered tool-calling@1, inactive"]
    assert await house.cycle() == []
    assert house.state_of(name) == "registered"
    (told,) = house.events("rollout.adapter_registered")
    assert told.cause == house.events("train.adapter_published")[0].seq
    assert await house.waits() == "tool-calling@1 waits for its gate"


async def test_a_new_version_never_touches_the_active_one(house):
    """Registering a second adapter leaves the first where it is."""
    await house.active(1)
    house.publish(2)
    await house.settle()
    assert (house.state_of("tool-calling@1"), house.state_of("tool-calling@2")) == ("active", "registered")


async def test_what_passes_its_gate_gets_a_canary_at_the_rollouts_share(house):
    """A passing verdict on the very adapter starts the canary; the event knows the verdict it came from."""
    name = house.publish(1)
    await house.cycle()
    verdict = house.judge(name)
    assert await house.cycle() == ["started the canary tool-calling@1 at 20 %"]
    (told,) = house.events("rollout.canary_started")
    assert (told.cause, told.body["share"]) == (verdict, 0.2)


@pytest.mark.parametrize("verdict", ["fail", "insufficient evidence"])
async def test_what_does_not_pass_is_rejected_once(house, verdict):
    """A failing verdict, and one without enough evidence, reject the adapter, one time."""
    name = house.publish(1)
    house.judge(name, verdict)
    await house.settle()
    await house.cycle()
    assert house.state_of(name) == "rejected"
    (told,) = house.events("rollout.adapter_rejected")
    assert verdict in told.body["why"]


async def test_what_no_model_server_takes_is_rejected_or_taken_back(house):
    """A refusal by serving ends a candidate and a canary; one from before the release moved does not count."""
    house.publish(1)
    await house.settle()
    house.refuse("tool-calling@1")
    await house.settle()
    assert house.state_of("tool-calling@1") == "rejected"
    house.ask("promote", "tool-calling@1", override=True, reason="the server's rank was too small")
    await house.settle()
    assert house.state_of("tool-calling@1") == "canary"
    house.refuse("tool-calling@1")
    await house.settle()
    assert house.state_of("tool-calling@1") == "rolled back"


async def test_a_line_has_one_canary_and_the_others_wait(house):
    """The second adapter that passed waits until the first canary ended."""
    first = await house.canary(1)
    second = house.publish(2)
    house.judge(second)
    await house.settle()
    assert (house.state_of(first), house.state_of(second)) == ("canary", "registered")
    house.ask("roll_back", first)
    await house.settle()
    assert (house.state_of(first), house.state_of(second)) == ("rolled back", "canary")


async def test_good_outcomes_promote_and_supersede_in_one_transaction(house):
    """The canary becomes active and the one before superseded, with the numbers, in one step."""
    await house.active(1)
    await house.canary(2)
    feed(house, "tool-calling@2", "tool-calling@1", 20, 8, 5)
    assert await house.cycle() == ["promoted tool-calling@2 over tool-calling@1"]
    assert (house.state_of("tool-calling@1"), house.state_of("tool-calling@2")) == ("superseded", "active")
    promoted, superseded = house.events("rollout.adapter_promoted", "rollout.adapter_superseded")[-2:]
    assert promoted.body["numbers"]["canary"] == 20
    assert promoted.body["numbers"]["difference"] == pytest.approx(0.3)
    assert superseded.cause == promoted.seq
    assert await house.cycle() == []


async def test_a_canary_that_is_worse_is_taken_back_and_the_active_one_stays(house):
    """Evidence rolls back: the share is gone, the active one untouched, and it never returns by itself."""
    await house.active(1)
    await house.canary(2)
    feed(house, "tool-calling@2", "tool-calling@1", 15, 0, 9)
    await house.settle()
    assert (house.state_of("tool-calling@1"), house.state_of("tool-calling@2")) == ("active", "rolled back")
    (told,) = house.events("rollout.adapter_rolled_back")
    assert told.body["numbers"]["evidence"] >= told.body["numbers"]["needed"]
    house.judge("tool-calling@2", suite="s2")
    assert await house.cycle() == []
    with house.store.read() as session:
        assert release_rows.release_by_name(session, "tool-calling@2").share == 0


async def test_the_wait_says_how_the_canary_does(house):
    """The line's sentence counts outcomes and compares successes; the base is the control of a first adapter."""
    await house.canary(1)
    for success in (True, True, True, False):
        house.ends("tool-calling@1", success)
        house.ends("tiny-base", not success)
    assert await house.waits() == "canary tool-calling@1: 4 of 20 outcomes, success 75 % beside 25 %"


async def test_only_ended_tasks_of_exactly_one_arm_count_once(house):
    """Unknown labels, tasks of both arms, stand-ins and earlier outcomes are no results; a task's last label counts."""
    await house.active(1)
    house.ends("tool-calling@1", True)
    await house.canary(2)
    house.ends("tool-calling@2", None)
    house.ends("tool-calling@2", True, task="both")
    house.ends("tool-calling@1", True, task="both")
    house.ends("tiny-base", False)
    house.ends("tool-calling@2", True, task="long")
    house.ends("tool-calling@2", False, task="long")
    house.ends("tool-calling@1", True)
    house.ends("tool-calling@2", True, line="another")
    assert await house.waits() == "canary tool-calling@2: 1 of 20 outcomes, success 0 % beside 100 %"


async def test_a_promotion_that_policy_holds_keeps_the_canary_and_can_still_be_taken_back(house):
    """A hold on the promotion stops nothing else: later evidence still rolls back."""

    def held(proposal):
        return proposal.intent.kind != "rollout.promote_adapter"

    await house.active(1)
    await house.canary(2)
    feed(house, "tool-calling@2", "tool-calling@1", 20, 8, 5)
    assert await house.cycle(held) == []
    assert house.state_of("tool-calling@2") == "canary"
    house.ask("promote", "tool-calling@2")
    feed(house, "tool-calling@2", "tool-calling@1", 40, 0, 10)
    assert await house.cycle(held) == ["rolled back tool-calling@2"]


async def test_out_of_time_without_outcomes_the_canary_is_taken_back(house):
    """A canary that nobody used does not stay for ever."""
    await house.canary(1)
    house.clock.advance(168 * 3600 + 1)
    await house.settle()
    assert house.state_of("tool-calling@1") == "rolled back"
    assert "nothing can be compared" in house.events("rollout.adapter_rolled_back")[0].body["why"]


async def test_every_proposal_carries_registered_facts(house):
    """Guardrails judge by facts of the registry, of their types, and each intent carries those it needs."""
    house.publish(1)
    await house.cycle()
    house.judge("tool-calling@1")
    (proposal,) = (await house.room.propose()).proposals
    check_facts(proposal.facts)
    assert proposal.facts == {
        "gate.verdict": "pass", "release.approved": False, "release.overridden": False, "line.promotions": 0,
        "line.is_planning": False, "line.rung": 3, "ladder.lowest_other_rung": 3,
    }  # fmt: skip


async def test_promotions_are_counted_whatever_became_of_them(house):
    """An adapter that was active and taken back was promoted all the same."""
    await house.active(1)
    house.ask("roll_back", "tool-calling@1")
    await house.settle()
    house.publish(2)
    (proposal,) = (await house.room.propose()).proposals
    assert proposal.facts["line.promotions"] == 1


async def test_doing_an_intent_twice_is_doing_it_once(house):
    """Each intent repeated right after itself changes nothing and writes nothing."""
    house.publish(1)
    house.judge("tool-calling@1")
    house.ask("promote", "tool-calling@9")
    kinds = []
    while proposals := (await house.room.propose()).proposals:
        for proposal in proposals:
            kinds.append(proposal.intent.kind)
            first = await house.room.perform(proposal.intent, proposal.cause)
            count = len(house.events())
            again = await house.room.perform(proposal.intent, proposal.cause)
            assert (first.changed, again.changed, len(house.events())) == (True, False, count)
    assert kinds == ["rollout.register_adapter", "operator.refuse_request", "rollout.start_canary"]


async def test_a_stale_decision_does_not_touch_what_moved_meanwhile(house):
    """A rollback decided for a canary does not take back the active adapter it has become."""
    await house.canary(1)
    feed(house, "tool-calling@1", "tiny-base", 15, 0, 9)
    (stale,) = (await house.room.propose()).proposals
    assert stale.intent.kind == "rollout.roll_back_adapter"
    house.ask("promote", "tool-calling@1")
    asked = (await house.room.propose()).proposals[0]
    await house.room.perform(asked.intent, asked.cause)
    assert not (await house.room.perform(stale.intent, stale.cause)).changed
    assert house.state_of("tool-calling@1") == "active"


async def test_the_outcomes_since_the_canary_are_found_by_index(house):
    """The canary's query scans neither table: its cost is what came since the canary began."""
    seen = []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        seen.append((statement, parameters))

    house.ends("tool-calling@1", True)
    event.listen(house.store.engine, "before_cursor_execute", note)
    with house.store.read() as session:
        assert attributed_outcomes(session, "tool-calling", house.clock.now())
    event.remove(house.store.engine, "before_cursor_execute", note)
    statement, parameters = seen[-1]
    with house.store.read() as session:
        steps = [row[-1] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert not any(step.startswith("SCAN") for step in steps), steps
    assert any("outcomes_line" in step for step in steps), steps


async def test_the_database_itself_refuses_a_second_active_release(house):
    """One active release a line, by a unique index."""
    await house.active(1)
    house.publish(2)
    await house.settle()
    with pytest.raises(Exception, match="UNIQUE"), house.store.write() as session:
        session.connection().execute(text("UPDATE releases SET state = 'active'"))


async def test_a_line_whose_rollout_is_not_declared_says_so(house):
    """A misspelt rollout stops canaries with a sentence, not with an error."""
    house.rollouts.clear()
    house.publish(1)
    house.judge("tool-calling@1")
    await house.settle()
    assert await house.waits() == "rollout 'careful' is not declared"
