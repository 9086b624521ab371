# ruff: noqa: D102 - the methods of a test's world say what they do by name
"""Pairs and judgements, whatever comes in whatever order: nothing leaks, nothing is lost, the same gives the same."""

import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.examples import PoolExample, prompt_key
from flywheel.core.lines import DatasetPlan, LabelWeights, TrainPlan
from flywheel.core.outcomes import Label, Message
from flywheel.core.suites import Suite
from flywheel.curate.lessons import FILES, HeldOut, Lesson, Lessons, Side
from flywheel.curate.nearness import question_text, similarity, sketch
from flywheel.curate.selections import Material, Parent, Relations, draft
from flywheel.store.datasets import list_datasets, members
from flywheel.store.examples import examples_by_id
from flywheel.store.suites import live_suite, record_suite

START = datetime(2026, 1, 1, tzinfo=UTC)
names = st.integers(0, 25)
KINDS = {"dpo": "pair", "sft-dpo": "pair", "kto": "judgement"}


@st.composite
def sides(draw):
    asked = tuple(dict.fromkeys(f"q{draw(names)}" for _ in range(draw(st.integers(1, 2)))))
    session = draw(st.sampled_from(["", *(f"s{n}" for n in range(4))]))
    return Side(asked, f"t{draw(names)}", session, f"g{draw(st.integers(0, 3))}", draw(st.booleans()))


@st.composite
def lessons(draw, kind, pool):
    """Draw pairs or bad answers that share questions, tasks, words with each other and with the pool."""
    found = []
    for n in range(draw(st.integers(0, 30))):
        own = tuple(draw(sides()) for _ in range(2 if kind == "pair" else 1))
        answers = [f"a{draw(st.integers(0, 9))}" for _ in own]
        if kind == "pair" and answers[0] == answers[1]:
            answers[1] = "other"
        found.append(Lesson(
            id=f"l{n}", at=START + timedelta(hours=draw(names)), seq=n + 1, sides=own,
            words=(own[0].questions[0], *answers), outcomes=(f"o{n}", f"p{n}"),
            weight=draw(st.sampled_from([0.5, 1.0, 2.5])),
            twin=draw(st.sampled_from(["", *(one.id for one in pool)])) if kind == "judgement" else "",
        ))  # fmt: skip
    before = frozenset(draw(st.sets(st.sampled_from([one.id for one in found])))) if found else frozenset()
    held = HeldOut(frozenset(draw(st.sets(names.map("t{}".format), max_size=2))), frozenset(draw(st.sets(
        st.sampled_from(["s0", "s1"]), max_size=1))))  # fmt: skip
    return Lessons(kind, found, before, before, held, {}, len(found))


@st.composite
def worlds(draw):
    """Draw all that a dataset of a technique that learns from more than answers is drawn from."""
    technique = draw(st.sampled_from(sorted(KINDS)))
    pool = [
        PoolExample(
            seq=n + 1, id=f"e{n}", task=f"t{draw(names)}", session=f"s{draw(st.integers(0, 8))}", foreign=False,
            group=f"g{draw(st.integers(0, 3))}", category="c", prompt_key=f"q{draw(names)}", origin="logged",
            at=START + timedelta(hours=n), weight=draw(st.sampled_from([0.5, 1.0, 1.5])),
        )
        for n in range(draw(st.integers(0, 40)))
    ]  # fmt: skip
    taught = [one.id for one in pool if draw(st.integers(0, 3)) == 0]
    parent = Parent("p", frozenset(taught), frozenset()) if taught else None
    kin = {}
    for one, other in draw(st.lists(st.tuples(names, names), max_size=5)):
        if one != other:
            kin[f"q{one}"] = kin.get(f"q{one}", frozenset()) | {f"q{other}"}
            kin[f"q{other}"] = kin.get(f"q{other}", frozenset()) | {f"q{one}"}
    examined = frozenset(f"q{n}" for n in draw(st.sets(names, max_size=3)))
    near = Relations(kin=kin, examined=frozenset(f"q{n}" for n in draw(st.sets(names, max_size=2))) - examined)
    plan = DatasetPlan(
        session_cap=draw(st.sampled_from([0.05, 1.0])), split_by=draw(st.sampled_from(["task", "repo"])),
        label_weights=LabelWeights(negative=draw(st.sampled_from([0.5, 1.0, 3.0]))), holdout=0.3, valid=0.2,
    )  # fmt: skip
    return Material(
        pool, parent, frozenset(taught), examined, draw(st.booleans()), near=near, technique=technique,
        lessons=draw(lessons(KINDS[technique], pool)),
    ), plan  # fmt: skip


