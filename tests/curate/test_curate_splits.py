"""Splits and selections: pure, nothing leaks, nothing is lost, the same material gives the same draft."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.examples import PoolExample
from flywheel.core.lines import DatasetPlan
from flywheel.curate.selections import SESSION_FLOOR, Material, Parent, draft
from flywheel.curate.splits import Item, Shares, split

START = datetime(2026, 1, 1, tzinfo=UTC)
shares = st.builds(Shares, st.sampled_from([0.0, 0.2, 0.5]), st.sampled_from([0.0, 0.1, 0.3]), st.integers(1, 30))


@st.composite
def items(draw):
    """Draw examples that share tasks and questions here and there; some taught before."""
    size = draw(st.integers(0, 40))
    names = st.integers(0, 25)
    return [
        Item(
            f"e{n}", f"t{draw(names)}", f"q{draw(names)}", START + timedelta(hours=draw(names)), n, draw(st.booleans())
        )
        for n in range(size)
    ]


@st.composite
def materials(draw):
    """Draw a pool, perhaps with a parent that taught a part of it, and some questions in suites."""
    names = st.integers(0, 30)
    pool = [
        PoolExample(
            seq=n + 1, id=f"e{n}", task=f"t{draw(names)}", session=f"s{draw(st.integers(0, 4))}",
            group=f"g{draw(st.integers(0, 3))}", category="c", prompt_key=f"q{draw(names)}",
            at=START + timedelta(hours=n), origin="logged", foreign=draw(st.booleans()),
        )
        for n in range(draw(st.integers(0, 60)))
    ]  # fmt: skip
    taught = [one.id for one in pool if draw(st.integers(0, 2)) == 0]
    cut = draw(st.integers(0, len(taught)))
    parent = Parent("p", frozenset(taught[:cut]), frozenset(taught[cut:])) if taught else None
    examined = frozenset(f"q{n}" for n in draw(st.sets(names, max_size=4)))
    return Material(pool, parent, frozenset(taught), examined, draw(st.booleans()))


@given(items(), shares)
def test_no_task_and_no_question_stands_on_both_sides(made, wanted):
    """Each example is in exactly one part; tasks and questions never straddle two."""
    parts = split(made, wanted)
    everything = [*parts.train, *parts.valid, *parts.test, *parts.doubled]
    assert sorted(everything) == sorted(item.id for item in made)
    by_id = {item.id: item for item in made}
    sides = [parts.train, parts.valid, [*parts.test, *parts.doubled]]
    for field in ("task", "question"):
        seen = [{getattr(by_id[one], field) for one in side} for side in sides]
        assert len(set.union(*seen)) == sum(len(side) for side in seen)


@given(items(), shares)
def test_what_is_held_out_is_bounded_and_never_taught_before(made, wanted):
    """The test part keeps its share of tasks, its limit of questions, asks once, and holds nothing pinned."""
    parts = split(made, wanted)
    by_id = {item.id: item for item in made}
    held = [by_id[one] for one in parts.test]
    assert len(held) <= wanted.suite_limit
    assert len({item.question for item in held}) == len(held)
    assert len({by_id[one].task for one in [*parts.test, *parts.doubled]}) <= wanted.holdout * len(
        {item.task for item in made}
    )
    assert not any(item.pinned for item in held)


def test_the_newest_examine():
    """With independent tasks the newest are held out, the next validate, the oldest teach."""
    made = [Item(f"e{n}", f"t{n}", f"q{n}", START + timedelta(hours=n), n) for n in range(10)]
    parts = split(made, Shares(0.2, 0.25, 400))
    assert parts.test == ["e8", "e9"]
    assert parts.valid == ["e6", "e7"]
    assert parts.train == [f"e{n}" for n in range(6)]


@settings(max_examples=60)
@given(materials())
def test_nothing_that_taught_is_lost(material):
    """What taught in the parent teaches again, unless its question stands in a suite; nothing examined teaches."""
    made = draft(material, DatasetPlan())
    assert made.judged_by["lost_examples"] == 0
    assert made.judged_by["shares_with_suites"] == 0
    by_id = {one.id: one for one in material.pool}
    teaching = {*made.train, *made.valid}
    assert not {by_id[one].prompt_key for one in [*teaching, *made.test]} & material.examined
    if material.parent:
        assert {one for one in material.parent.taught if by_id[one].prompt_key not in material.examined} <= teaching
    assert made.examples == len(teaching) + len(made.test)
    assert made.examples + sum(made.left_out.values()) == len(material.pool)


@settings(max_examples=60)
@given(materials())
def test_rehearsal_is_a_share_of_the_rows_and_comes_from_the_parent(material):
    """Rehearsed rows are those that taught before and teach now, at the share that was asked for."""
    made = draft(material, DatasetPlan(replay=0.15))
    taught = material.parent.train if material.parent else frozenset()
    assert set(made.replay) <= taught & set(made.train)
    if taught & set(made.train):
        rows = len(made.train) + len(made.replay)
        assert abs(len(made.replay) - 0.15 * rows) <= 1
    else:
        assert made.replay == ()
    assert made == draft(material, DatasetPlan(replay=0.15))


@settings(max_examples=60)
@given(materials())
def test_no_session_fills_a_dataset(material):
    """Fresh examples of a session are capped, with a floor; those that taught before stay."""
    made = draft(material._replace(parent=None, held_before=frozenset()), DatasetPlan(session_cap=0.1))
    by_id = {one.id: one for one in material.pool}
    sessions = [by_id[one].session for one in [*made.train, *made.valid, *made.test]]
    assert all(sessions.count(name) <= max(SESSION_FLOOR, 0.1 * len(material.pool)) for name in sessions)
