# ruff: noqa: D102 - the double's methods say what they do by name
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flywheel.core.clocks import ManualClock
from flywheel.core.lines import DatasetPlan, Labels, Line, Trigger
from flywheel.core.outcomes import Label, Labelled, Message, Outcome
from flywheel.core.training import TrainSpec
from flywheel.curate.run import CurateRoom
from flywheel.store.counters import counters
from flywheel.store.datasets import last_dataset
from flywheel.store.ledger import events
from flywheel.store.outcomes import store_outcomes
from flywheel.store.runs import end_run, start_run
from flywheel.store.stores import Store, open_store, sqlite_url
from flywheel.store.tables import SuitePromptRow, SuiteRow

CALL = '<tool_call>\n{"name": "read_file", "arguments": {"path": "a.py"}}\n</tool_call>'


class Desk:
    """A store with the curate room on one line, and a way to bring outcomes."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.clock = ManualClock()
        self.folder = folder
        self.line = Line(
            name="tool-calling",
            why="w",
            base="b",
            dataset=DatasetPlan(minimum_examples=10, session_cap=0.5),
            trigger=Trigger(fresh_examples=10, after_days=30),
        )
        self.room = self.new_room()

    def new_room(self) -> CurateRoom:
        return CurateRoom(self.store, self.clock, lambda: {self.line.name: self.line}, self.folder)

    def labels(self, **values: Any) -> None:
        self.line = self.line.model_copy(update={"labels": Labels(**values)})

    def plan(self, **values: Any) -> None:
        self.line = self.line.model_copy(update={"dataset": self.line.dataset.model_copy(update=values)})

    def outcome(self, number: int, label: Label = Label.POSITIVE, **values: Any) -> Outcome:
        made: dict[str, Any] = {
            "key": f"k{number}", "source": "agent", "task": f"t{number}", "session": f"s{number}",
            "group": f"g{number % 3}", "call_type": "act", "at": self.clock.now() + timedelta(seconds=number),
            "model": "m", "messages": (Message(role="user", content=f"question {number}"),), "response": CALL,
            "labelled": Labelled(label=label, confidence=0.9), "line": self.line.name,
        }  # fmt: skip
        return Outcome(**(made | values))

    def bring(self, *outcomes: Outcome) -> None:
        with self.store.write() as session:
            store_outcomes(session, outcomes)

    def bring_many(self, first: int, last: int) -> None:
        self.bring(*(self.outcome(number) for number in range(first, last)))

    async def cycle(self) -> list[str]:
        plan = await self.room.propose()
        for proposal in plan.proposals:
            await self.room.perform(proposal.intent, proposal.cause)
        return [proposal.intent.kind for proposal in plan.proposals]

    async def settle(self) -> None:
        while await self.cycle():
            pass

    def trained(self) -> None:
        """Let a run on the newest dataset have ended."""
        dataset = self.last()
        spec = TrainSpec(line=self.line.name, dataset=dataset.hash, base_name="b", base_fingerprint="f")
        with self.store.write() as session:
            start_run(session, spec, self.clock.now(), 1)
            end_run(session, spec.run_id, self.clock.now(), {})

    def suite(self, *questions: str, line: str | None = None, live: bool = True) -> None:
        name = line or self.line.name
        with self.store.write() as session:
            session.add(SuiteRow(hash=f"suite-{name}", line=name, dataset="d", problems=1, groups=1, live=live, seq=1))
            session.flush()
            for question in questions:
                session.add(SuitePromptRow(suite=f"suite-{name}", prompt_key=question, line=name))

    def last(self) -> Any:
        with self.store.read() as session:
            return last_dataset(session, self.line.name)

    def events(self, *kinds: str) -> list[Any]:
        with self.store.read() as session:
            return events(session, kinds=kinds)

    def counters(self) -> dict[str, int]:
        with self.store.read() as session:
            return counters(session, f"line:{self.line.name}")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store:
        yield Desk(store, tmp_path / "datasets")


@pytest.fixture
def call() -> str:
    return CALL