def ties(side):
    """What of a side ties it to one part."""
    return (
        {("q", one) for one in side.questions} | {("t", side.task)} | ({("s", side.session)} if side.session else set())
    )


@settings(max_examples=80, deadline=None)
@given(worlds())
def test_no_lesson_is_about_what_examines_and_no_group_straddles(world):
    """Pairs and judgements share no question, exact or near, no task and no session with what is held out."""
    material, plan = world
    made = draft(material, plan)
    by_id = {one.id: one for one in material.lessons.every}
    pool = {one.id: one for one in material.pool}
    forbidden = material.examined | material.near.examined
    parts = []
    for answers, others in ((made.train, made.lessons.train), (made.valid, made.lessons.valid), (made.test, ())):
        found = {tie for name in others for side in by_id[name].sides for tie in ties(side)}
        for name in answers:
            one = pool[name]
            found |= ties(Side((one.prompt_key,), one.task, one.session, one.group))
        parts.append(found)
    for one in (*made.lessons.train, *made.lessons.valid):
        assert forbidden.isdisjoint(by_id[one].questions)
        assert all(side.task not in material.lessons.held_out.tasks for side in by_id[one].sides)
        assert all(side.session not in material.lessons.held_out.sessions for side in by_id[one].sides)
    for here, there in ((0, 1), (0, 2), (1, 2)):
        assert parts[here].isdisjoint(parts[there])
        near = {("q", other) for kind, one in parts[here] if kind == "q" for other in material.near.kin.get(one, ())}
        assert near.isdisjoint(parts[there])
    assert made.judged_by["shares_with_suites"] == 0
    assert made.judged_by["lost_examples"] == 0


@settings(max_examples=80, deadline=None)
@given(worlds())
def test_every_lesson_is_in_the_draft_once_or_left_out_for_a_reason(world):
    """Nothing is doubled or contradicted, what taught before teaches, rehearsal keeps its share, all is counted."""
    material, plan = world
    made = draft(material, plan)
    kind, lessons = material.lessons.kind, material.lessons
    by_id = {one.id: one for one in lessons.every}
    standing = [*made.lessons.train, *made.lessons.valid]
    assert len(standing) == len(set(standing))
    words = [by_id[name].words for name in standing]
    assert len(words) == len(set(words))
    if kind == "pair":
        assert not {(q, bad, good) for q, good, bad in words} & {one.words for one in lessons.every}
    left_out = sum(count for reason, count in made.left_out.items() if reason.startswith(f"{kind}: "))
    brought = {name for name, _ in made.lessons.rows} | set(made.lessons.valid_rows)
    weightless = len(by_id) - left_out - len(standing)
    assert weightless >= 0
    assert kind == "judgement" or weightless == 0
    assert set(standing) <= brought
    fresh = [name for name, replay in made.lessons.rows if not replay]
    assert {name for name, replay in made.lessons.rows if replay} <= set(fresh) & lessons.rehearsed
    if made.lessons.replayed:
        assert abs(made.lessons.replayed / len(made.lessons.rows) - plan.replay) < 1 / len(made.lessons.rows)
    assert max((fresh.count(name) for name in fresh), default=0) <= 4
    assert draft(material, plan) == made


WORDS = ["".join(random.Random(n).choices("abcdefghijklmnop", k=3 + n % 7)) for n in range(900)]
NEAR = 0.9


