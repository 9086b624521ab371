"""Condition kinds: what holds, what is unknown, and the words for it."""

from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from flywheel.core.facts import FACTS, Facts
from flywheel.policy import conditions
from flywheel.policy.conditions import CONDITIONS, Condition
from flywheel.policy.predicates import Predicate
from flywheel.policy.words import quoted, show

SHARE, COUNT, FLAG, WORD = "dataset.replay_share", "dataset.examples", "parent.exists", "gate.verdict"


def made(**data: Any) -> Predicate:
    return TypeAdapter(Condition).validate_python(data)


EXAMPLES: dict[str, tuple[dict[str, Any], Facts, Facts]] = {
    "above": ({"fact": COUNT, "value": 3}, {COUNT: 4}, {COUNT: 3}),
    "at_least": ({"fact": COUNT, "other": "line.minimum_examples"}, {COUNT: 3, "line.minimum_examples": 3},
                 {COUNT: 2, "line.minimum_examples": 3}),
    "at_most": ({"fact": SHARE, "value": 0.1}, {SHARE: 0.1}, {SHARE: 0.11}),
    "below": ({"fact": SHARE, "value": 6}, {SHARE: 5.9}, {SHARE: 6.0}),
    "between": ({"fact": SHARE, "low": 0.1, "high": 0.2}, {SHARE: 0.2}, {SHARE: 0.04}),
    "differs": ({"fact": WORD, "value": "none"}, {WORD: "fail"}, {WORD: "none"}),
    "equals": ({"fact": FLAG, "value": True}, {FLAG: True}, {FLAG: False}),
    "known": ({"fact": FLAG}, {FLAG: False}, {FLAG: None}),
    "one_of": ({"fact": WORD, "values": ["pass", "fail"]}, {WORD: "fail"}, {WORD: "none"}),
}  # fmt: skip


def test_every_kind_has_one_file_one_name_and_an_example_here() -> None:
    """A kind that is written is registered, called as its file is, and tested."""
    assert conditions.__file__
    files = {path.stem for path in Path(conditions.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(CONDITIONS) == set(EXAMPLES)
    for kind, model in CONDITIONS.items():
        assert get_args(model.model_fields["kind"].annotation) == (kind,)
        assert model.__module__.endswith(f".{kind}")


@pytest.mark.parametrize("kind", CONDITIONS)
def test_every_kind_explains_each_of_its_keys(kind: str) -> None:
    """An error about any key can say what the key means; an unknown key is refused."""
    model = CONDITIONS[kind]
    assert all(field.description for name, field in model.model_fields.items() if name != "kind")
    with pytest.raises(ValidationError):
        made(kind=kind, **EXAMPLES[kind][0], more=1)


@pytest.mark.parametrize("kind", CONDITIONS)
def test_every_kind_holds_fails_and_admits_not_to_know(kind: str) -> None:
    """True, False, and None for a reading nobody took; only `known` is never in doubt."""
    parameters, holding, failing = EXAMPLES[kind]
    condition = made(kind=kind, **parameters)
    assert condition.holds(holding) is True
    assert condition.holds(failing) is False
    assert condition.holds({}) is (False if kind == "known" else None)


@pytest.mark.parametrize("kind", CONDITIONS)
def test_every_kind_says_what_it_saw_and_what_it_needs(kind: str) -> None:
    """The sentence names the fact, its reading and the need, for known and unknown readings alike."""
    parameters, _, failing = EXAMPLES[kind]
    condition = made(kind=kind, **parameters)
    seen = failing[condition.fact]
    assert condition.sentence(failing).startswith(f"{condition.fact} is {quoted(seen).strip(chr(39))}, needs ")
    assert condition.sentence({}).startswith(f"{condition.fact} is unknown, needs ")


@pytest.mark.parametrize(
    ("parameters", "facts", "sentence"),
    [
        ({"kind": "between", "fact": SHARE, "low": 0.1, "high": 0.2}, {SHARE: 0.04},
         "dataset.replay_share is 0.04, needs 0.10 to 0.20"),
        ({"kind": "at_least", "fact": COUNT, "other": "line.minimum_examples"}, {COUNT: 7, "line.minimum_examples": 9},
         "dataset.examples is 7, needs at least line.minimum_examples (9)"),
        ({"kind": "one_of", "fact": WORD, "values": ["pass", "fail", "none"]}, {WORD: None},
         "gate.verdict is unknown, needs pass, fail or none"),
        ({"kind": "at_most", "fact": SHARE, "value": 0.2}, {SHARE: 0.2000001},
         "dataset.replay_share is 0.2000001, needs at most 0.20"),
        ({"kind": "differs", "fact": FLAG, "value": True}, {FLAG: True},
         "parent.exists is true, needs anything but true"),
    ],
)  # fmt: skip
def test_sentences_are_plain(parameters: dict[str, Any], facts: Facts, sentence: str) -> None:
    """A person reads the numbers without knowing the code."""
    assert made(**parameters).sentence(facts) == sentence


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"kind": "equals", "fact": "dataset.replay_shar", "value": 1}, "did you mean 'dataset.replay_share'"),
        ({"kind": "equals", "fact": FLAG, "value": 1}, "is true or false and never 1"),
        ({"kind": "equals", "fact": COUNT, "value": True}, "is a whole number and never true"),
        ({"kind": "equals", "fact": COUNT, "value": 1.5}, "is a whole number and never 1.5"),
        ({"kind": "equals", "fact": WORD, "value": "passed"}, "did you mean 'pass'"),
        ({"kind": "one_of", "fact": FLAG, "values": ["yes"]}, "never 'yes'"),
        ({"kind": "at_least", "fact": FLAG, "value": 1}, "use kind 'equals'"),
        ({"kind": "at_least", "fact": WORD, "value": 1}, "use kind 'equals'"),
        ({"kind": "at_least", "fact": COUNT, "other": FLAG}, "use kind 'equals'"),
        ({"kind": "at_least", "fact": COUNT, "value": "1"}, "must be a number, is '1'"),
        ({"kind": "at_least", "fact": COUNT, "value": True}, "must be a number, is true"),
        ({"kind": "at_least", "fact": COUNT, "value": float("nan")}, "must be a number"),
        ({"kind": "at_least", "fact": COUNT}, "either 'value' (a number) or 'other' (a fact)"),
        ({"kind": "at_least", "fact": COUNT, "value": 1, "other": "line.rung"}, "and not both"),
        ({"kind": "between", "fact": COUNT, "low": 2, "high": 1}, "low is above high"),
        ({"kind": "between", "fact": COUNT, "low": 2}, "either 'high' (a number) or 'high_other'"),
    ],
)
def test_a_condition_that_could_never_mean_what_it_says_is_refused(parameters: dict[str, Any], says: str) -> None:
    """Types, choices and bounds are checked when the file is read, not when it is too late."""
    with pytest.raises(ValidationError) as caught:
        made(**parameters)
    assert says in str(caught.value)


