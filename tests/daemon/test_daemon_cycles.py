"""One cycle: what is allowed is done, what is not is explained, a fault stays where it is, all of it on record."""

from datetime import timedelta
from typing import Any

import pytest
from daemon_house import House, Scripted, guardrail, proposal, raising

from flywheel.core.attempts import Attempt, Done, Failed, Retry
from flywheel.core.errors import ConflictError, UnavailableError
from flywheel.core.intents import Intent
from flywheel.store.decisions import rests_until


@pytest.mark.asyncio
async def test_what_is_allowed_is_done_and_recorded(house: House) -> None:
    """Decision, deed and cycle stand in the ledger, each with the cause that led to it."""
    house.guardrails = (guardrail(),)
    room = Scripted(wants=[proposal(cause=77)])
    report = await house.cycle(room).run()
    allowed, finished = house.events()
    assert (allowed.kind, allowed.line, allowed.subject, allowed.cause) == ("policy.intent_allowed", "l", "run-1", 77)
    assert room.performed == [("run-1", allowed.seq)]
    assert (finished.kind, finished.body) == ("daemon.cycle_finished", {"sentence": "did run-1", "done": ["did run-1"]})
    assert (report.sentence, report.changed) == ("did run-1", True)


@pytest.mark.asyncio
@pytest.mark.parametrize(("verdict", "kind"), [("hold", "policy.intent_held"), ("refuse", "policy.intent_refused")])
async def test_what_is_not_allowed_is_not_done(house: House, verdict: str, kind: str) -> None:
    """A stopped intent is recorded with what was seen and why; the line is told what it waits for."""
    house.guardrails = (guardrail(verdict, least=9),)
    room = Scripted(wants=[proposal(examples=5)])
    report = await house.cycle(room).run()
    assert room.performed == []
    assert house.kinds() == [kind]
    body = house.events()[0].body
    assert body["decision"]["facts"] == {"dataset.examples": 5}
    assert body["intent"]["subject"] == "run-1"
    assert body["sentence"].startswith(f"{verdict}: ")
    assert report.sentence == f"train.start_run run-1: {body['sentence']}"
    assert report.waits == {"l": (body["sentence"],)}
    assert not report.changed


