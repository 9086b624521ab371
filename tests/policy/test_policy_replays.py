"""Replay: the same policies differ nowhere; other policies differ where their guardrails say so, and it names them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.decisions import Judgement
from flywheel.core.events import Event
from flywheel.core.facts import FACTS, Facts, FactSpec, Value
from flywheel.core.intents import Intent
from flywheel.core.lines import Line
from flywheel.core.rooms import Proposal
from flywheel.daemon.decisions import KINDS, _body
from flywheel.policy.guardrails import Guardrail, PolicySet
from flywheel.policy.judging import judge
from flywheel.policy.line_facts import facts_of_line
from flywheel.policy.loading import load_policies
from flywheel.policy.replaying import Replayed, difference, recorded, replay

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SHIPPED = Path(__file__).parents[2] / "policies"
TRAIN = Intent(kind="train.start_run", line="tools", subject="d1", why="100 fresh examples")
RANK = {Judgement.ALLOW: 0, Judgement.HOLD: 1, Judgement.REFUSE: 2}


def rail(name: str, **changes: Any) -> Guardrail:
    data: dict[str, Any] = {
        "why": "because",
        "guards": "train.start_run",
        "require": [{"kind": "at_least", "fact": "dataset.examples", "value": 100}],
    }
    return Guardrail.model_validate({"name": name, **data, **changes})


def line(minimum: int = 100, rung: int = 2) -> Line:
    return Line.model_validate(
        {"name": "tools", "why": "It gets better.", "base": "main", "rung": rung,
         "dataset": {"minimum_examples": minimum}}
    )  # fmt: skip


def policies(*guardrails: Guardrail, minimum: int = 100) -> PolicySet:
    return PolicySet(guardrails=guardrails, lines={"tools": line(minimum)})


def event(facts: Facts, under: PolicySet, seq: int = 1, intent: Intent = TRAIN) -> Event:
    """The event that the daemon writes when it decides."""
    decision = judge(intent, facts, under)
    return Event(
        kind=KINDS[decision.judgement], at=NOON + timedelta(minutes=seq), line=intent.line, subject=intent.subject,
        seq=seq, body=_body(Proposal(intent=intent, facts=dict(facts)), decision),
    )  # fmt: skip


def test_a_new_guardrail_is_named_with_what_it_would_have_stopped() -> None:
    """Two of three runs had too few examples: both are shown, newest first, with their sentence."""
    before, tried = policies(), policies(rail("enough"))
    found = replay([event({"dataset.examples": n}, before, seq) for seq, n in enumerate((50, 150, 70), 1)], tried)
    assert (found.decisions, found.different, found.ways) == (3, 2, {"allow to refuse": 2})
    assert found.other_reasons == 0, "a guardrail that agrees is no news"
    (effect,) = found.guardrails
    assert (effect.guardrail, effect.stops, effect.decides, effect.gone) == ("enough", 2, 2, False)
    assert [one.seq for one in effect.examples] == [3, 1]
    assert effect.examples[0].would == "refuse: dataset.examples is 70, needs at least 100 (enough)"


def test_a_removed_guardrail_gives_way() -> None:
    """What only it had stopped would have gone ahead; what another stopped as well would not."""
    before = policies(
        rail("enough"), rail("suite", require=[{"kind": "equals", "fact": "suite.exists", "value": True}])
    )
    tried = policies(rail("suite", require=[{"kind": "equals", "fact": "suite.exists", "value": True}]))
    facts: list[Facts] = [{"dataset.examples": 7, "suite.exists": True}, {"dataset.examples": 7, "suite.exists": False}]
    found = replay([event(each, before, seq) for seq, each in enumerate(facts, 1)], tried)
    assert (found.different, found.other_reasons, found.ways) == (1, 1, {"refuse to allow": 1})
    (effect,) = found.guardrails
    assert (effect.guardrail, effect.gone, effect.gives_way, effect.decides) == ("enough", True, 2, 1)


def test_what_a_line_sets_is_taken_from_the_line_that_is_tried() -> None:
    """A lower minimum in the line's own file lets a run through that was refused: the fact is not the recorded one."""
    guard = rail(
        "minimum", require=[{"kind": "at_least", "fact": "dataset.examples", "other": "line.minimum_examples"}]
    )
    before, tried = policies(guard, minimum=100), policies(guard, minimum=50)
    past = event({"dataset.examples": 70, **facts_of_line(before.lines["tools"])}, before)
    found = replay([past], tried)
    assert found.ways == {"refuse to allow": 1}
    assert found.guardrails[0].examples[0].would == "allowed: 1 guardrail agreed"