def test_between_is_decided_by_one_passed_end() -> None:
    """Below the low end it fails whatever the unknown high end is; inside, it cannot know."""
    condition = made(kind="between", fact=COUNT, low=5, high_other="line.minimum_examples")
    assert condition.holds({COUNT: 4}) is False
    assert condition.holds({COUNT: 6}) is None
    assert condition.holds({COUNT: 6, "line.minimum_examples": 6}) is True
    assert condition.reads == (COUNT, "line.minimum_examples")


def test_true_is_not_one() -> None:
    """A flag never equals a number, although Python says so."""
    assert made(kind="equals", fact=COUNT, value=1).holds({COUNT: True}) is False


@given(rows=st.integers(1, 100_000), tenth=st.integers(1, 10))
def test_an_exact_share_meets_its_bound(rows: int, tenth: int) -> None:
    """A share that is exactly the bound holds, however it was divided: floats do not shave it off."""
    share = rows * tenth / (rows * 10)
    bound = tenth / 10
    assert made(kind="at_most", fact=SHARE, value=bound).holds({SHARE: share})
    assert made(kind="at_least", fact=SHARE, value=bound).holds({SHARE: share})


numbers = st.floats(-1e6, 1e6) | st.integers(-1000, 1000)


@given(seen=numbers, limit=numbers)
def test_comparisons_complement_each_other(seen: float, limit: float) -> None:
    """Above is not at-most, below is not at-least, and between is both at once."""
    facts: Facts = {SHARE: seen}

    def holds(kind: str) -> bool | None:
        return made(kind=kind, fact=SHARE, value=limit).holds(facts)

    assert holds("above") is not holds("at_most")
    assert holds("below") is not holds("at_least")
    assert made(kind="between", fact=SHARE, low=limit, high=limit).holds(facts) is (seen == limit)


@given(value=st.floats(-1e9, 1e9), limit=st.floats(-1e9, 1e9))
def test_a_number_is_never_rounded_onto_or_over_its_bound(value: float, limit: float) -> None:
    """Nobody reads `is 0.20, needs at most 0.20` about a refusal."""
    shown = float(show(value, limit))
    assert (shown < limit, shown > limit) == (value < limit, value > limit)


def test_every_fact_of_words_says_which() -> None:
    """A fact that is a text lists its words, so that a guardrail cannot ask for another."""
    assert all(spec.choices for spec in FACTS.values() if spec.type is str)
