"""Exports: every shape as its trainer reads it, no secret, whole or absent, never over anything."""

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flywheel.core.errors import CorruptError, MisuseError, PermanentError
from flywheel.core.examples import DatasetManifest, Split
from flywheel.core.ids import bytes_hash
from flywheel.core.lineages import Lineage
from flywheel.core.outcomes import Message
from flywheel.core.pairs import Preference
from flywheel.curate.exports import Order, export_pairs, export_rows
from flywheel.curate.shapes import SHAPES
from flywheel.curate.validations import Inspection

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECRET = "gh" + "p_" + "aB3dE6gH9" * 4


def tool(name: str, **properties: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": properties}}}


TOOL, OTHER = tool("read", a={}), tool("add", b={"type": "number"})


def talk(*contents: str, roles: str = "user assistant", **more: Any) -> dict[str, Any]:
    said = [{"role": role, "content": content} for role, content in zip(roles.split(), contents, strict=True)]
    return {"messages": said, **more}


class Frozen:
    """A frozen dataset on disk, and a store's word about its examples."""

    def __init__(self, folder: Path, **parts: list[dict[str, Any]]) -> None:
        self.folder = folder / "datasets" / "abc"
        self.folder.mkdir(parents=True)
        self.known: dict[str, Lineage] = {}
        splits = {}
        for name, rows in parts.items():
            lines = [json.dumps({"replay": False, "example": f"{name}{n}", **row}) for n, row in enumerate(rows)]
            data = "".join(f"{line}\n" for line in lines).encode()
            (self.folder / f"{name}.jsonl").write_bytes(data)
            splits[name] = Split(rows=len(rows), sha256=bytes_hash([data]))
        self.manifest = DatasetManifest(hash="abc", line="code", number=2, parent=None, splits=splits, examples=3,
                                        fresh=3, replayed=0, created_at=NOON)  # fmt: skip

    def lineages(self, examples: Any) -> dict[str, Lineage]:
        """Return what a store would say of these examples."""
        plain = {"line": "code", "source": "agent", "group": "repo|x", "origin": "logged", "label": "positive"}
        return {name: self.known.get(name, Lineage(example=name, **plain)) for name in examples}

    def export(self, target: Path, shape: str, **more: Any) -> Any:
        """Write it."""
        return export_rows(self.manifest, self.folder, Order(shape, target, **more), self.lineages)


ROWS = [
    talk("s", "q", "a", roles="system user assistant"),
    talk("q1", "a1", "q2", "a2", roles="user assistant user assistant"),
    talk("q", "<tool_call>", "r", "a", roles="user assistant tool assistant"),
    talk("with tools", "a", tools=[TOOL], weight=2.0, masks=[[0, 1]]),
    talk("other tools", "a", tools=[OTHER]),
    talk("again é", "a", example="train0", replay=True),
]


@pytest.fixture
def frozen(tmp_path: Path) -> Frozen:
    return Frozen(tmp_path, train=ROWS, valid=[talk("v", "a")])


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# ── shapes ──────────────────────────────────────────────────────────────────


def test_messages_keep_conversations_and_tools(frozen, tmp_path):
    """Nothing of ours is left but messages and tools; the parts keep their names and order."""
    done = frozen.export(tmp_path / "out", "messages")
    assert done.rows == {"train.jsonl": 6, "valid.jsonl": 1}
    rows = read(tmp_path / "out" / "train.jsonl")
    assert [row["messages"] for row in rows] == [row["messages"] for row in ROWS]
    assert [set(row) for row in rows] == [{"messages"}] * 3 + [{"messages", "tools"}] * 2 + [{"messages"}]
    found = list(Inspection(tmp_path / "out", lambda _read, _of: None).problems())
    assert {one.rule for one in found if one.level == "error"} == {"tool-call"}, "as the rows of this test are made"


def test_prompt_and_completion_are_messages_or_plain_text(frozen, tmp_path):
    """Plain text holds single questions only: what needs a chat template is left out by that name."""
    frozen.export(tmp_path / "talk", "prompt-completion")
    row = read(tmp_path / "talk" / "train.jsonl")[1]
    assert [one["content"] for one in row["prompt"]] == ["q1", "a1", "q2"]
    assert row["completion"] == [{"role": "assistant", "content": "a2"}]
    done = frozen.export(tmp_path / "plain", "prompt-completion", plain=True)
    assert read(tmp_path / "plain" / "train.jsonl")[0] == {"prompt": "s\n\nq", "completion": "a"}
    assert done.left_out == {
        "a conversation of several turns has no plain text without a chat template": 2,
        "tools cannot be offered in plain text": 2,
    }


def test_alpaca_takes_turns_of_user_and_assistant(frozen, tmp_path):
    """The system message and earlier turns have their fields; tools have none, and such rows are left out."""
    done = frozen.export(tmp_path / "out", "alpaca", rehearsal=False)
    assert read(tmp_path / "out" / "train.jsonl") == [
        {"instruction": "q", "input": "", "output": "a", "system": "s"},
        {"instruction": "q2", "input": "", "output": "a2", "history": [["q1", "a1"]]},
    ]
    assert done.left_out == {
        "alpaca has no place for tools": 2,
        "alpaca takes turns of user and assistant only": 1,
        "rehearses": 1,
    }


def pair(number: int, **more: Any) -> Preference:
    asked = (Message(role="user", content=f"q{number}"),)
    made = {"id": f"p{number}", "line": "code", "kind": "retry", "prompt": asked, "chosen": "good", "rejected": "bad",
            "at": NOON, "group": "repo"}  # fmt: skip
    return Preference(**(made | more))


def test_preferences_have_a_prompt_and_two_answers(frozen, tmp_path):
    """The pairs of the line, with the tools that were offered; a secret in a rejected answer is found, too."""
    done = export_pairs(frozen.manifest, Order("preference", tmp_path / "out"), iter([pair(1), pair(2, tools=(TOOL,))]))
    assert done.rows == {"train.jsonl": 2}
    first, second = read(tmp_path / "out" / "train.jsonl")
    assert first == {
        "prompt": [{"role": "user", "content": "q1"}],
        "chosen": [{"role": "assistant", "content": "good"}],
        "rejected": [{"role": "assistant", "content": "bad"}],
    }
    assert second["tools"] == [TOOL]
    assert read(tmp_path / "out" / "provenance.jsonl")[0]["category"] == "retry"
    with pytest.raises(PermanentError, match="row 1 of pairs holds a secret"):
        export_pairs(frozen.manifest, Order("preference", tmp_path / "no"), iter([pair(1, rejected=SECRET)]))
    with pytest.raises(PermanentError, match="nothing of dataset abc can be written as preference: there is none"):
        export_pairs(frozen.manifest, Order("preference", tmp_path / "no"), iter([]))
    assert not (tmp_path / "no").exists()


LOAD = """
import json, sys
from datasets import load_dataset
held = load_dataset(sys.argv[1])
print(json.dumps({name: [dict(row) for row in split] for name, split in held.items()}))
"""


@pytest.mark.train
def test_the_hf_folder_is_read_by_datasets(frozen, tmp_path):
    """`load_dataset` on the folder gives every row of every split, though their tools have different schemas."""
    frozen.export(tmp_path / "out", "hf")
    python = os.environ.get("FLYWHEEL_TRAIN_PYTHON") or pytest.skip("there is no train environment")
    env = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(
        [python, "-c", LOAD, str(tmp_path / "out")], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    held = json.loads(done.stdout.splitlines()[-1])
    assert {name: len(rows) for name, rows in held.items()} == {"train": 6, "validation": 1}
    assert [row["messages"] for row in held["train"]] == [row["messages"] for row in ROWS]
    assert [json.loads(row["tools"]) if row["tools"] else None for row in held["train"]] == [
        None, None, None, [TOOL], [OTHER], None,
    ]  # fmt: skip


# ── beside the rows ─────────────────────────────────────────────────────────


def test_provenance_and_licences_lie_beside(frozen, tmp_path):
    """Each row says where it comes from; licences are counted, and unknown ones are said to be unknown."""
    frozen.known["train1"] = Lineage(
        example="train1", line="code", source="git", group="lib", licence="MIT", withdrawn=True
    )
    done = frozen.export(tmp_path / "out", "messages")
    beside = read(tmp_path / "out" / "provenance.jsonl")
    assert [(one["file"], one["row"], one["example"], one["source"]) for one in beside][:2] == [
        ("train.jsonl", 1, "train0", "agent"), ("train.jsonl", 2, "train1", "git"),
    ]  # fmt: skip
    whole = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert whole["rows_by"] == {
        "group": {"lib": 1, "repo|x": 6}, "licence": {"MIT": 1, "unknown": 6},
        "origin": {"logged": 6, "unknown": 1}, "source": {"agent": 6, "git": 1},
    }  # fmt: skip
    assert whole["files"]["train.jsonl"]["rows"] == 6
    assert whole["superseded"] == done.superseded == 1
    page = (tmp_path / "out" / "LICENCE.md").read_text()
    assert "| MIT | 1 |" in page
    assert "| unknown | 6 |" in page
    assert r"- repo\|x: 6" in page


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_dataset_gives_the_same_bytes(frozen, tmp_path, shape):
    """Two exports are equal file by file, and every file can be read by others."""
    for name in ("a", "b"):
        frozen.export(tmp_path / name, shape)
    files = [path for path in sorted((tmp_path / "a").rglob("*")) if path.is_file()]
    assert len(files) >= 5
    for path in files:
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
        assert path.stat().st_mode & 0o777 == 0o644


def test_what_was_forgotten_is_not_exported(frozen, tmp_path):
    """A row whose example the store let go of is left out by that name."""
    frozen.known["train0"] = Lineage(example="train0", line="code", forgotten=True, withdrawn=True)
    assert frozen.export(tmp_path / "out", "messages").left_out == {"forgotten": 2}


# ── refusals ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "row",
    [talk("q", f"key {SECRET}"), talk(SECRET, "a"), talk("q", "a", tools=[{"name": "f", "description": SECRET}]),
     talk("q", "a", tools=[{"name": "f", "parameters": {"properties": {SECRET: {}}}}])],
)  # fmt: skip
@pytest.mark.parametrize("shape", ["messages", "prompt-completion", "hf"])
def test_a_secret_stops_an_export_and_leaves_nothing(tmp_path, row, shape):
    """The row and the rule are named, the secret is not; no folder, whole or half, is left."""
    held = Frozen(tmp_path, train=[talk("q", "a"), row])
    with pytest.raises(PermanentError, match=r"row 2 of train.jsonl holds a secret \(github-token\)") as told:
        held.export(tmp_path / "place" / "out", shape)
    assert SECRET not in str(told.value)
    assert list((tmp_path / "place").iterdir()) == []


def test_nothing_is_ever_overwritten(frozen, tmp_path):
    """A folder, a file or a dangling link in the way is refused and left as it is."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "file", "link"):
        with pytest.raises(MisuseError, match="never overwrites"):
            frozen.export(tmp_path / name, "messages")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_dataset_that_is_not_what_was_frozen_is_refused(frozen, tmp_path):
    """Changed bytes are corrupt; bytes that are gone are said to be gone."""
    (frozen.folder / "valid.jsonl").write_text("{}\n")
    with pytest.raises(CorruptError, match=r"valid.jsonl of dataset abc is not what was frozen"):
        frozen.export(tmp_path / "out", "messages")
    (frozen.folder / "valid.jsonl").unlink()
    with pytest.raises(PermanentError, match=r"valid.jsonl of dataset abc is not there"):
        frozen.export(tmp_path / "out", "messages")
    assert not (tmp_path / "out").exists()


def test_a_dataset_that_does_not_fit_a_shape_at_all_is_refused(tmp_path):
    """The reasons are counted, and nothing is written."""
    held = Frozen(tmp_path, train=[talk("q", "a", tools=[TOOL])])
    with pytest.raises(PermanentError, match="nothing of dataset abc can be written as alpaca: 1 alpaca has no place"):
        held.export(tmp_path / "out", "alpaca")
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_one_line(frozen, tmp_path):
    """A file where a folder is needed is said."""
    (tmp_path / "file").write_text("")
    with pytest.raises(PermanentError, match="cannot be written"):
        frozen.export(tmp_path / "file" / "out", "messages")