def test_a_fact_that_nobody_recorded_is_said() -> None:
    """Unknown is never enough; that it was never read, and not that it was bad, stands in the answer."""
    tried = policies(rail("suite", require=[{"kind": "equals", "fact": "suite.exists", "value": True}]))
    found = replay([event({"dataset.examples": 7}, policies())], tried)
    assert found.guardrails[0].unrecorded == {"suite.exists": 1}
    assert (found.different, found.uncertain, found.ways) == (0, 1, {})
    read_and_unknown = replay([event({"suite.exists": None}, policies())], tried)
    assert (read_and_unknown.different, read_and_unknown.uncertain) == (1, 0), "it was looked for then: that is a fact"


def test_what_was_never_judged_is_said() -> None:
    """A guardrail for a kind of intent of which nothing was recorded has nothing to be tried on."""
    tried = policies(rail("late", guards=["rollout.promote_adapter", "train.start_run"]))
    found = replay([event({"dataset.examples": 700}, policies())], tried)
    assert found.unjudged == ("rollout.promote_adapter",)


def test_what_cannot_be_read_is_counted() -> None:
    """A decision that another version wrote in another shape stops nothing."""
    odd = Event(kind="policy.intent_allowed", at=NOON, seq=3, body={"intent": {"kind": "train.no_such"}})
    older = Event(kind="policy.intent_allowed", at=NOON, seq=4, body={"intent": {}, "decision": 7})
    assert replay([odd, older, event({}, policies(), 5)], policies()).model_dump(
        include={"unreadable", "decisions"}
    ) == {"unreadable": 2, "decisions": 1}


def test_observing_is_told_and_changes_nothing() -> None:
    """A guardrail that only would speak is shown, and no decision is counted as another."""
    found = replay([event({"dataset.examples": 7}, policies())], policies(rail("watch", mode="observe")))
    assert (found.different, found.other_reasons, found.guardrails[0].notes) == (0, 1, 1)


def test_nothing_recorded_is_nothing_said() -> None:
    """An empty ledger claims nothing, not even what was never judged."""
    assert replay([], policies(rail("enough"))) == Replayed(policy_hash=policies(rail("enough")).hash, decisions=0)


def _values(spec: FactSpec) -> st.SearchStrategy[Any]:
    kinds: dict[type, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.integers(0, 5),
        float: st.sampled_from([0.0, 0.1, 0.15, 0.2, 5.0, 6.0]),
        str: st.sampled_from(spec.choices or ("",)),
    }
    return st.none() | kinds[spec.type]


COUNTS = ["dataset.examples", "line.minimum_examples", "line.rung", "suite.problems"]


@st.composite
def rails(draw: st.DrawFn) -> Guardrail:
    conditions = st.builds(
        lambda kind, fact, value: {"kind": kind, "fact": fact, "value": value},
        st.sampled_from(["above", "at_least", "at_most", "below", "equals", "differs"]),
        st.sampled_from(COUNTS),
        st.integers(0, 4),
    )
    return rail(
        draw(st.text("abc", min_size=1, max_size=2)),
        guards=draw(st.sampled_from(["train.start_run", "gate.measure_adapter"])),
        mode=draw(st.sampled_from(["enforce", "enforce", "observe"])),
        verdict=draw(st.sampled_from(["hold", "refuse"])),
        when=draw(st.lists(conditions, max_size=1)),
        require=draw(st.lists(conditions, min_size=1, max_size=2)),
    )


