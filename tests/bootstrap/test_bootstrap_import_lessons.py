"""From an open dataset to a frozen one: what was proved teaches, nothing leaks into what examines."""

import asyncio
import json
import random
from collections import defaultdict
from pathlib import Path

import pytest
from datasets_house import apps_row, code_contests, imported, order_of, taco_row, write_lines

from flywheel.bootstrap.shelves import Shelf
from flywheel.core.clocks import ManualClock
from flywheel.core.examples import prompt_key
from flywheel.core.outcomes import Label, Message
from flywheel.curate.run import CurateRoom
from flywheel.policy.loading import load_policies
from flywheel.sources.assignments import assign
from flywheel.sources.bootstraps import BootstrapReader
from flywheel.store.datasets import last_dataset
from flywheel.store.outcomes import store_outcomes
from flywheel.store.stores import open_store, sqlite_url
from flywheel.store.tables import SuitePromptRow, SuiteRow

POLICIES = Path(__file__).parents[2] / "policies"
NOUNS = ("apple", "river", "stone", "ladder", "candle", "engine", "garden", "letter", "mirror", "needle", "orange")


def story(number):
    """A question that is like no other."""
    draw = random.Random(number)
    words = " ".join(draw.choice(NOUNS) + str(draw.randrange(99)) for _ in range(30))
    return f"Once there were two numbers: {words}. Print what they come to."


@pytest.fixture
def lines():
    """The line of programs, in small, as it ships."""
    line = load_policies(POLICIES).lines["python-lora"]
    plan = line.dataset.model_copy(update={"minimum_examples": 40, "session_cap": 1.0, "foreign_repo_cap": 1.0})
    trigger = line.trigger.model_copy(update={"fresh_examples": 40})
    return {line.name: line.model_copy(update={"dataset": plan, "trigger": trigger})}


def outcomes_of(shelf_path, lines):
    """What the house takes from the shelf."""
    reader = BootstrapReader(shelf_path)
    batch = reader.read({}, ())
    reader.close()
    assert not batch.more
    return assign([outcome for task in batch.tasks for outcome in task.outcomes], lines)


def filled(home, *orders):
    """The shelf after some imports."""
    with Shelf(home / "bootstrap.db") as shelf:
        for order in orders:
            asyncio.run(imported(order, shelf))
    return home / "bootstrap.db"


def frozen(home, lines, outcomes, known=()):
    """What a dataset of these outcomes holds, by its parts; `known` are a suite's questions."""
    (line,) = lines.values()
    with open_store(sqlite_url(home / "flywheel.db")) as store:
        with store.write() as session:
            store_outcomes(session, outcomes)
            if known:
                session.add(SuiteRow(hash="s", line=line.name, dataset="d", problems=1, groups=1, live=True, seq=1))
                session.flush()
            for key in known:
                session.add(SuitePromptRow(suite="s", prompt_key=key, line=line.name))
        room = CurateRoom(store, ManualClock(), lambda: lines, home / "datasets")
        asyncio.run(settle(room))
        with store.read() as session:
            dataset = last_dataset(session, line.name)
    folder = home / "datasets" / dataset.hash
    parts = {path.stem: [json.loads(row) for row in path.read_text().splitlines()] for path in folder.glob("*.jsonl")}
    return dataset, parts


async def settle(room):
    while (plan := await room.propose()).proposals:
        for proposal in plan.proposals:
            await room.perform(proposal.intent, proposal.cause)


def question(row):
    return " ".join(row["messages"][1]["content"].split())


def test_what_passed_every_test_teaches_and_what_failed_does_not(home, tmp_path, lines):
    """A right solution is positive and sure enough for the line; a wrong one is negative; both go to one line."""
    file = write_lines(tmp_path / "a.jsonl", [code_contests(cf_tags=["dp"]), code_contests(2, cf_tags=["geometry"])])
    shipped = load_policies(POLICIES).lines
    fleet = {name: shipped[name] for name in ("python-lora", "math-lora", "build-python")}
    found = outcomes_of(filled(home, order_of("codecontests", file)), fleet)
    assert [(one.line, one.labelled.label, one.labelled.confidence) for one in found] == [
        ("python-lora", Label.POSITIVE, 0.95), ("python-lora", Label.NEGATIVE, 0.95),
        ("math-lora", Label.POSITIVE, 0.95), ("math-lora", Label.NEGATIVE, 0.95),
    ]  # fmt: skip
    assert {one.extra["licence"] for one in found} == {"CC-BY-4.0"}
    assert found[0].extra["tests"]["tests"]


def test_ninety_to_ten_and_nothing_leaks(home, tmp_path, lines):
    """The same problems of three datasets, said the same or nearly so, stand on one side each; a tenth examines."""
    rows = {"apps": [], "taco": [], "codecontests": []}
    for number in range(120):
        rows["apps"].append(apps_row(number, question=story(number)))
        if number % 3 == 0:
            rows["taco"].append(taco_row(number, question=f"{story(number)}\n\n-----Note-----"))
        if number % 4 == 0:
            rows["codecontests"].append(code_contests(number, description=story(number), cf_tags=["dp"]))
    orders = [order_of(name, write_lines(tmp_path / f"{name}.jsonl", some)) for name, some in rows.items()]
    dataset, parts = frozen(home, lines, outcomes_of(filled(home, *orders), lines))
    sides = defaultdict(set)
    for part, held in parts.items():
        for row in held:
            sides[question(row).partition(". Print")[0]].add("test" if part == "test" else "learned")
    assert all(len(side) == 1 for side in sides.values())
    assert len(sides) >= 100
    assert 6 <= sum(side == {"test"} for side in sides.values()) <= 14
    assert dataset.splits["test"].rows == len(parts["test"])


def test_what_a_suite_examines_on_is_not_learned(home, tmp_path, lines):
    """A problem that was imported to examine with is left out of the dataset, by its question."""
    file = write_lines(tmp_path / "a.jsonl", [apps_row(number, question=story(number)) for number in range(60)])
    found = outcomes_of(filled(home, order_of("apps", file)), lines)
    examined = [one for one in found if story(7) in one.messages[-1].content]
    _, parts = frozen(home, lines, found, [prompt_key(tuple(examined[0].messages))])
    learned = {question(row) for part in ("train", "valid") for row in parts[part]}
    assert len(learned) > 40
    assert " ".join(story(7).split()) not in learned
    assert Message(role="user", content=story(7)) in examined[0].messages