class Bench:
    """One line that learns from more than answers, and a well of questions that come back in nearly the same words."""

    def __init__(self, desk, seed, technique):
        self.desk = desk
        self.draw = random.Random(seed)
        self.kind = KINDS[technique]
        desk.line = desk.line.model_copy(update={"train": TrainPlan(technique=technique)})
        desk.plan(minimum_examples=5, minimum_pairs=4, minimum_judgements=10, near_threshold=NEAR, holdout=0.3)
        self.asked = [" ".join(self.draw.choices(WORDS, k=60)) for _ in range(12)]
        self.count = 0

    def question(self):
        if self.draw.random() < 0.4:
            return f"{self.draw.choice(self.asked)} {self.draw.choice(WORDS)}"
        return " ".join(self.draw.choices(WORDS, k=60))

    def bring(self, amount):
        """Bring retries whose first prompt no example asks, rivals to one question, and single answers."""
        for _ in range(amount):
            self.count += 10
            first = Message(role="user", content=self.question())
            place = {"task": f"t{self.draw.randrange(300)}", "session": f"s{self.draw.randrange(300)}"}
            kind = self.draw.choice(["retry", "rivals", "bad", "good"])
            told = (Message(role="assistant", content="…"), Message(role="user", content=self.question()))
            later = {"messages": (first, *told) if kind == "retry" else (first,)}
            chain = {"chain": f"c{self.count}"} if kind == "retry" else {}
            said = [" ".join(self.draw.choices(WORDS, k=20)) for _ in range(2)]
            if kind != "good":
                self.desk.bring(self.desk.outcome(self.count, Label.NEGATIVE, messages=(first,), response=said[0],
                                                  **place, **chain))  # fmt: skip
            if kind != "bad":
                self.desk.bring(self.desk.outcome(self.count + 1, response=said[1], **later, **place, **chain))

    def suite(self):
        with self.desk.store.write() as session:
            frozen = [one for one in list_datasets(session, self.desk.line.name) if "test" in one.splits]
            if frozen and live_suite(session, self.desk.line.name) is None and self.draw.random() < 0.7:
                held = examples_by_id(session, members(session, frozen[-1].hash, "test"))
                made = Suite(
                    hash="suite", line=self.desk.line.name, dataset=frozen[-1].hash, problems=1, groups=1, seq=1
                )
                record_suite(session, made, [one.prompt_key for one in held.values()])

    def taught(self):
        """Every question of every pair and judgement of every dataset, by its key."""
        found = {}
        for folder in self.desk.folder.iterdir():
            for name in FILES[self.kind]:
                path = folder / f"{name}.jsonl"
                for line in path.read_text().splitlines() if path.exists() else ():
                    prompt = tuple(Message(**one) for one in json.loads(line)["prompt"])
                    found[prompt_key(prompt)] = sketch(question_text([(m.role, m.content) for m in prompt]), fold=True)
        return found


@pytest.mark.asyncio
@pytest.mark.parametrize(("seed", "technique"), [(0, "dpo"), (1, "sft-dpo"), (2, "kto")])
async def test_no_pair_s_question_stands_in_a_suite(desk, seed, technique):
    """Over several rounds with a suite, no pair or judgement of any dataset asks, or nearly asks, what it asks."""
    bench = Bench(desk, seed, technique)
    for _ in range(4):
        bench.bring(40)
        await desk.settle()
        bench.suite()
        if desk.last() is not None:
            desk.trained()
        desk.clock.advance(40 * 86400)
    with desk.store.read() as session:
        suite = live_suite(session, desk.line.name)
        held = examples_by_id(session, members(session, suite.dataset, "test")).values()
        datasets = list_datasets(session, desk.line.name)
    taught = bench.taught()
    assert len(datasets) >= 2
    assert len(taught) > 20
    assert taught.keys().isdisjoint(one.prompt_key for one in held)
    said = [sketch(question_text([(m.role, m.content) for m in one.prompt]), fold=True) for one in held]
    assert max(similarity(one, other) for one in said for other in taught.values()) < NEAR


@pytest.mark.asyncio
async def test_the_same_pool_gives_the_same_bytes(desk, tmp_path):
    """A crash after the folder and before its record: the next try makes the same folder, under the same hash."""
    bench = Bench(desk, 7, "sft-dpo")
    bench.bring(60)
    await desk.cycle()
    (proposal,) = (one for one in (await desk.room.propose()).proposals if one.intent.kind == "curate.freeze_dataset")
    await desk.room.perform(proposal.intent, None)
    first = {path.name: path.read_bytes() for path in (desk.folder / desk.last().hash).iterdir()}
    with desk.store.write() as session:
        for table in ("dataset_examples", "datasets"):
            session.connection().exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - names of ours
        session.connection().exec_driver_sql("DELETE FROM ledger WHERE kind = 'curate.dataset_frozen'")
    desk.folder = tmp_path / "elsewhere"
    desk.room = desk.new_room()
    await desk.room.perform(proposal.intent, None)
    assert {path.name: path.read_bytes() for path in (desk.folder / desk.last().hash).iterdir()} == first
