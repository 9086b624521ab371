"""The labels: pure, by evidence."""

from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.labels import judge
from flywheel.core.outcomes import Label, Signal
from flywheel.sources.labels import Call, label_calls

RANK = {Label.NEGATIVE: 0, Label.UNKNOWN: 1, Label.POSITIVE: 2}
signals = st.builds(Signal, name=st.sampled_from("abc"), points=st.sampled_from([-1, 0, 1]), strength=st.floats(0, 1))
negatives = st.builds(Signal, name=st.just("n"), points=st.just(-1), strength=st.floats(0, 1))
calls = st.builds(
    Call,
    st.sampled_from(["act", "plan"]),
    st.sampled_from(["q1", "q2"]),
    st.sampled_from(["fine", "", "[ERROR] no"]),
    st.booleans(),
    st.sampled_from([None, True, False]),
)


def labels_of(made, success):
    return [labelled.label for labelled in label_calls(made, success)]


@given(st.lists(signals, max_size=5), negatives)
def test_more_against_it_never_makes_a_label_better(seen, against):
    """Adding a negative signal never raises a label, nor the confidence of a positive one."""
    before, after = judge(seen), judge([*seen, against])
    assert RANK[after.label] <= RANK[before.label]
    if after.label is Label.POSITIVE:
        assert after.confidence <= before.confidence


@given(st.lists(signals.filter(lambda s: s.points < 1), max_size=5))
def test_nothing_is_positive_without_evidence(seen):
    """Without a positive signal no label is positive."""
    assert judge(seen).label is not Label.POSITIVE


@given(st.lists(calls, min_size=1, max_size=6))
def test_unknown_is_never_success(made):
    """While nobody knows how a task ended, none of its calls is positive."""
    assert Label.POSITIVE not in labels_of(made, None)


@given(st.lists(calls, min_size=1, max_size=6))
def test_a_failed_task_is_never_better_than_a_succeeded_one(made):
    """Every call's label after a failure is at most its label after a success."""
    for failed, succeeded in zip(labels_of(made, False), labels_of(made, True), strict=True):
        assert RANK[failed] <= RANK[succeeded]


def test_the_last_attempt_is_what_succeeded():
    """Success goes to the last call of each kind, a repeated question is negative, other questions are unknown."""
    made = [Call("plan", "p", "x"), Call("act", "q1", "x"), Call("act", "q2", "x"), Call("act", "q2", "y")]
    assert labels_of(made, True) == [Label.POSITIVE, Label.UNKNOWN, Label.NEGATIVE, Label.POSITIVE]
    assert labels_of(made, False) == [Label.NEGATIVE, Label.UNKNOWN, Label.NEGATIVE, Label.NEGATIVE]


def test_an_error_is_negative_whatever_the_task_says():
    """An empty or error response is negative even in a task that succeeded."""
    assert labels_of([Call("act", "q", "  ")], True) == [Label.NEGATIVE]
    assert labels_of([Call("act", "q", "[ERROR] timeout")], True) == [Label.NEGATIVE]
    assert labels_of([Call("act", "q", "fine", error=True)], None) == [Label.NEGATIVE]


def test_a_step_that_succeeded_is_positive_by_its_own_evidence():
    """Where the agent says how each step went, that decides for steps before the last."""
    made = [Call("act", "q1", "x", success=True), Call("act", "q2", "x", success=False), Call("act", "q3", "x")]
    assert labels_of(made, True) == [Label.POSITIVE, Label.NEGATIVE, Label.POSITIVE]
    assert label_calls(made, False)[0].confidence < 0.7, "the task failed: not sure enough to learn from"


def test_an_untrusted_word_is_no_evidence():
    """When a source's success is not trusted, its tasks are unknown."""
    assert label_calls([Call("act", "q", "x")], True, trusted=False)[0].label is Label.UNKNOWN
