"""The mix: weights become rows, weak categories are repeated, a curriculum is in order; all drawn from the content."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.examples import PoolExample
from flywheel.core.lines import DatasetPlan, Weights
from flywheel.curate.complexities import COMPLEX, MULTI_FILE, SINGLE_FILE, level_of, traits_of
from flywheel.curate.mixes import MOST_ROWS, Rows, in_order, is_drawn, rows_beside, weak_categories
from flywheel.curate.selections import Material, draft

START = datetime(2026, 1, 1, tzinfo=UTC)


def example(number, **values):
    made = {
        "seq": number + 1, "id": f"e{number}", "task": f"t{number}", "session": f"s{number}", "group": f"g{number % 9}",
        "category": "c", "prompt_key": f"q{number}", "at": START + timedelta(hours=number), "origin": "logged",
        "foreign": False,
    }  # fmt: skip
    return PoolExample(**(made | values))


def drawn(pool, plan, weak=None):
    material = Material(pool, None, frozenset(), frozenset(), has_suite=True, weak=weak or {})
    return draft(material, plan)


def test_a_weight_is_a_number_of_rows():
    """Half a weight teaches every second example once, one and a half teaches every second one twice; none, none."""
    pool = [example(n, weight=(0.5, 1.0, 1.5)[n % 3]) for n in range(3_000)]
    made = drawn(pool, DatasetPlan(valid=0))
    rows = {part: sum(int(name[1:]) % 3 == part for name, _ in made.rows) for part in range(3)}
    assert rows[1] == 1_000
    assert 440 < rows[0] < 560
    assert 1_440 < rows[2] < 1_560
    assert made.left_out == {"not drawn, for its weight": 1_000 - rows[0]}
    assert made.judged_by["repeated_share"] == pytest.approx((rows[2] - 1_000) / len(made.rows), abs=0.001)


def test_each_origin_brings_what_its_weight_says():
    """Weights by origin multiply with an example's own, and no example brings more rows than the most."""
    pool = [example(n, origin=("logged", "synthetic", "teacher", "harness")[n % 4]) for n in range(400)]
    made = drawn(pool, DatasetPlan(valid=0, weights=Weights(synthetic=0, teacher=2, harness=4)))
    rows = [sum(int(name[1:]) % 4 == part for name, _ in made.rows) for part in range(4)]
    assert rows == [100, 0, 200, 400]
    assert made.judged_by["teacher_share"] == pytest.approx(1 / 3, abs=0.001)
    assert "synthetic_share" not in made.judged_by
    heavy = drawn([example(0, weight=50.0)], DatasetPlan(valid=0))
    assert len(heavy.rows) == MOST_ROWS


@given(st.integers(0, 400), st.floats(0.01, 4), st.floats(0.01, 4))
def test_more_weight_never_brings_fewer_rows(number, one, other):
    """What was drawn for a lower weight is drawn for a higher one, and brings at least as many rows."""
    low, high = sorted((one, other))
    counts = []
    for weight in (low, high):
        made = example(number, weight=weight)
        rows = rows_beside([made], ("", frozenset()), {}, DatasetPlan())
        counts.append((1 + len(rows.further)) if is_drawn(made, DatasetPlan()) else 0)
    assert counts[0] <= counts[1]


def test_what_taught_before_teaches_whatever_it_weighs_now():
    """A weight that fell to nothing drops nothing from a line that has learned it."""
    pool = [example(n) for n in range(20)]
    first = drawn(pool, DatasetPlan())
    material = Material(pool, None, frozenset(), frozenset(), has_suite=True)
    from flywheel.curate.selections import Parent

    parent = Parent("p", frozenset(first.train), frozenset(first.valid))
    second = draft(material._replace(parent=parent), DatasetPlan(weights=Weights(logged=0)))
    assert {*second.train, *second.valid} == {one.id for one in pool}


def test_weak_categories_are_those_below_the_mean_of_all_problems():
    """A category counts by its problems; what was not measured is not weak."""
    measured = {
        "read": {"candidate": 0.9, "problems": 80.0},
        "write": {"candidate": 0.5, "problems": 15.0},
        "run": {"candidate": 0.3, "problems": 5.0},
        "new": {"candidate": None, "problems": 0.0},
    }
    assert weak_categories(measured) == pytest.approx({"write": 0.5, "run": 0.7})
    assert weak_categories({}) == {}
    assert weak_categories({"read": {"candidate": 0.9, "problems": 9.0}}) == {}


