"""`datasets validate | export | show` and the way from an example back to its source, as a person types them."""

import asyncio
import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_house import Said

from flywheel.core.clocks import ManualClock
from flywheel.core.lines import DatasetPlan, Line, Trigger
from flywheel.core.outcomes import Label, Labelled, Message, Outcome, Signal
from flywheel.curate.row_rules import RULES
from flywheel.curate.run import CurateRoom
from flywheel.store.datasets import last_dataset
from flywheel.store.outcomes import store_outcomes
from flywheel.store.stores import Store, open_store, sqlite_url
from flywheel.store.tables import DatasetRow

ROOT = Path(__file__).parents[2]
CALL = '<tool_call>\n{"name": "read_file", "arguments": {"path": "a.py"}}\n</tool_call>'
TOOL = {"type": "function", "function": {"name": "read_file", "parameters": {"type": "object", "properties": {}}}}
LINE = Line(name="tool-calling", why="w", base="main", trigger=Trigger(fresh_examples=10),
            dataset=DatasetPlan(minimum_examples=10, session_cap=0.5))  # fmt: skip
SECRET = "gh" + "p_" + "aB3dE6gH9" * 4
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_WORDS = "alpha beta gamma delta omega sigma kappa theta lambda zeta".split()  # noqa: SIM905 - words apart enough


def outcome(number: int, label: Label = Label.POSITIVE, **values: Any) -> Outcome:
    signals = (Signal(name="tests_passed", points=1, strength=0.9, note="12 of 12"),)
    asked = " ".join(_WORDS[(number * step + step) % 10] + str(number * step) for step in range(1, 12))
    made: dict[str, Any] = {
        "key": f"k{number}", "source": "agent" if number % 2 else "other", "task": f"t{number}",
        "session": f"s{number}", "group": f"repo{number % 3}", "call_type": "act", "at": NOON + timedelta(hours=number),
        "model": "m", "messages": (Message(role="user", content=asked),), "response": f"{CALL}\n{number}",
        "labelled": Labelled(label=label, confidence=0.9, signals=signals), "line": "tool-calling", "tools": (TOOL,),
        "tags": ("language:rust",) if number < 5 else (), "weight": 2.0 if number == 3 else 1.0,
    }  # fmt: skip
    return Outcome(**(made | values))


