"""The judge: what stops, what only speaks, and what can never be undone by adding a file."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.decisions import Decision, Judgement
from flywheel.core.facts import FACTS, Facts, FactSpec
from flywheel.core.intents import Intent
from flywheel.policy.guardrails import Guardrail, PolicySet
from flywheel.policy.judging import judge, weigh

TRAIN = Intent(kind="train.start_run", line="tools", subject="d1", why="100 fresh examples")
RANK = {Judgement.ALLOW: 0, Judgement.HOLD: 1, Judgement.REFUSE: 2}


def rail(name: str, **changes: Any) -> Guardrail:
    data: dict[str, Any] = {
        "why": "because",
        "guards": "train.start_run",
        "require": [{"kind": "at_least", "fact": "dataset.examples", "value": 100}],
    }
    return Guardrail.model_validate({"name": name, **data, **changes})


def said(facts: Facts, *guardrails: Guardrail) -> Decision:
    return judge(TRAIN, facts, PolicySet(guardrails=guardrails))


def test_without_guardrails_everything_is_allowed() -> None:
    """An empty set allows, looks at nothing and says so."""
    decision = said({"dataset.examples": 1})
    assert (decision.judgement, decision.reasons, decision.facts) == (Judgement.ALLOW, (), {})


def test_a_satisfied_guardrail_is_a_reason_too() -> None:
    """An allowed intent carries what was seen; the decision names the policies it was made under."""
    policies = PolicySet(guardrails=(rail("enough"),))
    decision = judge(TRAIN, {"dataset.examples": 120, "line.rung": 2}, policies)
    assert decision.judgement is Judgement.ALLOW
    assert [reason.sentence for reason in decision.reasons] == ["dataset.examples is 120, needs at least 100 (enough)"]
    assert decision.facts == {"dataset.examples": 120}
    assert decision.policy_hash == policies.hash


def test_refusing_beats_holding_beats_allowing() -> None:
    """The strictest voice decides, and its reason is what a person reads."""
    facts: Facts = {"dataset.examples": 7}
    assert said(facts, rail("a", verdict="hold")).judgement is Judgement.HOLD
    decision = said(facts, rail("a", verdict="hold"), rail("b"))
    assert decision.sentence == "refuse: dataset.examples is 7, needs at least 100 (b)"


def test_another_intent_is_none_of_its_business() -> None:
    """A guardrail speaks only to the intents it guards, one or several."""
    other = TRAIN.model_copy(update={"kind": "gate.measure_adapter"})
    policies = PolicySet(guardrails=(rail("a"),))
    assert judge(other, {}, policies).reasons == ()
    both = PolicySet(guardrails=(rail("a", guards=["train.start_run", "gate.measure_adapter"]),))
    assert judge(other, {}, both).judgement is Judgement.REFUSE
    assert both.guarded_kinds == {"train.start_run", "gate.measure_adapter"}


def test_unknown_is_never_enough() -> None:
    """A requirement nobody can check is not satisfied, and the sentence says unknown."""
    decision = said({}, rail("enough"))
    assert decision.judgement is Judgement.REFUSE
    assert "dataset.examples is unknown" in decision.sentence
    assert decision.facts == {"dataset.examples": None}


def test_a_case_that_is_unknown_or_false_does_not_apply() -> None:
    """`when` names the cases: all must hold, and what is unknown is no case."""
    when = [
        {"kind": "equals", "fact": "parent.exists", "value": True},
        {"kind": "equals", "fact": "line.is_planning", "value": False},
    ]
    guardrail = rail("enough", when=when)
    assert weigh(guardrail, {"parent.exists": True}) is None
    assert weigh(guardrail, {"parent.exists": True, "line.is_planning": True}) is None
    assert weigh(guardrail, {"parent.exists": True, "line.is_planning": False}) is not None


def test_only_what_failed_is_held_against_an_intent() -> None:
    """Of several requirements the sentence tells those that are not met."""
    require = [
        {"kind": "at_least", "fact": "dataset.examples", "value": 100},
        {"kind": "equals", "fact": "suite.exists", "value": True},
    ]
    decision = said({"dataset.examples": 500, "suite.exists": False}, rail("two", require=require))
    assert decision.sentence == "refuse: suite.exists is false, needs true (two)"


def test_an_observer_speaks_but_does_not_stop() -> None:
    """Its reason is recorded as not enforced; the intent goes ahead."""
    decision = said({"dataset.examples": 7}, rail("watch", mode="observe"))
    assert decision.judgement is Judgement.ALLOW
    assert [(r.judgement, r.enforced) for r in decision.reasons] == [(Judgement.REFUSE, False)]


def _values(spec: FactSpec) -> st.SearchStrategy[Any]:
    kinds: dict[type, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.integers(0, 5),
        float: st.sampled_from([0.0, 0.1, 0.15, 0.2, 5.0, 6.0]),
        str: st.sampled_from(spec.choices or ("",)),
    }
    return st.none() | kinds[spec.type]


NAMES = ["parent.exists", "dataset.examples", "dataset.replay_share", "gate.verdict", "line.rung"]
facts_seen = st.fixed_dictionaries({}, optional={name: _values(FACTS[name]) for name in NAMES})


def _conditions() -> st.SearchStrategy[dict[str, Any]]:
    flags = st.builds(lambda v: {"kind": "equals", "fact": "parent.exists", "value": v}, st.booleans())
    counts = st.builds(
        lambda kind, v: {"kind": kind, "fact": "dataset.examples", "value": v},
        st.sampled_from(["at_least", "at_most", "above", "below"]),
        st.integers(0, 5),
    )
    words = st.just({"kind": "one_of", "fact": "gate.verdict", "values": ["pass", "none"]})
    others = st.just({"kind": "at_least", "fact": "dataset.examples", "other": "line.rung"})
    shares = st.just({"kind": "between", "fact": "dataset.replay_share", "low": 0.1, "high": 0.2})
    known = st.sampled_from(NAMES).map(lambda name: {"kind": "known", "fact": name})
    return flags | counts | words | others | shares | known


@st.composite
def guardrails(draw: st.DrawFn) -> Guardrail:
    return rail(
        draw(st.text("abcdef", min_size=1, max_size=4)),
        guards=draw(st.sampled_from(["train.start_run", "gate.measure_adapter"])),
        mode=draw(st.sampled_from(["enforce", "observe"])),
        verdict=draw(st.sampled_from(["hold", "refuse"])),
        when=draw(st.lists(_conditions(), max_size=2)),
        require=draw(st.lists(_conditions(), min_size=1, max_size=2)),
    )


sets = st.lists(guardrails(), max_size=5, unique_by=lambda each: each.name)


@given(before=sets, added=guardrails(), facts=facts_seen)
def test_adding_a_guardrail_never_makes_it_milder(before: list[Guardrail], added: Guardrail, facts: Facts) -> None:
    """A refusal stays one and a hold never becomes an allow."""
    earlier = said(facts, *before).judgement
    later = said(facts, *before, added).judgement
    assert RANK[later] >= RANK[earlier]


@given(before=sets, added=guardrails(), facts=facts_seen)
def test_observing_never_changes_the_judgement(before: list[Guardrail], added: Guardrail, facts: Facts) -> None:
    """A guardrail on trial can be added to any set without a consequence."""
    watching = added.model_copy(update={"mode": "observe"})
    assert said(facts, *before, watching).judgement is said(facts, *before).judgement


@given(data=st.data(), before=sets, facts=facts_seen)
def test_the_order_of_files_never_matters(data: st.DataObject, before: list[Guardrail], facts: Facts) -> None:
    """Neither the decision, nor its reasons, nor the hash depend on who was read first."""
    shuffled = data.draw(st.permutations(before))
    assert said(facts, *shuffled) == said(facts, *before)


@given(before=sets, facts=facts_seen)
def test_a_fact_nobody_asks_for_changes_nothing(before: list[Guardrail], facts: Facts) -> None:
    """The decision rests on the facts it lists, and on nothing else; an absent fact is an unknown one."""
    decision = said(facts, *before)
    assert said(decision.facts, *before) == decision
    assert said({**facts, "suite.problems": 3}, *before) == decision


@given(before=sets, facts=facts_seen)
def test_every_stop_has_a_reason(before: list[Guardrail], facts: Facts) -> None:
    """The judgement is the strictest enforced reason: nothing stops without saying why."""
    decision = said(facts, *before)
    enforced = [RANK[reason.judgement] for reason in decision.reasons if reason.enforced]
    assert RANK[decision.judgement] == max(enforced, default=0)
    assert all(reason.sentence.endswith(f"({reason.guardrail})") for reason in decision.reasons)
