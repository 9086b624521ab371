"""An adapter that listens: asked what the agent asks, compared with what the agent got, never shown."""

import pytest

from flywheel.core.lines import RolloutPlan, ShadowPlan
from flywheel.core.shadows import Pair, Spoken
from flywheel.rollout.shadows import judge_shadow, liken

PLAN = RolloutPlan(name="careful", why="tests", shadow=ShadowPlan(calls=40, longest_hours=24))
CALL = '<tool_call>\n{"name": "act", "arguments": {"a": 1}}\n</tool_call>'
OTHER = '<tool_call>\n{"name": "act", "arguments": {"a": 2}}\n</tool_call>'
BROKEN = '<tool_call>\n{"name": "act", \n</tool_call>'


def spoken(text="yes", **given):
    return Spoken(**{"text": text, "status": 200, "latency_ms": 100.0} | given)


def pairs(count, shadow, shown=None, start=0):
    """Return pairs of these two answers."""
    return [Pair(call=f"c{start + turn}", shown=shown or spoken(), shadow=shadow) for turn in range(count)]


def verdict(found, hours=1.0):
    return judge_shadow([liken(pair) for pair in found], PLAN, hours)


@pytest.mark.parametrize(
    ("shown", "shadow", "same_text", "same_call"),
    [
        ("yes", " yes\n", True, None),
        ("yes", "no", False, None),
        (CALL, CALL, True, True),
        (CALL, OTHER, False, False),
        (f"I act. {CALL}", CALL, False, True),
        (CALL, "no call", False, False),
    ],
)
def test_answers_are_the_same_by_their_words_and_by_their_calls(shown, shadow, same_text, same_call):
    """Spaces make no other text, words around a call make no other call, and where nobody calls there is none."""
    found = liken(Pair(call="c", shown=spoken(shown), shadow=spoken(shadow)))
    assert (found.same_text, found.same_call) == (same_text, same_call)


def test_other_answers_are_no_fault():
    """An adapter that always answers differently, in form and in time, passes; the sentence says how different."""
    found = verdict(pairs(40, spoken(OTHER), spoken(CALL)))
    assert found.choice == "pass"
    assert found.sentence == (
        "nothing speaks against it: 40 of 40 calls compared, 0 % the same text, 0 % the same tool call"
    )


@pytest.mark.parametrize(
    ("shadow", "words"),
    [
        (spoken(None, status=500), "100 % of its answers fail, beside 0 %"),
        (spoken(None, status=None), "100 % of its answers fail, beside 0 %"),
        (spoken(""), "0 % of its answers can be used, beside 100 %"),
        (spoken(BROKEN), "0 % of its answers can be used, beside 100 %"),
        (spoken(latency_ms=300.0), "its answers take 300 ms, beside 100 ms"),
    ],
)
def test_what_no_agent_can_use_ends_a_shadow_at_once(shadow, words):
    """Answers that fail, say nothing, call what nobody can read or drag are found before all calls are compared."""
    found = verdict(pairs(30, shadow))
    assert (found.choice, found.sentence.split(":")[0]) == ("fail", words)


def test_one_bad_answer_is_no_proof():
    """A shadow that fails as often as the answers the agent gets goes on."""
    found = verdict([*pairs(10, spoken(None, status=500)), *pairs(10, spoken(), spoken(None, status=500))][5:15])
    assert found.choice == "go_on"


def test_answers_that_were_not_kept_say_nothing_about_form():
    """A call whose bodies held a secret is compared by status and time alone."""
    found = verdict(pairs(40, spoken(None)))
    assert (found.choice, found.numbers.shadow_in_form) == ("pass", None)


def test_out_of_time_a_shadow_ends_with_what_was_compared():
    """The hours are over: what was compared decides, and where nothing speaks against it the canary may begin."""
    assert verdict([], 23.9).choice == "go_on"
    found = verdict(pairs(3, spoken()), 24)
    assert found.choice == "pass"
    assert found.sentence.startswith("after 24 hours nothing speaks against it: 3 of 40 calls compared")


@pytest.fixture
def listening(house):
    """A house whose rollout lets adapters listen to five calls first."""
    house.roll_out(share=0.2, minimum_outcomes=20, shadow=ShadowPlan(calls=30, share=0.5, longest_hours=24))
    return house


async def shadow(house, number=1):
    """Bring a new adapter to its shadow."""
    name = house.publish(number)
    house.judge(name)
    await house.settle()
    assert house.state_of(name) == "shadow"
    return name


