# ruff: noqa: D102 - the methods of a test's world say what they do by name
"""Several lines that share what they are asked: what examines in one is in no dataset of any, not even nearly."""

import random

import pytest

from flywheel.core.outcomes import Label, Message
from flywheel.core.suites import Suite
from flywheel.curate.nearness import question_text, similarity, sketch
from flywheel.curate.run import CurateRoom
from flywheel.store.datasets import list_datasets, members
from flywheel.store.examples import examples_by_id
from flywheel.store.suites import live_suite, record_suite

WORDS = ["".join(random.Random(n).choices("abcdefghijklmnop", k=3 + n % 7)) for n in range(900)]
NEAR = 0.9


class Neighbours:
    """Two lines on one store, fed from one well of requests that come back in nearly the same words."""

    def __init__(self, desk, seed):
        self.desk = desk
        self.draw = random.Random(seed)
        plan = desk.line.dataset.model_copy(update={"minimum_examples": 15, "near_threshold": NEAR, "holdout": 0.3})
        first = desk.line.model_copy(update={"dataset": plan})
        self.lines = {name: first.model_copy(update={"name": name}) for name in ("one", "two")}
        desk.room = CurateRoom(desk.store, desk.clock, lambda: self.lines, desk.folder)
        self.asked = [" ".join(self.draw.choices(WORDS, k=60)) for _ in range(12)]
        self.count = 0

    def request(self):
        """Return a request: half of them are an earlier one with a word more."""
        if self.draw.random() < 0.5:
            return f"{self.draw.choice(self.asked)} {self.draw.choice(WORDS)}"
        return " ".join(self.draw.choices(WORDS, k=60))

    def bring(self, amount):
        for _ in range(amount):
            self.count += 1
            line = self.draw.choice(sorted(self.lines))
            said = " ".join(self.draw.choices(WORDS, k=30))
            self.desk.bring(self.desk.outcome(
                self.count, Label.POSITIVE, line=line, messages=(Message(role="user", content=self.request()),),
                response=said, task=f"t{self.draw.randrange(200)}", session=f"s{self.draw.randrange(200)}",
            ))  # fmt: skip

    def suites(self):
        """Freeze, perhaps late, the suite of a line that has none, from its newest dataset."""
        for name in self.lines:
            with self.desk.store.write() as session:
                frozen = [one for one in list_datasets(session, name) if "test" in one.splits]
                if frozen and live_suite(session, name) is None and self.draw.random() < 0.5:
                    held = examples_by_id(session, members(session, frozen[-1].hash, "test"))
                    made = Suite(hash=f"suite-{name}", line=name, dataset=frozen[-1].hash, problems=1, groups=1, seq=1)
                    record_suite(session, made, [one.prompt_key for one in held.values()])

    def trained(self):
        for name in self.lines:
            self.desk.line = self.lines[name]
            if self.desk.last() is not None:
                self.desk.trained()

    def questions(self, hashes, *parts):
        with self.desk.store.read() as session:
            ids = [one for digest in hashes for part in parts for one in members(session, digest, part)]
            found = examples_by_id(session, ids).values()
        return {one.prompt_key: sketch(_words(one), fold=True) for one in found}


def _words(example):
    return question_text([(message.role, message.content) for message in example.prompt])


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(6))
async def test_what_examines_in_one_line_is_in_no_dataset_of_any(desk, seed):
    """Over several rounds of two lines, no question of a suite is, or nearly is, one that any dataset teaches."""
    world = Neighbours(desk, seed)
    for _ in range(4):
        world.bring(40)
        await desk.cycle()
        await desk.cycle()
        world.suites()
        world.trained()
        desk.clock.advance(40 * 86400)
    with desk.store.read() as session:
        datasets = list_datasets(session)
        suites = [live_suite(session, name) for name in world.lines]
    assert len(datasets) >= 4
    assert any(suites)
    for suite in filter(None, suites):
        examined = world.questions([suite.dataset], "test")
        taught = world.questions([one.hash for one in datasets], "train", "valid")
        assert not examined.keys() & taught.keys()
        assert max(similarity(one, other) for one in examined.values() for other in taught.values()) < NEAR