@st.composite
def sets(draw: st.DrawFn) -> PolicySet:
    guardrails = draw(st.lists(rails(), max_size=4, unique_by=lambda each: each.name))
    return PolicySet(
        guardrails=tuple(guardrails), lines={"tools": line(draw(st.integers(1, 5)), draw(st.integers(1, 4)))}
    )


@st.composite
def histories(draw: st.DrawFn, under: PolicySet) -> list[Event]:
    """Decisions as the daemon makes them: what a line sets stands among the facts, or is left out."""
    events = []
    for seq in range(1, draw(st.integers(0, 4)) + 1):
        names = draw(st.lists(st.sampled_from(COUNTS), unique=True))
        facts: dict[str, Value] = {name: draw(_values(FACTS[name])) for name in names}
        facts |= {name: value for name, value in facts_of_line(under.lines["tools"]).items() if name in facts}
        kind = draw(st.sampled_from(["train.start_run", "gate.measure_adapter"]))
        events.append(event(facts, under, seq, TRAIN.model_copy(update={"kind": kind})))
    return events


@given(data=st.data(), under=sets())
@settings(max_examples=150, deadline=None)
def test_the_same_policies_differ_nowhere(data: st.DataObject, under: PolicySet) -> None:
    """Whatever was decided under a set is decided again by it, word for word."""
    found = replay(data.draw(histories(under)), under)
    assert (found.different, found.uncertain, found.other_reasons, found.guardrails) == (0, 0, 0, ())


@given(data=st.data(), under=sets(), tried=sets())
@settings(max_examples=150, deadline=None)
def test_what_differs_is_what_the_other_set_says(data: st.DataObject, under: PolicySet, tried: PolicySet) -> None:
    """A difference is there exactly where the other set judges otherwise, and some guardrail of it answers for it."""
    for past in data.draw(histories(under)):
        then = recorded(past)
        assert then is not None
        fixed = {name: value for name, value in facts_of_line(tried.lines["tools"]).items() if name in then.facts}
        now = judge(then.intent, {**then.facts, **fixed}, tried)
        found = difference(then, tried)
        goes = found is not None and found.goes_differently
        assert goes == (now.judgement is not then.decision.judgement)
        if found is None:
            continue
        assert found.after is now.judgement
        assert bool(found.deciding) == goes
        turns = {turn.guardrail: turn.change for turn in found.turns}
        stricter = RANK[found.after] > RANK[found.before]
        assert all((turns[name] > 0) is stricter and turns[name] != 0 for name in found.deciding)


@given(data=st.data(), under=sets(), tried=sets())
@settings(deadline=None)
def test_the_sums_add_up(data: st.DataObject, under: PolicySet, tried: PolicySet) -> None:
    """Every decision that goes differently is counted once, by its way; a guardrail's parts are within the whole."""
    found = replay(data.draw(histories(under)), tried, examples=2)
    assert sum(found.ways.values()) == found.different
    whole = found.different + found.uncertain + found.other_reasons
    assert whole <= found.decisions
    for effect in found.guardrails:
        assert effect.decides <= effect.stops + effect.gives_way
        assert effect.stops + effect.gives_way + effect.notes <= whole
        assert 1 <= len(effect.examples) <= 2
        deciding = [effect.guardrail in one.deciding for one in effect.examples]
        assert deciding == sorted(deciding, reverse=True)


def test_the_shipped_policies_differ_nowhere_from_themselves() -> None:
    """What the shipped set said to every case beside its guardrails, it says again."""
    shipped = load_policies(SHIPPED)
    past = [
        event({"dataset.examples": n, **facts_of_line(each)}, shipped, seq,
              Intent(kind=kind, line=each.name, subject="d", why="w"))
        for seq, (n, each, kind) in enumerate(
            ((n, each, kind) for n in (1, 10_000) for each in shipped.lines.values()
             for kind in sorted(shipped.guarded_kinds)), 1)
    ]  # fmt: skip
    found = replay(past, shipped)
    assert (found.decisions, found.different, found.other_reasons) == (len(past), 0, 0)
