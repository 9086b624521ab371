# ruff: noqa: D102 - the methods of a test's world say what they do by name
"""Suites and datasets share nothing, in both directions, whatever order things happen in."""

import os
import random

import pytest
from gate_house import make_gate
from imports_house import apps, write_lines

from flywheel.core.clocks import ManualClock
from flywheel.core.lines import DatasetPlan, Line, Trigger
from flywheel.core.nearness import question_text, similarity, sketch
from flywheel.core.outcomes import Label, Labelled, Message, Outcome
from flywheel.core.requests import Request
from flywheel.curate.run import CurateRoom
from flywheel.gate.foreign_suites import staging
from flywheel.gate.imports import Order, stage
from flywheel.gate.run import Folders, GateRoom
from flywheel.gate.sharing import sketch_of
from flywheel.gate.situations import ServerView
from flywheel.gate.suites import read_problems
from flywheel.store.datasets import list_datasets, members
from flywheel.store.examples import examples_by_id
from flywheel.store.outcomes import store_outcomes
from flywheel.store.requests import make_request
from flywheel.store.stores import open_store, sqlite_url
from flywheel.store.suites import live_suite, suites

WORDS = ["".join(random.Random(n).choices("abcdefghijklmnop", k=3 + n % 7)) for n in range(900)]
NEAR = 0.9
LINES = ("one", "two")


class House:
    """Two lines, fed and examined from one well of requests that come back in nearly the same words."""

    def __init__(self, folder, seed):
        self.folder, self.draw, self.clock = folder, random.Random(seed), ManualClock()
        self.store = open_store(sqlite_url(folder / "flywheel.db"))
        plan = DatasetPlan(minimum_examples=10, near_threshold=NEAR, holdout=0.3, session_cap=1.0)
        trigger = Trigger(fresh_examples=10)
        self.lines = {
            name: Line(name=name, why="w", base="b", gate="g", dataset=plan, trigger=trigger) for name in LINES
        }
        gates = {"g": make_gate(metric="exact", minimum_problems=4)}
        folders = Folders(**{name: folder / name for name in ("datasets", "suites", "measurements", "reports")})
        view = ServerView(url="http://127.0.0.1:1", bases={})
        self.rooms = (
            CurateRoom(self.store, self.clock, lambda: self.lines, folder / "datasets"),
            GateRoom(self.store, self.clock, lambda: self.lines, lambda: gates, folders, lambda: view),
        )
        self.asked = [" ".join(self.draw.choices(WORDS, k=60)) for _ in range(25)]
        self.count = 0

    def request(self):
        if self.draw.random() < 0.3:
            return f"{self.draw.choice(self.asked)} {self.draw.choice(WORDS)}"
        return " ".join(self.draw.choices(WORDS, k=60))

    def bring(self, amount):
        made = []
        for _ in range(amount):
            self.count += 1
            made.append(Outcome(
                key=f"k{self.count}", source="agent", task=f"t{self.count}", session=f"s{self.count}", group="g",
                call_type="act", at=self.clock.now(), model="m", line=self.draw.choice(LINES),
                messages=(Message(role="user", content=self.request()),),
                response=" ".join(self.draw.choices(WORDS, k=30)),
                labelled=Labelled(label=Label.POSITIVE, confidence=0.9),
            ))  # fmt: skip
            self.clock.advance(1)
        with self.store.write() as session:
            store_outcomes(session, made)

    def ask(self, kind, subject, line, **body):
        self.count += 1
        with self.store.write() as session:
            make_request(session, Request(id=f"r{self.count}", kind=kind, line=line, subject=subject,
                                          at=self.clock.now(), body=body))  # fmt: skip

    def import_suite(self, line):
        self.count += 1
        rows = [apps(self.count * 100 + n, question=self.request()) for n in range(8)]
        path = write_lines(self.folder / "rows.jsonl", rows)
        order = Order(name=f"i{self.count}", path=path)
        digest, staged = stage(order, staging(self.folder / "suites"), lambda *_: None)
        self.ask("import", order.name, line, staged=digest, **staged.model_dump(mode="json", exclude={"sha256"}))

    async def turn(self):
        """Let something happen, then the rooms do what they want."""
        what = self.draw.random()
        line = self.draw.choice(LINES)
        if what < 0.6:
            self.bring(self.draw.randrange(15, 40))
        elif what < 0.8:
            self.import_suite(line)
        else:
            self.ask("rotate", line, line)
        for _ in range(6):
            for room in self.rooms:
                found = await room.propose()
                for proposal in found.proposals:
                    await room.perform(proposal.intent, proposal.cause)

    def taught(self):
        """Return what any dataset teaches: sketches by the questions' keys."""
        found = {}
        with self.store.read() as session:
            for manifest in list_datasets(session):
                ids = [one for part in ("train", "valid") for one in members(session, manifest.hash, part)]
                for example in examples_by_id(session, ids).values():
                    said = [(message.role, message.content) for message in example.prompt]
                    if example.prompt_key not in found:
                        found[example.prompt_key] = sketch(question_text(said), fold=True)
        return found


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(30) if os.environ.get("FLYWHEEL_SOAK") else [2])
async def test_no_question_of_a_suite_is_or_nearly_is_one_that_a_dataset_teaches(tmp_path, seed):
    """Whatever is brought, imported and rotated in whatever order: no suite examines what any dataset ever taught."""
    house = House(tmp_path, seed)
    try:
        for _ in range(10):
            await house.turn()
        taught = house.taught()
        with house.store.read() as session:
            found = suites(session)
            live = [live_suite(session, name) for name in LINES]
        assert len(found) > 1
        assert any(one.retired for one in found) or any(live)
        asked = {suite.hash: read_problems(tmp_path / "suites" / suite.hash) for suite in found}
        for problems in asked.values():
            assert not taught.keys() & {problem.prompt_key for problem in problems}
            for drawn in (sketch_of(problem.messages) for problem in problems):
                assert max((similarity(drawn, other) for other in taught.values()), default=0) < NEAR
        for name in LINES:
            own = [problem.prompt_key for one in found if one.line == name for problem in asked[one.hash]]
            assert len(own) == len(set(own))
    finally:
        house.store.close()
