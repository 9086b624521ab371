"""The job that looks, on the tiny base: facts about rows of every technique, in JSON and without a weight read."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fixtures.tiny import conversation, conversations, events, run, tasks, train_python, write_rows

from flywheel.train.preflight_facts import PreflightFacts

pytestmark = pytest.mark.train

ASK = [{"role": "user", "content": "Read cli/format.md"}]


def orders(folder: Path, base: Path, files: list[Path], **more: Any) -> Path:
    """Write what the job is told."""
    path = folder / "orders.json"
    told = {"base": str(base), "files": list(map(str, files)), "max_length": 64, "out": str(folder / "out"), **more}
    path.write_text(json.dumps(told))
    return path


def test_rows_of_every_technique_are_seen_as_the_trainer_sees_them(tiny_base: Path, tmp_path: Path) -> None:
    """Long, unwritable, silent and mute rows are counted and named; no weights are needed; samples are kept."""
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base, ignore=shutil.ignore_patterns("*.safetensors"))
    rows = [
        *conversations(tasks(5, seed=2)), conversation([{"role": "user", "content": "x " * 90}], "done"),
        {"messages": ASK}, {**conversation(ASK, "quoted"), "masks": [[0, 6]]}, conversation(ASK, "[PLAN]\nRead it."),
    ]  # fmt: skip
    pairs = [{"id": "1", "prompt": ASK, "chosen": "yes", "rejected": "no, and at some length"},
             {"id": "2", "prompt": ASK, "chosen": "same", "rejected": "same"}]  # fmt: skip
    judged = [{"id": "1", "prompt": ASK, "completion": "yes", "label": True}]
    named = {"train": rows, "pairs": pairs, "judged": judged}
    files = [write_rows(tmp_path / f"{name}.jsonl", held) for name, held in named.items()]
    done = run("preflight.py", orders(tmp_path, base, files), python=train_python())
    assert done.returncode == 0, done.stderr
    assert [event["event"] for event in events(done.stdout)] == ["started", "finished"]
    facts = PreflightFacts.model_validate_json((tmp_path / "out" / "facts.json").read_bytes())
    train, two, one = facts.files
    assert (train.rows, train.long.count, train.unwritable.count, train.silent.count) == (9, 1, 1, 1)
    assert train.long.rows[0][0] == 6
    assert train.long.rows[0][1] == train.lengths.max > 90
    assert train.unwritable.rows == ((7, "does not end with an assistant message"),)
    assert train.silent.rows[0][0] == 8
    assert train.sections == ("PLAN",)
    assert two.unwritable.rows == ((2, "its chosen answer is its rejected one"),)
    assert two.lengths.max > one.lengths.max > 0, "the longer answer of a pair counts"
    assert one.judged == (True,)
    assert facts.tokenizer.eos == facts.tokenizer.ending == "<|im_end|>"
    assert facts.base.weight_bytes == 0
    assert [sample.name for sample in facts.samples] == ["a question", "a second turn with a tool", "row 1"]
    assert all(sample.tokens for sample in facts.samples)


def test_what_cannot_be_looked_at_is_one_line(tiny_base: Path, tmp_path: Path) -> None:
    """A missing file is told, and no facts are left."""
    path = orders(tmp_path, tiny_base, [tmp_path / "train.jsonl"])
    done = run("preflight.py", path, python=train_python())
    assert done.returncode == 2
    assert events(done.stdout)[-1]["error"] == f"there is no {tmp_path / 'train.jsonl'}"
    assert not (tmp_path / "out").exists()
