import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.gate.metrics.choice import choice_of
from flywheel.gate.metrics.items import items_in, shares
from flywheel.gate.metrics.registry import METRICS

CHOICE, ITEMS = METRICS["choice"], METRICS["items"]


@pytest.mark.parametrize(("answer", "made"), [
    ("B", "B"), ("b", "B"), ("(B)", "B"), ("B.", "B"), ("**B**", "B"), ("`B`", "B"), ('"B"', "B"), ("Option B", "B"),
    ("B) because it is short", "B"), ("B. The second one", "B"), ("(b) the second", "B"), ("B: it is", "B"),
    ("The answer is B.", "B"), ("The correct answer is (C).", "C"), ("Answer: **D**", "D"), ("answer = A", "A"),
    ('{"answer": "C"}', "C"), (r"so \boxed{B}", "B"), (r"$\boxed{\text{C}}$", "C"), ("<answer>B</answer>", "B"),
    ("A is wrong, so is B. The answer is C", "C"), ("The answer is A, no: the answer is B", "B"),
    ("<think>The answer is A</think>B", "B"), ("I pick B since it holds", "B"), ("I would choose option C.", "C"),
    ("My answer is that nothing fits, B perhaps", "B"), ("It must be B", "B"), ("3", "3"), ("Answer: 12", "12"),
    ("yes", "yes"), ("Yes, it does.", "yes"), ("No.", "no"), ("relevant", "relevant"), ("irrelevant", "irrelevant"),
    ("Not relevant: tests only", "irrelevant"), ("verdict: relevant", "relevant"), ('{"verdict": "no"}', "no"),
    ("The answer is a mistake.", ""), ("I am not sure", ""), ("A good question", ""), ("B or C", ""), ("", ""),
    ("<think>B", ""), ("Because", ""), ("It's fine", ""),
])  # fmt: skip
def test_choices_are_read_as_people_read_them(answer, made):
    """However much stands around it, the stated choice is found, and where none is stated, none."""
    assert choice_of(answer) == made


def test_an_answer_without_a_choice_is_unusable_and_a_wrong_one_is_wrong():
    """Nobody can use what chooses nothing; what chooses otherwise can be used, and is wrong."""
    assert CHOICE.score("B", "I cannot say").unusable
    wrong = CHOICE.score("B", "C")
    assert (wrong.value, wrong.unusable, wrong.detail) == (0, False, "chose C, expected B")
    assert CHOICE.score("b", "(B)").value == 1
    assert CHOICE.score("gamma rays", "Gamma rays").value == 1


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("ABCDabyesno().: \n*answeri"), max_size=30) | st.text())
def test_what_a_choice_expects_is_fulfilled(answer):
    """Whatever choice an answer makes, the answer makes it, and so does the choice alone."""
    expectation = CHOICE.expect(answer)
    if expectation is not None:
        assert CHOICE.score(expectation.expected, answer).value == 1
        assert choice_of(expectation.expected) == expectation.expected


@pytest.mark.parametrize(("answer", "names"), [
    ('["a.py", "b.py"]', ["a.py", "b.py"]),
    ('```json\n["a.py"]\n```', ["a.py"]),
    ('The files are ["a.py", "b.py"].', ["a.py", "b.py"]),
    ('{"files": ["a.py"]}', ["a.py"]),
    ('{"files": ["a.py"], "why": "it is [there]"}', ["a.py"]),
    ("[]", []),
    ('[{"path": "a.py", "verdict": "relevant"}, {"path": "b.py", "verdict": "irrelevant"}]', ["a.py"]),
    ('[{"name": "f", "file_path": "a.py", "detail_level": "primary"}]', ["a.py"]),
    ('[{"file": "a.py", "included": true}, {"file": "b.py", "included": false}]', ["a.py"]),
    ("- a.py\n- b.py", ["a.py", "b.py"]),
    ("The files:\n\n1. `a.py` - holds the bug\n2. `b.py`: its test\n", ["a.py", "b.py"]),
    ("* src/a.py (the parser)\n* src/b.py — the rest", ["src/a.py", "src/b.py"]),
    ("- **a.py**: the bug", ["a.py"]),
    ("a.py\nb.py\n", ["a.py", "b.py"]),
    ("a.py, b.py", ["a.py", "b.py"]),
    ("`a.py`, `b.py`", ["a.py", "b.py"]),
    ("```\na.py\nb.py\n```", ["a.py", "b.py"]),
    ('<think>["x.py"]</think>a.py', ["a.py"]),
    ("I think that it is in the parser.", None),
    ("[1, 2]", None),
    ("", None),
])  # fmt: skip
def test_lists_are_read_in_the_ways_models_write_them(answer, names):
    """JSON, points, or one a line; entries named to be left out are; prose is no list."""
    found = items_in(answer)
    assert found == names


def test_the_set_decides_and_precision_and_recall_are_told():
    """Order and repetition do not matter; one file too few or too many is wrong, and how far is told."""
    assert ITEMS.score(["a.py", "b.py"], '["./b.py", "a.py", "a.py"]').value == 1
    part = ITEMS.score(["a.py", "b.py"], '["a.py", "c.py", "d.py"]')
    assert (part.value, part.unusable) == (0, False)
    assert part.detail == 'missing: "b.py"; not expected: "c.py", "d.py"'
    assert part.parts == {"precision": pytest.approx(1 / 3), "recall": 0.5, "f1": pytest.approx(0.4)}
    assert ITEMS.score([], "[]").value == 1
    assert ITEMS.score([], '["a.py"]').parts == {"precision": 0, "recall": 0, "f1": 0}
    assert ITEMS.score(["a.py"], "It is in the parser, I think.").unusable


NAMES = st.lists(st.text(alphabet="abc./_", min_size=1, max_size=5), max_size=5)


@settings(deadline=None)
@given(NAMES, NAMES)
def test_precision_and_recall_are_what_counting_says(wanted, seen):
    """Both are counted shares, F1 is their harmonic mean, and all are 1 exactly when the sets are equal."""
    left, right = set(wanted), set(seen)
    found = shares(left, right)
    if right:
        assert found["precision"] == sum(one in left for one in right) / len(right)
    if left:
        assert found["recall"] == sum(one in right for one in left) / len(left)
    if found["precision"] + found["recall"]:
        both = 2 * found["precision"] * found["recall"] / (found["precision"] + found["recall"])
        assert found["f1"] == pytest.approx(both)
    assert (set(found.values()) == {1.0}) == (left == right)


@settings(deadline=None)
@given(st.text() | NAMES.map(json.dumps) | NAMES.map("\n".join) | NAMES.map(lambda names: "- " + "\n- ".join(names)))
def test_what_a_list_expects_is_fulfilled(answer):
    """A held-out list scores 1 against its own expectation, with all shares at 1."""
    expectation = ITEMS.expect(answer)
    if expectation is not None:
        score = ITEMS.score(expectation.expected, answer)
        assert (score.value, set(score.parts.values())) == (1, {1.0})
