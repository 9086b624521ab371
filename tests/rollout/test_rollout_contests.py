"""Two adapters that share a line's traffic because a person wants to know which is better."""

import pytest
import pytest_asyncio

from flywheel.core.contests import Contest
from flywheel.rollout.canaries import Result
from flywheel.rollout.contests import glance_at, report_of
from flywheel.rollout.guards import TaskCalls
from flywheel.store.contests import running_contest

ONE, TWO, THREE = "tool-calling@1", "tool-calling@2", "tool-calling@3"


def results(count, first, second):
    """Return rounds of one result of either adapter, with so many successes in ten."""
    return [Result(canary=arm, success=turn % 10 < (second if arm else first))
            for turn in range(count) for arm in (False, True)]  # fmt: skip


def report(found, calls=()):
    return report_of(Contest(first=ONE, second=TWO, share=0.4), "tool-calling", found, calls, 3.0)


def test_a_report_names_the_better_one_with_intervals():
    """Both rates, the difference, and what is not ruled out; who is proven better is said."""
    found = report(results(60, 9, 4))
    assert found.better == "first"
    assert found.sentence == f"{ONE} is better than {TWO}: success 90 % beside 40 % in 60 and 60 tasks"
    assert found.low <= found.difference == -0.5 <= found.high < 0
    first, second = found.arms
    assert first.low < first.rate == 0.9 < first.high
    assert (first.share, second.share) == (0.6, 0.4)


def test_who_is_named_first_changes_nothing_but_the_names():
    """The mirror image of a contest has the mirror image as its report."""
    one, other = report(results(80, 8, 3)), report(results(80, 3, 8))
    assert (one.better, other.better) == ("first", "second")
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)


def test_without_proof_nobody_is_called_better():
    """A small lead is no proof; the interval holds 0 and the sentence says so."""
    found = report(results(20, 6, 5))
    assert found.better == ""
    assert found.low < 0 < found.high
    assert found.sentence.startswith(f"neither {ONE} nor {TWO} is proven better")


def test_with_one_arm_silent_nothing_is_compared():
    """No tasks on one side: no difference, and the sentence counts."""
    found = report([Result(canary=True, success=True)] * 5)
    assert (found.difference, found.sentence) == (None, f"{ONE} and {TWO} cannot be compared: 0 and 5 tasks ended")


def test_a_glance_is_the_report_without_the_interval_of_the_difference():
    """What is looked at in every cycle agrees with what is reported at the end."""
    contest, found = Contest(first=ONE, second=TWO, share=0.4), results(40, 7, 6)
    costs = [TaskCalls(canary=arm, calls=2, failed=1, latency_ms=5.0) for arm in (False, True)]
    glance = glance_at(contest, "tool-calling", found, costs, 3.0)
    whole = report(found, costs)
    assert glance == whole.model_copy(update={"low": -1.0, "high": 1.0})
    assert (whole.arms[0].calls, whole.arms[0].failed_calls, whole.arms[0].latency_ms) == (2, 1, 5.0)


@pytest.fixture
def ask(house):
    """Ask for a contest; return the request."""

    def asking(first=ONE, second=TWO, **given):
        body = {"second": second, "share": 0.4, "hours": 24.0}
        return house.ask("compare", first, body=body | given.pop("body", {}), **given)

    return asking


@pytest_asyncio.fixture
async def two(house):
    """A house with one active adapter and one that was active before it."""
    await house.active(1)
    await house.active(2)
    return house


def contest_of(house):
    with house.store.read() as session:
        return running_contest(session, "tool-calling")


@pytest.mark.asyncio
async def test_a_contest_begins_and_moves_nobody(two, ask):
    """The releases stay where they are; the request stays open as its record, and the line says how it goes."""
    key = ask()
    await two.settle()
    found = contest_of(two)
    assert (found.names, found.share, found.states) == ((ONE, TWO), 0.4, ("superseded", "active"))
    assert two.answer(key)[0] == "open"
    (told,) = two.events("rollout.contest_started")
    assert (told.subject, told.body["second"], told.body["by"]) == (ONE, TWO, "ada")
    assert (two.state_of(ONE), two.state_of(TWO)) == ("superseded", "active")
    assert await two.waits() == (
        f"the contest of {ONE} and {TWO}: {ONE} and {TWO} cannot be compared: 0 and 0 tasks ended"
    )


@pytest.mark.asyncio
async def test_a_contest_ends_as_soon_as_one_is_proven_better(two, ask):
    """Only tasks since it began count; the report is in the ledger, and the request holds the sentence."""
    for _ in range(50):
        two.ends(ONE, False)
    two.clock.advance(60)
    key = ask()
    await two.settle()
    while contest_of(two):
        two.ends(ONE, True, status=200, latency_ms=10.0)
        two.ends(TWO, False, status=200, latency_ms=20.0)
        await two.cycle()
    (told,) = two.events("rollout.contest_ended")
    found = told.body["report"]
    assert (found["better"], found["arms"][0]["rate"], told.body["why"]) == ("first", 1.0, "proven")
    assert found["arms"][1]["latency_ms"] == 20.0
    assert found["high"] < 0
    state, answer = two.answer(key)
    assert state == "satisfied"
    assert answer.startswith(f"{ONE} is better than {TWO}: success 100 % beside 0 % in ")
    assert two.state_of(TWO) == "active"


