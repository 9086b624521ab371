"""Splits and selections: pure, nothing leaks, nothing is lost, the same material gives the same draft."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.examples import PoolExample
from flywheel.core.lines import DatasetPlan
from flywheel.curate.selections import SESSION_FLOOR, Material, Parent, Relations, draft
from flywheel.curate.splits import Item, Shares, split

START = datetime(2026, 1, 1, tzinfo=UTC)
shares = st.builds(Shares, st.sampled_from([0.0, 0.2, 0.5]), st.sampled_from([0.0, 0.1, 0.3]), st.integers(1, 30))


@st.composite
def items(draw):
    """Draw examples that share tasks and questions here and there; some taught before."""
    size = draw(st.integers(0, 40))
    names = st.integers(0, 25)
    repos = draw(st.booleans())
    return [
        Item(
            f"e{n}", f"t{draw(names)}", f"q{draw(names)}", START + timedelta(hours=draw(names)), n, draw(st.booleans()),
            session=draw(st.sampled_from(["", f"s{n}", "s0", "s1"])), repo=f"r{draw(names)}" if repos else "",
        )
        for n in range(size)
    ]  # fmt: skip


@st.composite
def relatives(draw, prefix="q", most=25):
    """Draw pairs of names that are nearly the same, told of both sides."""
    names = st.integers(0, most).map(lambda n: f"{prefix}{n}")
    found = {}
    for one, other in draw(st.lists(st.tuples(names, names), max_size=6)):
        if one != other:
            found[one] = found.get(one, frozenset()) | {other}
            found[other] = found.get(other, frozenset()) | {one}
    return found


@st.composite
def materials(draw):
    """Draw a pool, perhaps with a parent that taught a part of it, and some questions in suites."""
    names = st.integers(0, 30)
    pool = [
        PoolExample(
            seq=n + 1, id=f"e{n}", task=f"t{draw(names)}", session=f"s{draw(st.integers(0, 4))}",
            group=f"g{draw(st.integers(0, 3))}", category="c", prompt_key=f"q{draw(names)}",
            at=START + timedelta(hours=n), origin=draw(st.sampled_from(["logged", "teacher"])),
            foreign=draw(st.booleans()), weight=draw(st.sampled_from([0.5, 1.0, 1.0, 1.5])),
        )
        for n in range(draw(st.integers(0, 60)))
    ]  # fmt: skip
    taught = [one.id for one in pool if draw(st.integers(0, 2)) == 0]
    cut = draw(st.integers(0, len(taught)))
    parent = Parent("p", frozenset(taught[:cut]), frozenset(taught[cut:])) if taught else None
    examined = frozenset(f"q{n}" for n in draw(st.sets(names, max_size=4)))
    near = Relations(
        twins=draw(relatives("e", 59)), kin=draw(relatives(most=30)),
        examined=frozenset(f"q{n}" for n in draw(st.sets(names, max_size=2))) - examined,
        elsewhere=frozenset(f"q{n}" for n in draw(st.sets(names, max_size=3))),
    )  # fmt: skip
    return Material(pool, parent, frozenset(taught), examined, draw(st.booleans()), near=near)


@given(items(), shares, relatives())
def test_no_task_no_session_and_no_question_stands_on_both_sides(made, wanted, kin):
    """Each example is in exactly one part; tasks, sessions, repos and what is nearly the same never straddle two."""
    parts = split(made, wanted, kin)
    everything = [*parts.train, *parts.valid, *parts.test, *parts.doubled]
    assert sorted(everything) == sorted(item.id for item in made)
    by_id = {item.id: item for item in made}
    sides = [[by_id[one] for one in side] for side in (parts.train, parts.valid, [*parts.test, *parts.doubled])]
    for field in ("task", "question", "session", "repo"):
        seen = [{getattr(one, field) for one in side} - {""} for side in sides]
        assert len(set.union(*seen)) == sum(len(side) for side in seen)
    for one, other in ((one, other) for one in sides for other in sides if one is not other):
        there = {item.question for item in other}
        assert not any(kin.get(item.question, frozenset()) & there for item in one)
    assert parts == split(made, wanted, kin)


@given(items(), shares, relatives())
def test_what_is_held_out_is_bounded_and_never_taught_before(made, wanted, kin):
    """The test part keeps its share of tasks, its limit of questions, asks nothing twice, and holds nothing pinned."""
    parts = split(made, wanted, kin)
    by_id = {item.id: item for item in made}
    held = [by_id[one] for one in parts.test]
    asked = {item.question for item in held}
    assert len(held) <= wanted.suite_limit
    assert len(asked) == len(held)
    assert not any(kin.get(question, frozenset()) & asked for question in asked)
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
    """What taught in the parent teaches again, unless a suite asks its question or nearly that; the rest is counted."""
    made = draft(material, DatasetPlan())
    assert made.judged_by["lost_examples"] == 0
    assert made.judged_by["shares_with_suites"] == 0
    by_id = {one.id: one for one in material.pool}
    teaching = {*made.train, *made.valid}
    examined = material.examined | material.near.examined
    assert not {by_id[one].prompt_key for one in [*teaching, *made.test]} & examined
    assert {one for one in material.taught if by_id[one].prompt_key not in examined} <= teaching
    assert made.examples == len(teaching) + len(made.test)
    assert made.examples + sum(made.left_out.values()) == len(material.pool)


@settings(max_examples=60)
@given(materials())
def test_no_relative_of_an_examined_example_teaches(material):
    """Between test on one side and train and valid on the other nothing is shared, not even nearly."""
    made = draft(material, DatasetPlan())
    by_id = {one.id: one for one in material.pool}
    held, teaching = ([by_id[one] for one in side] for side in (made.test, (*made.train, *made.valid)))
    for field in ("prompt_key", "task", "session"):
        assert not {getattr(one, field) for one in held} & {getattr(one, field) for one in teaching}
    asked = {one.prompt_key for one in teaching}
    assert not any(material.near.kin.get(one.prompt_key, frozenset()) & asked for one in held)
    assert not {one.prompt_key for one in held} & material.near.elsewhere


@settings(max_examples=60)
@given(materials())
def test_near_duplicates_stand_in_a_dataset_once(material):
    """Of two examples that are nearly the same the older is kept; both only where both taught before."""
    made = draft(material, DatasetPlan(weights={"logged": 4, "teacher": 4}))
    seqs = {one.id: one.seq for one in material.pool}
    chosen = {*made.train, *made.valid, *made.test}
    pairs = [(one, other) for one, others in material.near.twins.items() for other in others if one in chosen]
    assert not [pair for pair in pairs if chosen >= set(pair) and not material.taught >= set(pair)]
    if not material.taught and not made.left_out.keys() - {"near duplicate"}:
        dropped = seqs.keys() - chosen
        assert all(any(seqs[other] < seqs[one] for other in material.near.twins[one] & chosen) for one in dropped)


@settings(max_examples=60)
@given(materials())
def test_rehearsal_is_a_share_of_the_rows_and_comes_from_the_parent(material):
    """Rehearsed rows are those that taught before and teach now, at the share that was asked for."""
    made = draft(material, DatasetPlan(replay=0.15))
    taught = material.parent.train if material.parent else frozenset()
    assert set(made.replay) <= taught & set(made.train)
    assert {one for one, _ in made.rows} == set(made.train)
    assert sum(replayed for _, replayed in made.rows) == len(made.replay)
    if taught & set(made.train):
        assert abs(len(made.replay) - 0.15 * len(made.rows)) <= 1
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


@settings(max_examples=60)
@given(materials())
def test_every_cap_is_kept_by_what_is_new(material):
    """No repo or category has more of a dataset than its cap, or eight where that is more; a foreign repo never."""
    plan = DatasetPlan(session_cap=0.5, repo_cap=0.4, foreign_repo_cap=0.3, category_cap=0.6)
    made = draft(material._replace(parent=None, held_before=frozenset()), plan)
    by_id = {one.id: one for one in material.pool}
    chosen = [by_id[one] for one in (*made.train, *made.valid, *made.test)]
    for share, floor, buckets in (
        (0.4, SESSION_FLOOR, [one.group for one in chosen]),
        (0.3, 0, [one.group for one in chosen if one.foreign]),
        (0.6, SESSION_FLOOR, [one.category for one in chosen]),
    ):
        assert all(buckets.count(name) <= max(floor, share * len(chosen)) for name in set(buckets))


def test_a_whole_repo_examines_when_repos_are_split():
    """With `split_by = "repo"` the newest repo is held out with all its tasks, and no other one is cut."""
    pool = [
        PoolExample(
            seq=n + 1, id=f"e{n}", task=f"t{n}", session=f"s{n}", group=f"g{n // 5}", category="c", prompt_key=f"q{n}",
            at=START + timedelta(hours=n), origin="logged", foreign=False,
        )
        for n in range(20)
    ]  # fmt: skip
    material = Material(pool, None, frozenset(), frozenset(), has_suite=False)
    made = draft(material, DatasetPlan(holdout=0.25, split_by="repo", session_cap=1))
    assert made.test == tuple(f"e{n}" for n in range(15, 20))
    assert draft(material, DatasetPlan(holdout=0.2, split_by="repo", session_cap=1)).test == ()
