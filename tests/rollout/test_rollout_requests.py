"""What people ask of releases: each request is satisfied or refused, with a sentence."""

import pytest

pytestmark = pytest.mark.asyncio


async def test_an_approval_is_recorded_and_answered(house):
    """Approving marks the release, writes who and why, and answers."""
    await house.canary(1)
    key = house.ask("approve", "tool-calling@1", reason="looked at it")
    assert await house.cycle() == ["approved tool-calling@1"]
    assert house.answer(key) == ("satisfied", "approved tool-calling@1")
    (event,) = house.events("rollout.adapter_approved")
    assert (event.body["by"], event.body["reason"]) == ("ada", "looked at it")
    assert event.cause == house.events("operator.request_made")[0].seq


async def test_an_override_sends_an_unproven_adapter_to_its_canary_with_the_reason(house):
    """Promoting over the gate is recorded as such and is still judged by its canary."""
    house.publish(1)
    house.judge("tool-calling@1", "fail")
    await house.settle()
    house.ask("promote", "tool-calling@1", override=True, reason="the suite is wrong about quotes")
    (proposal,) = (await house.room.propose()).proposals
    assert proposal.facts["release.overridden"] is True
    assert await house.cycle() == ["started the canary tool-calling@1 at 20 %"]
    override, started = house.events("operator.override_recorded", "rollout.canary_started")
    assert override.body["reason"] == "the suite is wrong about quotes"
    assert (override.body["verdict"], started.cause) == ("fail", override.seq)


async def test_an_override_without_a_reason_is_refused(house):
    """Nobody overrides the gate in silence."""
    house.publish(1)
    await house.settle()
    key = house.ask("promote", "tool-calling@1", override=True, reason=" ")
    await house.settle()
    assert house.answer(key) == ("refused", "tool-calling@1 was not promoted: an override needs a reason")
    assert house.state_of("tool-calling@1") == "registered"


async def test_an_override_waits_for_the_running_canary(house):
    """A line has one canary, also for people; the request stays open and the line says why."""
    await house.canary(1)
    house.publish(2)
    await house.settle()
    key = house.ask("promote", "tool-calling@2", override=True, reason="hurry")
    await house.settle()
    assert house.answer(key)[0] == "open"
    assert "tool-calling@2 waits for the canary tool-calling@1 to end" in await house.waits()
    house.ask("roll_back", "tool-calling@1")
    await house.settle()
    assert house.state_of("tool-calling@2") == "canary"


@pytest.mark.parametrize(
    ("verdict", "words"),
    [(None, "has no passing verdict (none); wait for its gate"), ("fail", "was rejected; override that with a reason")],
)
async def test_promoting_what_is_not_proven_is_refused_with_the_way_out(house, verdict, words):
    """Without an override, only what passed goes on, and the refusal says what to do."""
    house.publish(1)
    if verdict:
        house.judge("tool-calling@1", verdict)
    await house.settle()
    key = house.ask("promote", "tool-calling@1")
    await house.settle()
    state, answer = house.answer(key)
    assert state == "refused"
    assert words in answer


async def test_a_person_may_promote_a_canary_before_its_time(house):
    """A canary that passed its gate is promoted at once when a person asks; that is an approval, too."""
    await house.canary(1)
    key = house.ask("promote", "tool-calling@1", reason="demo at noon")
    (proposal,) = (await house.room.propose()).proposals
    assert proposal.facts["release.approved"] is True
    await house.settle()
    assert house.answer(key) == ("satisfied", "promoted tool-calling@1 over the base")
    assert house.events("operator.override_recorded") == []


async def test_promoting_an_overridden_canary_needs_another_override(house):
    """An adapter without a passing verdict is not promoted by a plain request."""
    house.publish(1)
    await house.settle()
    house.ask("promote", "tool-calling@1", override=True, reason="try it")
    await house.settle()
    plain = house.ask("promote", "tool-calling@1")
    await house.settle()
    assert house.answer(plain)[0] == "refused"
    house.ask("promote", "tool-calling@1", override=True, reason="it is good")
    await house.settle()
    assert house.state_of("tool-calling@1") == "active"
    assert len(house.events("operator.override_recorded")) == 2


async def test_the_superseded_one_can_be_promoted_again(house):
    """Going back to the version before is one request; the other one gives way."""
    await house.active(1)
    await house.active(2)
    house.ask("promote", "tool-calling@1")
    await house.settle()
    assert (house.state_of("tool-calling@1"), house.state_of("tool-calling@2")) == ("active", "superseded")


@pytest.mark.parametrize("kind", ["roll_back", "retire"])
async def test_when_the_active_one_goes_the_one_before_returns_and_then_the_base(house, kind):
    """Rolling back or retiring the active adapter restores the last good one, and without one the base."""
    await house.active(1)
    await house.active(2)
    first = house.ask(kind, "tool-calling@2")
    await house.settle()
    assert house.state_of("tool-calling@1") == "active"
    assert house.answer(first)[1].endswith("; tool-calling@1 is active again")
    second = house.ask(kind, "tool-calling@1")
    await house.settle()
    assert house.answer(second)[1].endswith("; the base answers again")
    promoted = house.events("rollout.adapter_promoted")
    assert promoted[-1].subject == "tool-calling@1"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("promote", "is active and cannot be promoted"),
        ("approve", "only a registered adapter or a canary is approved"),
    ],
)
async def test_requests_in_the_wrong_state_are_refused(house, kind, words):
    """What makes no sense now is refused with the state that stands against it."""
    await house.active(1)
    key = house.ask(kind, "tool-calling@1", override=kind == "promote", reason="please")
    await house.settle()
    state, answer = house.answer(key)
    assert state == "refused"
    assert words in answer


async def test_rolling_back_what_is_not_in_front_of_the_agent_is_refused(house):
    """Only what answers can be taken back; retiring twice is refused, too."""
    house.publish(1)
    await house.settle()
    key = house.ask("roll_back", "tool-calling@1")
    await house.settle()
    assert house.answer(key) == (
        "refused", "tool-calling@1 is registered: only an active adapter or a canary is rolled back"
    )  # fmt: skip
    house.ask("retire", "tool-calling@1")
    await house.settle()
    again = house.ask("retire", "tool-calling@1")
    await house.settle()
    assert house.answer(again) == ("refused", "tool-calling@1 is retired already")


@pytest.mark.parametrize(("subject", "line"), [("tool-calling@9", "tool-calling"), ("ghost@1", "ghost"), ("what", "")])
async def test_unknown_adapters_and_lines_are_refused_in_the_ledger(house, subject, line):
    """A request about nothing is answered, and the ledger keeps it."""
    key = house.ask("promote", subject, line=line)
    await house.settle()
    state, answer = house.answer(key)
    assert state == "refused"
    assert "flywheel adapters list" in answer
    (event,) = house.events("operator.request_refused")
    assert event.body["answer"] == answer


async def test_a_request_about_an_adapter_just_published_is_satisfied_after_registering(house):
    """The request waits for the registration of the same cycle."""
    house.publish(1)
    key = house.ask("retire", "tool-calling@1")
    await house.settle()
    assert house.answer(key) == ("satisfied", "retired tool-calling@1")


async def test_train_requests_are_left_to_the_room_they_are_for(house):
    """Rollout answers only what is about releases."""
    key = house.ask("train", "tool-calling")
    await house.settle()
    assert house.answer(key)[0] == "open"