def test_the_focus_takes_its_share_of_the_rows():
    """A fifth of the rows repeats weak categories, the weaker the more, beside what is rehearsed."""
    pool = [example(n, category=("read", "write", "run", "list")[n % 4]) for n in range(400)]
    taught = frozenset(f"e{n}" for n in range(0, 400, 2))
    rows = rows_beside(pool, ("p", taught), {"write": 0.2, "run": 0.6, "gone": 0.9}, DatasetPlan(focus=0.2))
    total = 400 + len(rows.focus) + len(rows.replay)
    assert len(rows.focus) / total == pytest.approx(0.2, abs=0.01)
    assert len(rows.replay) / total == pytest.approx(0.15, abs=0.01)
    weak = [int(name[1:]) % 4 for name in rows.focus]
    assert set(weak) == {1, 2}
    assert weak.count(2) == pytest.approx(3 * weak.count(1), abs=2)
    assert set(rows.replay) <= taught


def test_a_focus_does_not_learn_a_few_by_heart():
    """Where a weak category has a single example, it is repeated a few times and no more."""
    pool = [example(n, category="read" if n else "run") for n in range(400)]
    rows = rows_beside(pool, ("", frozenset()), {"run": 0.9}, DatasetPlan(focus=0.5))
    assert rows.focus == ("e0",) * (MOST_ROWS - 1)
    assert rows_beside(pool, ("", frozenset()), {}, DatasetPlan(focus=0.5)).focus == ()


def test_a_curriculum_goes_from_easy_to_hard():
    """One file, then several, then long chains; rehearsed rows stand where their difficulty puts them."""
    pool = [example(0, files=7, steps=1), example(1, files=2, steps=1), example(2, files=1, steps=1, words=9),
            example(3, files=1, steps=1, words=5), example(4, files=1, steps=8)]  # fmt: skip
    rows = rows_beside(pool, ("p", frozenset({"e1"})), {}, DatasetPlan(replay=0.17))
    ordered = in_order(pool, rows, curriculum=True)
    assert ordered == [("e3", False), ("e2", False), ("e1", False), ("e1", True), ("e0", False), ("e4", False)]
    assert [name for name, _ in in_order(pool, rows, curriculum=False)] == ["e0", "e1", "e2", "e3", "e4", "e1"]


def test_what_a_history_says_of_difficulty_counts():
    """A yes or no shows nothing of the change that it is about; its commit does."""
    levels = (2, None, 1, 0, None)
    files = (0, 1, 0, 0, 7)
    pool = [example(n, level=levels[n], files=files[n]) for n in range(5)]
    assert [name for name, _ in in_order(pool, Rows(), curriculum=True)] == ["e3", "e1", "e2", "e0", "e4"]


@pytest.mark.parametrize(
    ("answer", "files"),
    [
        ("no file at all, only self.name = other.name", 0),
        ('<tool_call>\n{"name": "read", "arguments": {"path": "src/a.py"}}\n</tool_call>', 1),
        ('<edit file="a.py"><search>x</search></edit><edit file="b.py"></edit><edit file="a.py"></edit>', 2),
        ('{"files": ["a.py", "b.py", "c/d.py"], "filePath": "a.py"}', 3),
        ("--- a/x.py\n+++ b/x.py\n@@\n--- a/y.py\n+++ b/y.py\n", 2),
        ("*** Update File: x.py\n*** Add File: z.py\n", 2),
    ],
)
def test_files_are_what_the_answer_names_as_such(answer, files):
    """Keys, attributes and headers name files; words of code with a dot in them do not."""
    assert traits_of([("user", "do it")], answer).files == files


def test_steps_are_turns_before_and_calls_in_the_answer():
    """A long session and a long chain of calls are both hard to follow."""
    turns = [("user", "do it"), ("assistant", "I look"), ("tool", "x"), ("assistant", "I see")]
    assert traits_of(turns, "<tool_call>\n{}\n</tool_call>" * 3).steps == 5
    assert [level_of(*each) for each in ((0, 0), (1, 4), (2, 1), (5, 1), (1, 5))] == [
        SINGLE_FILE, SINGLE_FILE, MULTI_FILE, COMPLEX, COMPLEX,
    ]  # fmt: skip


def test_a_wall_of_letters_takes_no_time():
    """Text without a space or an end is looked through once."""
    assert traits_of([], "file" * 200_000).files == 0
    assert traits_of([], 'files": [' * 20_000).files == 0