@pytest.mark.asyncio
async def test_an_unchanged_decision_is_not_news(house: House) -> None:
    """A hundred cycles that hold the same intent for the same reason write one event; a changed verdict is another."""
    house.guardrails = (guardrail(least=9),)
    room = Scripted(wants=[proposal(examples=5)])
    for examples in (5, 6, 7, 7):
        room.wants = [proposal(examples=examples)]
        await house.cycle(room).run()
    assert house.kinds() == ["policy.intent_held"]
    house.guardrails = (guardrail("refuse", least=9),)
    await house.cycle(room).run()
    house.guardrails = (guardrail(least=7),)
    await house.cycle(room).run()
    assert house.kinds() == [
        "policy.intent_held", "policy.intent_refused", "policy.intent_allowed", "daemon.cycle_finished",
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_a_satisfied_wish_may_be_news_again(house: House) -> None:
    """The same intent, done and wanted again later, is decided and recorded again."""
    house.guardrails = (guardrail(),)
    room = Scripted(wants=[proposal()])
    for _ in range(2):
        await house.cycle(room).run()
    assert house.kinds() == ["policy.intent_allowed", "daemon.cycle_finished"] * 2


@pytest.mark.asyncio
async def test_a_crash_between_decision_and_deed_does_not_repeat_the_decision(house: House) -> None:
    """A daemon that died after deciding finds its decision and acts on it."""
    house.guardrails = (guardrail(),)
    room = Scripted(wants=[proposal()])
    room.answer = raising(KeyboardInterrupt())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        await house.cycle(room).run()
    room.answer = lambda _: Done(sentence="did it")
    await house.cycle(room).run()
    assert house.kinds() == ["policy.intent_allowed", "daemon.cycle_finished"]
    assert [cause for _, cause in room.performed] == [1, 1]


@pytest.mark.asyncio
async def test_what_nobody_guards_is_not_written_down_as_decided(house: House) -> None:
    """Only intents that a guardrail guards leave decisions; others are done with their own cause."""
    house.guardrails = (guardrail(),)
    room = Scripted("sources", [proposal("sources.ingest_outcomes", "agent", cause=5)])
    await house.cycle(room).run()
    assert house.kinds() == ["daemon.cycle_finished"]
    assert room.performed == [("agent", 5)]


@pytest.mark.asyncio
async def test_an_observing_guardrail_speaks_but_does_not_stop(house: House) -> None:
    """What it would have said is on record with the permission."""
    house.guardrails = (guardrail("refuse", least=9, mode="observe"),)
    room = Scripted(wants=[proposal(examples=5)])
    await house.cycle(room).run()
    assert len(room.performed) == 1
    assert house.events()[0].body["decision"]["reasons"][0]["judgement"] == "refuse"


@pytest.mark.asyncio
async def test_a_dry_run_decides_and_changes_nothing(house: House) -> None:
    """It tells what would be done and what would be stopped; ledger, decisions and rooms stay untouched."""
    house.guardrails = (guardrail(least=3),)
    room = Scripted(wants=[proposal(subject="run-1"), proposal(subject="run-2", examples=1)])
    for _ in range(2):
        report = await house.cycle(room).run(dry_run=True)
        assert report.sentence.startswith("dry run: would start run run-1; train.start_run run-2: hold: ")
    assert (room.performed, house.events(), house.heard) == ([], [], [])


@pytest.mark.asyncio
async def test_a_room_that_cannot_say_what_it_wants_does_not_stop_the_others(house: House) -> None:
    """A foreseen error and a plain bug end the same way: named in the sentence, while the other rooms go on."""
    rooms = [Scripted("sources"), Scripted("curate"), Scripted("train", [proposal()])]
    rooms[0].fault = UnavailableError("the database is away", "start it")
    rooms[1].fault = KeyError("oops")
    report = await house.cycle(*rooms).run()
    assert report.done == ("did run-1",)
    assert report.failed == ("sources: the database is away — start it", "curate: KeyError: 'oops'")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "reason", "pause"),
    [
        (lambda _: Failed(reason="no room", mend="make some"), "no room — make some", 10),
        (raising(ConflictError("taken", "give it back")), "taken — give it back", 10),
        (raising(ZeroDivisionError("bug")), "ZeroDivisionError: bug", 10),
        (raising(UnavailableError("away", "start it", delay=45)), "away — start it", 45),
    ],
)
async def test_a_failure_rests_and_comes_back(house: House, answer: Any, reason: str, pause: float) -> None:
    """It is recorded with its cause, left alone until its time, then tried again, and done at last."""
    house.guardrails = (guardrail(),)
    room = Scripted(wants=[proposal()])
    room.answer = answer
    report = await house.cycle(room).run()
    assert report.failed == (f"train.start_run run-1: {reason}",)
    failed = house.events("daemon.attempt_failed")[0]
    assert (failed.cause, failed.subject, failed.body) == (1, "run-1", {"intent": "train.start_run", "reason": reason})
    room.answer = lambda _: Done(sentence="did it")
    house.clock.advance(pause - 0.1)
    resting = await house.cycle(room).run()
    assert resting.done == resting.failed == ()
    (wait,) = resting.waits["l"]
    assert wait.startswith(f"start run run-1 failed: {reason} (tried again from ")
    assert len(room.performed) == 1
    house.clock.advance(0.1)
    assert (await house.cycle(room).run()).done == ("did it",)
    assert len(house.events("policy.intent_allowed")) == 1


@pytest.mark.asyncio
async def test_a_retry_names_its_own_time(house: House) -> None:
    """An intent that says when to come back is left alone until then, guarded or not."""
    room = Scripted("serve", [proposal("serve.load_adapter", "l@1")])
    at = house.clock.now() + timedelta(seconds=100)
    room.answer = lambda _: Retry(at=at, reason="the server is starting")
    await house.cycle(room).run()
    house.clock.advance(99)
    await house.cycle(room).run()
    assert len(room.performed) == 1
    house.clock.advance(1)
    await house.cycle(room).run()
    assert len(room.performed) == 2


@pytest.mark.asyncio
async def test_pauses_grow_and_only_a_new_reason_is_news(house: House) -> None:
    """Ten seconds, then twice as long each time, never over six hours; the same reason is told once."""
    room = Scripted(wants=[proposal()])
    room.answer = lambda _: Failed(reason="no room")
    pauses = []
    for _ in range(15):
        await house.cycle(room).run()
        with house.store.read() as session:
            until = rests_until(session, room.wants[0].intent.key)
        assert until is not None
        pauses.append((until - house.clock.now()).total_seconds())
        house.clock.advance(pauses[-1])
    assert pauses == [min(10 * 2**n, 6 * 3600) for n in range(15)]
    assert len(house.events("daemon.attempt_failed")) == 1
    room.answer = lambda _: Failed(reason="no GPU")
    await house.cycle(room).run()
    assert [event.body["reason"] for event in house.events("daemon.attempt_failed")] == ["no room", "no GPU"]