class World:
    """A home with one frozen dataset."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.store = store
        self.home = folder / "home"
        self.config = folder / "flywheel.toml"
        self.config.write_text(f'home = "{self.home}"\n')
        with store.write() as session:
            store_outcomes(session, [*(outcome(number) for number in range(20)), outcome(99, Label.NEGATIVE)])
        asyncio.run(self._settle())
        with store.read() as session:
            found = last_dataset(session, "tool-calling")
        assert found is not None
        self.dataset = found
        self.folder = self.home / "datasets" / found.hash

    async def _settle(self) -> None:
        room = CurateRoom(self.store, ManualClock(), lambda: {LINE.name: LINE}, self.home / "datasets")
        while proposals := (await room.propose()).proposals:
            for proposal in proposals:
                await room.perform(proposal.intent, proposal.cause)

    def rows(self, part: str = "train") -> list[dict[str, Any]]:
        """Return the rows of a part."""
        return [json.loads(line) for line in (self.folder / f"{part}.jsonl").read_text().splitlines()]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_store(sqlite_url(tmp_path / "home" / "flywheel.db")) as store:
        yield World(tmp_path, store)


@pytest.fixture
def say(typed: Any, tmp_path: Path) -> Any:
    """Run a command in this process, with the settings where they are."""

    def run(*arguments: str | Path, config: bool = True) -> Said:
        return typed(*arguments, *(["--config", tmp_path / "flywheel.toml"] if config else []))

    return run


# ── rows ────────────────────────────────────────────────────────────────────


def test_rows_carry_tools_and_weights(world):
    """What the trainer needs to render the prompt as a server would stands in the row; a usual weight does not."""
    rows = [row for part in world.dataset.splits for row in world.rows(part)]
    assert len(rows) == 21, "an example of weight 2 has two rows"
    assert all(row["tools"] == [TOOL] for row in rows)
    assert [row["weight"] for row in rows if "weight" in row] == [2.0, 2.0]
    assert not any("masks" in row for row in rows)


# ── validate ────────────────────────────────────────────────────────────────


def foreign(folder: Path, *rows: Any) -> Path:
    folder.mkdir()
    (folder / "train.jsonl").write_text(
        "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    )
    return folder


def talk(question: str, answer: str = CALL) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def test_a_sound_folder_is_told_to_pass(say, tmp_path):
    """Exit code 0, the parts and the verdict; no settings are needed."""
    said = say("datasets", "validate", foreign(tmp_path / "d", talk("a"), talk("b", "x")), config=False)
    assert said.status == 0
    assert "passes: 0 errors, 0 warnings, 50.0% of the rows call tools" in said.out


def test_a_folder_that_fails_is_exit_code_1_with_every_place(say, tmp_path):
    """Every problem stands with file and row, a secret by its rule alone, and the rules are summed up."""
    folder = foreign(tmp_path / "d", talk("a"), "{", talk("a"), talk("b", SECRET), {"messages": []})
    said = say("datasets", "validate", folder, config=False)
    assert said.status == 1
    for line in (
        "train.jsonl:2: error: not-json: ",
        "train.jsonl:3: warning: duplicate: the row is that of train.jsonl:1",
        "train.jsonl:4: error: secret: it holds a secret: github-token",
        "train.jsonl:5: error: few-messages: 0 of at least 2 messages",
        "fails: 3 errors, 1 warning, 40.0% of the rows call tools",
    ):
        assert line in said.out
    assert SECRET not in said.out + said.err
    found = json.loads(say("datasets", "validate", folder, "--json", "--limit", "2", config=False).out)
    assert (found["fails"], found["errors"], len(found["problems"]), found["left_off"]) == (True, 3, 2, 2)
    assert found["rules"] == {"duplicate": 1, "few-messages": 1, "not-json": 1, "secret": 1}
    assert found["problems"][0] == {
        "file": "train.jsonl", "row": 2, "rule": "not-json", "level": "error",
        "reason": "Expecting property name enclosed in double quotes at character 2",
    }  # fmt: skip


def test_bounds_of_the_tool_share_can_be_moved(say, tmp_path):
    """A set that is made to teach tools may consist of them."""
    folder = foreign(tmp_path / "d", talk("a"), talk("b"))
    assert say("datasets", "validate", folder, config=False).status == 1
    assert say("datasets", "validate", folder, "--most-tools", "1", config=False).status == 0


def test_a_frozen_dataset_is_valid(say, world):
    """What is frozen here passes the same rules, but for the share that a line of tool calls has."""
    said = say("datasets", "validate", world.folder, "--most-tools", "1", config=False)
    assert said.status == 0, said.out


def test_nothing_there_is_one_line(say, tmp_path):
    """Exit code 2 and what to name."""
    said = say("datasets", "validate", tmp_path / "nowhere", config=False)
    assert (said.status, said.out) == (2, "")
    assert "there is no dataset at" in said.err


def test_every_rule_stands_in_the_documents():
    """docs/datasets.md lists each rule with its level and what it wants."""
    page = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert [rule for rule, (level, wanted) in RULES.items() if f"| `{rule}` | {level} | {wanted} |" not in page] == []


# ── export ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("to", "keys"),
    [("messages", {"messages", "tools"}), ("prompt-completion", {"prompt", "completion", "tools"})],
)
def test_a_dataset_is_exported_by_the_beginning_of_its_hash(say, world, tmp_path, to, keys):
    """The rows, and beside them where each comes from."""
    said = say("datasets", "export", world.dataset.hash[:8], "--to", to, tmp_path / "out")
    assert said.status == 0, said.err
    assert f"as {to} in {tmp_path / 'out'}: " in said.out
    rows = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()]
    assert len(rows) == world.dataset.splits["train"].rows
    assert all(set(row) == keys for row in rows)
    beside = [json.loads(line) for line in (tmp_path / "out" / "provenance.jsonl").read_text().splitlines()]
    assert {one["source"] for one in beside} == {"agent", "other"}
    assert {one["label"] for one in beside} == {"positive"}


def test_what_has_no_known_licence_is_not_passed_on(say, world, tmp_path):
    """One such example is enough to refuse, with the reason; a person may take it for themselves."""
    with world.store.write() as session:
        row = session.get(DatasetRow, world.dataset.hash)
        row.body = {**row.body, "private": 3}
        session.add(row)
    asked = ("datasets", "export", world.dataset.hash[:8], "--to", "messages", tmp_path / "out")
    said = say(*asked)
    assert (said.status, (tmp_path / "out").exists()) == (2, False)
    assert "3 examples of dataset" in said.err
    assert say(*asked, "--private").status == 0


def test_exports_say_no_in_one_line(say, world, tmp_path):
    """An unknown shape, a folder in the way, a shape that holds nothing of it, pairs that are not there."""
    name = world.dataset.hash[:8]
    (tmp_path / "there").mkdir()
    for arguments, status, words in (
        (("--to", "csv", tmp_path / "a"), 2, "there is no shape 'csv'"),
        (("--to", "hf", "--plain", tmp_path / "a"), 2, "--plain does not go with hf"),
        (("--to", "messages", tmp_path / "there"), 2, "never overwrites"),
        (("--to", "alpaca", tmp_path / "a"), 1, "21 alpaca has no place for tools"),
        (("--to", "preference", tmp_path / "a"), 1, "nothing of dataset"),
    ):
        said = say("datasets", "export", name, *arguments)
        assert (said.status, said.out) == (status, ""), said
        assert words in said.err
        assert said.err.count("\n") == 1
    assert not (tmp_path / "a").exists()


def test_pairs_are_exported_as_preferences(say, world, tmp_path):
    """A failed attempt and its successful retry, in the shape of a preference."""
    retry = outcome(200, Label.NEGATIVE, chain="agent:x", response=f"{CALL}\nwrong"), outcome(201, chain="agent:x")
    asked = (Message(role="user", content="one and the same question, asked twice"),)
    with world.store.write() as session:
        store_outcomes(session, [one.model_copy(update={"messages": asked, "task": "t200"}) for one in retry])
    asyncio.run(world._settle())
    done = say("datasets", "export", world.dataset.hash, "--to", "preference", tmp_path / "out", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["rows"] == {"train.jsonl": 1}
    row = json.loads((tmp_path / "out" / "train.jsonl").read_text())
    assert row["chosen"][0]["content"].endswith("201")
    assert row["rejected"][0]["content"].endswith("wrong")


# ── show ────────────────────────────────────────────────────────────────────


def test_a_dataset_is_shown_with_what_it_is_made_of(say, world, tmp_path):
    """Counts, shares, lengths in characters where there is no tokenizer, said clearly; the same twice as JSON."""
    said = say("datasets", "show", world.dataset.hash[:8], "--plot", tmp_path / "p.svg")
    assert said.status == 0, said.err
    for words in (
        f"tool-calling, dataset 1 ({world.dataset.hash}), the first of its line", "20 examples, 20 of them fresh",
        "labels: positive 20 (100%)", "sources: agent 10 (50%), other 10 (50%)", "origins: logged 20 (100%)",
        "categories: read_file 20 (100%)", "languages: none 15 (75%), rust 5 (25%)", "left out: ",
        "lengths in characters", "characters, not tokens, and not compared with max_length: neither settings nor",
    ):  # fmt: skip
        assert words in said.out, words
    assert ET.parse(tmp_path / "p.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own
    first, again = (say("datasets", "show", world.dataset.hash, "--json").out for _ in range(2))
    assert first == again
    found = json.loads(first)
    assert {name: part["rows"] for name, part in found["parts"].items()} == {
        name: split.rows for name, split in world.dataset.splits.items()
    }
    assert found["repos"]["names"] == {"repo0": 7, "repo1": 7, "repo2": 6}
    assert found["lengths"]["unit"] == "characters"


def test_a_dataset_whose_words_are_gone_is_still_shown(say, world):
    """Its counts stay; that its words are gone is said."""
    (world.folder / "train.jsonl").unlink()
    said = say("datasets", "show", world.dataset.hash)
    assert said.status == 0
    assert "its words are not there any more: train.jsonl" in said.out


@pytest.mark.train
def test_lengths_are_counted_by_the_tokenizer_of_the_base(say, world, tiny_base):
    """With the base and the train environment at hand, rows are as long as the trainer will find them."""
    python = os.environ["FLYWHEEL_TRAIN_PYTHON"]
    base = f'[bases.main]\npath = "{tiny_base}"\nserved_as = "tiny"\n'
    world.config.write_text(f'home = "{world.home}"\ntrain_python = "{python}"\n{base}')
    found = json.loads(say("datasets", "show", world.dataset.hash, "--json").out)
    lengths = found["lengths"]
    assert (lengths["unit"], lengths["rows"], lengths["limit"], lengths["over"]) == ("tokens", 21, 2048, 0)
    assert lengths["counted_by"] == f"the tokenizer of base {tiny_base.name}"
    assert 20 < lengths["shortest"] <= lengths["percentiles"]["p50"] <= lengths["longest"] < 200
    shown = say("datasets", "show", world.dataset.hash).out
    assert "over max_length 2,048: 0 rows (0.0%)" in shown


# ── outcomes and examples ───────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (("--label", "negative"), 1), (("--source", "other"), 10), (("--tag", "language:rust"), 5),
        (("--task", "t7"), 1), (("--session", "s7", "--repo", "repo1"), 1), (("--call-type", "plan"), 0),
        (("--line", "other"), 0), (("--label", "positive", "--source", "agent"), 10),
    ],
)  # fmt: skip
def test_outcomes_are_listed_by_what_a_person_looks_for(say, world, arguments, count):
    """Filters narrow the list; several together narrow it further."""
    assert len(json.loads(say("outcomes", "list", "--json", *arguments).out)) == count


@pytest.mark.parametrize(
    ("arguments", "count"),
    [(("--category", "read_file"), 20), (("--source", "other"), 10), (("--tag", "language:rust"), 5),
     (("--repo", "repo2"), 6), (("--withdrawn",), 0), (("--standing",), 20), (("--session", "s1", "--task", "t1"), 1)],
)  # fmt: skip
def test_examples_are_listed_by_what_a_person_looks_for(say, world, arguments, count):
    """Also by what their outcome knows."""
    assert len(json.loads(say("examples", "list", "--json", *arguments).out)) == count


def test_a_label_that_is_none_is_said(say, world):
    """One line with the labels there are."""
    said = say("outcomes", "list", "--label", "good")
    assert (said.status, said.out) == (2, "")
    assert "labels: positive, negative, unknown" in said.err


def test_the_way_leads_from_an_example_back_to_its_source(say, world):
    """Example, outcome, the source's task, the evidence; and onwards to the datasets that hold it."""
    row = world.rows()[0]
    found = json.loads(say("examples", "show", row["example"], "--json").out)
    assert found["lineage"]["task"] == found["lineage"]["outcome"].replace("k", "t")
    assert found["signals"] == [{"name": "tests_passed", "points": 1, "strength": 0.9, "note": "12 of 12"}]
    assert found["datasets"] == [{"hash": world.dataset.hash, "number": 1, "part": "train"}]
    back = json.loads(say("outcomes", "show", found["lineage"]["outcome"], "--json").out)
    assert back["examples"] == [{"id": row["example"], "withdrawn": False}]
    shown = say("examples", "show", row["example"]).out
    for words in ("tests_passed", "12 of 12", row["messages"][0]["content"], f"1 {world.dataset.hash[:8]} (train)"):
        assert words in shown
    told = say("outcomes", "show", found["lineage"]["outcome"]).out
    assert row["example"] in told
    assert "tests_passed" in told