@pytest.mark.asyncio
async def test_what_passes_its_gate_listens_first_and_then_gets_its_canary(listening):
    """Gate, shadow, verdict, canary: each an event that names the one before as its cause."""
    name = await shadow(listening)
    assert await listening.waits() == f"shadow {name}: 0 of 30 calls compared"
    assert listening.release(name).share == 0.5
    listening.pairs += pairs(12, spoken())
    assert await listening.waits() == f"shadow {name}: 12 of 30 calls compared, 100 % the same text"
    listening.pairs += pairs(20, spoken(), start=12)
    await listening.settle()
    assert listening.state_of(name) == "canary"
    started, compared, canary = listening.events(
        "rollout.shadow_started", "rollout.shadow_compared", "rollout.canary_started"
    )
    assert (compared.cause, canary.cause) == (started.seq, compared.seq)
    assert compared.body["verdict"] == "pass"
    assert compared.body["numbers"]["calls"] == 30
    assert listening.release(name).share == 0.2


@pytest.mark.asyncio
async def test_a_shadow_that_no_agent_can_use_is_rejected_and_never_met_one(listening):
    """It is turned down with the comparison as the reason; no canary ever began."""
    name = await shadow(listening)
    listening.pairs += pairs(30, spoken(BROKEN))
    await listening.settle()
    assert listening.state_of(name) == "rejected"
    assert not listening.events("rollout.canary_started")
    (told,) = listening.events("rollout.adapter_rejected")
    assert "0 % of its answers can be used" in told.body["why"]


@pytest.mark.asyncio
async def test_a_shadow_that_hears_nothing_gets_its_canary_when_its_time_is_over(listening):
    """An idle agent does not keep an adapter in the shadow for ever."""
    name = await shadow(listening)
    listening.clock.advance(24 * 3600 + 1)
    await listening.settle()
    assert listening.state_of(name) == "canary"


@pytest.mark.asyncio
async def test_a_line_that_keeps_no_calls_has_no_shadow(listening):
    """Nothing could be compared: the canary begins at once."""
    listening.lines["tool-calling"] = listening.lines["tool-calling"].model_copy(update={"capture": False})
    assert await listening.canary(1)


@pytest.mark.asyncio
async def test_one_adapter_listens_at_a_time(listening):
    """The second that passed waits, and so it does while the first has its canary."""
    await shadow(listening)
    second = listening.publish(2)
    listening.judge(second)
    await listening.settle()
    assert listening.state_of(second) == "registered"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "state"),
    [("roll_back", "rolled back"), ("retire", "retired"), ("promote", "canary"), ("approve", "shadow")],
)
async def test_what_a_person_asks_of_a_shadow_is_done(listening, kind, state):
    """It can be taken back, retired, approved, and sent to its canary without waiting."""
    name = await shadow(listening)
    key = listening.ask(kind, name)
    await listening.settle()
    assert (listening.answer(key)[0], listening.state_of(name)) == ("satisfied", state)


@pytest.mark.asyncio
async def test_a_shadow_that_no_server_takes_is_rejected(listening):
    """A refusal by serving ends a shadow as it ends a candidate."""
    name = await shadow(listening)
    listening.refuse(name)
    await listening.settle()
    assert listening.state_of(name) == "rejected"


@pytest.mark.asyncio
async def test_each_step_of_a_shadow_done_twice_is_done_once(listening):
    """Each intent repeated right after itself changes nothing and writes nothing."""
    name = listening.publish(1)
    listening.judge(name)
    listening.pairs += pairs(30, spoken())
    kinds = []
    while proposals := (await listening.room.propose()).proposals:
        for proposal in proposals:
            kinds.append(proposal.intent.kind)
            first = await listening.room.perform(proposal.intent, proposal.cause)
            count = len(listening.events())
            again = await listening.room.perform(proposal.intent, proposal.cause)
            assert (first.changed, again.changed, len(listening.events())) == (True, False, count)
    assert kinds == ["rollout.register_adapter", "rollout.start_shadow", "rollout.compare_shadow",
                     "rollout.start_canary"]  # fmt: skip


@pytest.mark.asyncio
async def test_each_pair_is_read_once(listening):
    """What was compared is known: the next look asks only for what is new, and forgets when the shadow ends."""
    asked = []
    heard = listening.room._readings._listener._pairs

    def noted(model, since, limit, known):
        asked.append((model, limit, sorted(known)))
        return heard(model, since, limit, known)

    listening.room._readings._listener._pairs = noted
    name = await shadow(listening)
    listening.pairs += pairs(2, spoken())
    await listening.waits()
    await listening.waits()
    assert asked[-2:] == [(name, 30, []), (name, 30, ["c0", "c1"])]