@pytest.mark.asyncio
async def test_a_contest_ends_when_its_time_is_over(two, ask):
    """Without proof the hours end it, and the report says that nobody is proven better."""
    key = ask()
    await two.settle()
    two.clock.advance(24 * 3600)
    await two.settle()
    assert two.answer(key) == (
        "satisfied", f"{ONE} and {TWO} cannot be compared: 0 and 0 tasks ended (24 hours are over)"
    )  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["roll_back", "retire"])
async def test_a_contest_ends_when_one_of_the_two_moves(two, ask, kind):
    """What a person does to a contestant is done at once, and the contest is over."""
    key = ask()
    await two.settle()
    two.ask(kind, TWO)
    await two.settle()
    assert contest_of(two) is None
    assert two.answer(key)[1].endswith("(one of the two moved)")


@pytest.mark.asyncio
async def test_a_contest_ends_when_no_server_takes_one_of_the_two(two, ask):
    """An adapter that cannot be loaded does not keep a line waiting."""
    ask()
    await two.settle()
    two.refuse(ONE)
    await two.settle()
    assert contest_of(two) is None


@pytest.mark.asyncio
async def test_a_person_can_end_a_contest_and_call_one_off(two, ask):
    """An asked-for end answers both requests; one that waits is refused, and one that is not there cannot be ended."""
    key, _ = ask(), await two.settle()
    stop = ask(first=TWO, second=ONE, body={"stop": True})
    await two.settle()
    assert [two.answer(one)[0] for one in (key, stop)] == ["satisfied", "satisfied"]
    again = ask(body={"stop": True})
    await two.settle()
    assert two.answer(again) == ("refused", f"the contest of {ONE} and {TWO} does not run")


@pytest.mark.asyncio
async def test_while_a_contest_runs_no_canary_begins(two, ask):
    """What passes its gate waits for the contest, and gets its canary after it."""
    ask()
    await two.settle()
    two.judge(two.publish(3))
    await two.settle()
    assert two.state_of(THREE) == "registered"
    assert f"{THREE} waits for the contest of {ONE} and {TWO}" in await two.waits()
    two.clock.advance(24 * 3600)
    await two.settle()
    assert two.state_of(THREE) == "canary"


@pytest.mark.asyncio
async def test_a_contest_waits_for_what_is_on_trial(two, ask):
    """A canary is not disturbed."""
    await two.canary(3)
    ask()
    await two.settle()
    assert contest_of(two) is None
    assert f"the contest waits for the canary {THREE} to end" in await two.waits()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"second": "tool-calling@9"}, "is no adapter of line"),
        ({"second": ONE}, "cannot be compared with itself"),
        ({"body": {"share": 2}}, "cannot be read"),
        ({"second": THREE}, "has no passing verdict"),
        ({"second": "tool-calling@4"}, "is retired"),
        ({"second": "tool-calling@5"}, "was rolled back; override that"),
    ],
)
async def test_a_contest_that_cannot_be_is_refused(two, ask, given, words):
    """Unknown, unproven, fallen and retired adapters do not meet the agent because somebody is curious."""
    two.publish(3)
    two.ask("retire", two.publish(4))
    await two.settle()
    two.ask("roll_back", await two.canary(5))
    await two.settle()
    key = ask(**given)
    await two.settle()
    state, answer = two.answer(key)
    assert state == "refused"
    assert words in answer


@pytest.mark.asyncio
async def test_an_override_lets_an_unproven_adapter_into_a_contest(two, ask):
    """By name and with a reason; the guardrail is told of both the verdict and the override."""
    two.publish(3)
    await two.settle()
    ask(second=THREE, override=True, reason="a look")
    (proposal,) = (await two.room.propose()).proposals
    assert (proposal.facts["gate.verdict"], proposal.facts["release.overridden"]) == ("none", True)
    await two.settle()
    assert contest_of(two).names == (ONE, THREE)
    assert two.state_of(THREE) == "registered"


@pytest.mark.asyncio
async def test_each_step_of_a_contest_done_twice_is_done_once(two, ask):
    """Beginning and ending are idempotent."""
    ask()
    kinds = []
    for _ in range(2):
        for proposal in (await two.room.propose()).proposals:
            kinds.append(proposal.intent.kind)
            first = await two.room.perform(proposal.intent, proposal.cause)
            count = len(two.events())
            again = await two.room.perform(proposal.intent, proposal.cause)
            assert (first.changed, again.changed, len(two.events())) == (True, False, count)
        two.clock.advance(24 * 3600)
    assert kinds == ["rollout.start_contest", "rollout.end_contest"]


@pytest.mark.asyncio
async def test_a_line_that_keeps_no_calls_holds_no_contest(two, ask):
    """Nothing could be told apart, and that is said."""
    two.lines["tool-calling"] = two.lines["tool-calling"].model_copy(update={"capture": False})
    key = ask()
    await two.settle()
    assert two.answer(key) == (
        "refused", "line 'tool-calling' keeps no calls, so that no outcome could be told apart"
    )  # fmt: skip