@pytest.mark.asyncio
async def test_one_failure_does_not_hold_up_the_rest(house: House) -> None:
    """Intents fail and rest each for itself."""

    def answer(intent: Intent) -> Attempt:
        return Failed(reason="bad") if intent.subject == "run-1" else Done(sentence=f"did {intent.subject}")

    room = Scripted(wants=[proposal(subject="run-1"), proposal(subject="run-2")])
    room.answer = answer
    report = await house.cycle(room, Scripted("gate", [proposal("gate.measure_adapter", "l@1")])).run()
    assert report.sentence == "did run-2; did l@1; train.start_run run-1: bad"


@pytest.mark.asyncio
async def test_a_quiet_cycle_says_so_and_writes_nothing(house: House) -> None:
    """`nothing new`, with what each line waits for; no event, so that an idle daemon's ledger does not grow."""
    assert (await house.cycle(Scripted()).run()).sentence == "nothing new"
    rooms = [Scripted("curate", waits={"l": "needs 38 more examples"}), Scripted("gate", waits={"l": "no candidate"})]
    report = await house.cycle(*rooms).run()
    assert report.sentence == "nothing new (l: needs 38 more examples, no candidate)"
    assert report.waits == {"l": ("needs 38 more examples", "no candidate")}
    assert house.events() == []


@pytest.mark.asyncio
async def test_a_deed_that_changed_nothing_is_no_news(house: House) -> None:
    """What was already so is not told as done."""
    room = Scripted(wants=[proposal()])
    room.answer = lambda _: Done(sentence="it was so", changed=False)
    report = await house.cycle(room).run()
    assert (report.sentence, report.changed, house.events()) == ("nothing new", False, [])


@pytest.mark.asyncio
async def test_a_stop_lets_the_deed_under_way_end_and_begins_no_other(house: House) -> None:
    """After the first deed the cycle is told to stop: nothing else is done, in no room, and the deed is on record."""
    rooms = [Scripted("train", [proposal(subject=f"run-{n}") for n in (1, 2)]), Scripted("gate", [proposal()])]
    report = await house.cycle(*rooms).run(stopping=lambda: bool(rooms[0].performed))
    assert [subject for subject, _ in rooms[0].performed] == ["run-1"]
    assert rooms[1].performed == []
    assert report.done == ("did run-1",)
    assert house.kinds() == ["daemon.cycle_finished"]


@pytest.mark.asyncio
async def test_every_deed_is_a_boundary_of_its_own(house: House) -> None:
    """Deciding and doing are entered and left by name, even when the deed fails."""
    house.guardrails = (guardrail(),)
    room = Scripted(wants=[proposal()])
    room.answer = raising(ZeroDivisionError("bug"))
    await house.cycle(room).run()
    assert house.heard == [
        "decide train.start_run: begin", "decide train.start_run: end", "train.start_run: begin",
        "train.start_run: end",
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_a_rest_ends_by_itself(house: House) -> None:
    """While an intent rests every cycle asks to be woken when the rest is over: no other event may come by then."""
    room = Scripted(wants=[proposal()])
    room.answer = lambda _: Failed(reason="no room")
    assert (await house.cycle(room).run()).again_in == pytest.approx(10)
    house.clock.advance(4)
    assert (await house.cycle(room).run()).again_in == pytest.approx(6)


@pytest.mark.asyncio
async def test_a_fact_nobody_declared_is_the_fault_of_its_room_alone(house: House) -> None:
    """A reading that is not in the registry stops the room that took it, not the daemon and not the other rooms."""
    wrong = proposal().model_copy(update={"facts": {"dataset.examples": "many"}})
    report = await house.cycle(Scripted("curate", [wrong]), Scripted("train", [proposal()])).run()
    assert report.done == ("did run-1",)
    assert report.failed == ("curate: TypeError: fact 'dataset.examples' is a int, got 'many'",)


@pytest.mark.asyncio
async def test_a_disk_that_is_full_is_tried_again_soon(house: House) -> None:
    """What the disk does not take now it may take in half a minute; the rests of other failures grow to hours."""
    room = Scripted(wants=[proposal()])
    room.answer = raising(OSError(28, "No space left on device", "datasets/x"))
    for _ in range(6):
        report = await house.cycle(room).run()
        house.clock.advance(30)
    assert len(room.performed) == 6
    assert report.failed == ("train.start_run run-1: datasets/x cannot be used: No space left on device",)
    assert len(house.events("daemon.attempt_failed")) == 1
