"""Files of pairs and judgements: looked through rule by rule, and taken out in the shapes that TRL reads."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.errors import PermanentError
from flywheel.core.examples import DatasetManifest, Split
from flywheel.core.ids import bytes_hash
from flywheel.core.lineages import Lineage
from flywheel.core.reasonings import shows_reasoning
from flywheel.curate.exports import Order, export_rows
from flywheel.curate.validations import Inspection


def job(name):
    """Load a module of the train environment by its path, as that environment does."""
    path = Path(__file__).parents[2] / "flywheel" / "jobs" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SECTIONS = job("answer_sections")
SECRET = "gh" + "p_" + "aB3dE6gH9" * 4
CALL = '<tool_call>\n{"name": "read", "arguments": {}}\n</tool_call>'
TOOL = {"type": "function", "function": {"name": "read", "parameters": {"type": "object", "properties": {}}}}


def asked(*words):
    return [{"role": "user" if n % 2 == 0 else "assistant", "content": word} for n, word in enumerate(words)]


def pair(question="q", chosen="good", rejected="bad", **more):
    return {"id": f"p-{question}", "prompt": asked(question), "chosen": chosen, "rejected": rejected, **more}


def judged(question="q", completion="a", label=True, **more):  # noqa: FBT002 - a row's value
    return {"id": f"j-{question}", "prompt": asked(question), "completion": completion, "label": label, **more}


def write(folder, **parts):
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in parts.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def problems(folder, level="error"):
    inspection = Inspection(folder, lambda _read, _of: None)
    found = [(one.file, one.row, one.rule) for one in inspection.problems() if one.level == level]
    return found, inspection.result()


TALK = [{"messages": [*asked("talk"), {"role": "assistant", "content": "said"}]}]


def test_a_sound_folder_passes(tmp_path):
    """A folder of pairs, or of judgements, needs no train.jsonl; a question may stand in all that teaches."""
    both = [judged("q1"), judged("q2", label=False)]
    alone = write(tmp_path / "pairs", pairs=[pair("q1"), pair("q2")], pairs_valid=[pair("q3")])
    assert problems(alone)[0] == []
    assert problems(write(tmp_path / "judged", judged=both, judged_valid=[judged("q3")]))[0] == []
    same = write(tmp_path / "same", train=TALK, pairs=[pair("talk"), pair("talk", replay=True)])
    found, result = problems(same)
    assert found == []
    assert (result.parts["pairs"].rows, result.parts["pairs"].characters) == (2, 22)


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (pair(chosen="same  words", rejected="same words"), "same-answer"),
        (pair(rejected=" "), "empty"),
        (pair(chosen=["good"]), "wrong-type"),
        (pair(prompt="text"), "wrong-type"),
        ({"id": "p", "prompt": asked("q"), "chosen": "good"}, "wrong-type"),
        (pair(prompt=[{"role": "robot", "content": "q"}]), "unknown-role"),
        (pair(prompt=[]), "few-messages"),
        (pair(rejected=SECRET), "secret"),
        (pair(chosen="<tool_call>{"), "tool-call"),
        (pair(chosen=CALL.replace("read", "write"), tools=[TOOL]), "not-offered"),
        (pair(tools={}), "tools"),
        (TALK[0], "wrong-type"),
    ],
)
def test_a_broken_pair_is_found(tmp_path, row, rule):
    """Each by one rule, with its file and row."""
    assert problems(write(tmp_path, pairs=[pair("first"), row]))[0] == [("pairs.jsonl", 2, rule)]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (judged(label="yes"), "label"),
        (judged(label=1), "label"),
        (judged(completion=""), "empty"),
        (judged(completion=None), "wrong-type"),
        (judged(completion=SECRET, label=False), "secret"),
        (judged(completion="<tool_call>{"), "tool-call"),
        (pair(), "wrong-type"),
    ],
)
def test_a_broken_judgement_is_found(tmp_path, row, rule):
    """Each by one rule, with its file and row."""
    rows = [judged("first", label=False), judged("second"), row]
    assert problems(write(tmp_path, judged=rows))[0] == [("judged.jsonl", 3, rule)]


def test_a_bad_answer_may_be_bad_in_any_way(tmp_path):
    """Tool calls that cannot be read, or were not offered, are what a rejected answer is rejected for."""
    broken = {"tools": [TOOL]}
    rows = [pair(rejected="<tool_call>{", **broken), pair("r", rejected=CALL.replace("read", "write"), **broken)]
    single = [judged("s"), judged("t", completion="<tool_call>{", label=False)]
    assert problems(write(tmp_path, pairs=rows, judged=single))[0] == []


def test_answers_may_be_messages(tmp_path):
    """What was exported for TRL, whose answers are lists of one message, is looked through as well."""
    said = {name: [{"role": "assistant", "content": name}] for name in ("chosen", "rejected")}
    assert problems(write(tmp_path, train=[{"prompt": asked("q"), **said}]))[0] == []


def test_what_says_the_opposite_or_leaks_is_found(tmp_path):
    """Across files too: contradictions, questions on two sides, labels of one kind alone."""
    folder = write(
        tmp_path,
        train=TALK,
        pairs=[pair("q1"), pair("q1", "bad", "good"), pair("q2")],
        pairs_valid=[pair("q2", "other", "worse"), pair("talk")],
        judged=[judged("k", label=False), judged("l", label=False)],
        judged_valid=[judged("k"), judged("m", label=False)],
    )
    found, _ = problems(folder)
    assert sorted(found) == [
        ("judged.jsonl", 0, "one-label"),
        ("judged_valid.jsonl", 1, "contradiction"),
        ("judged_valid.jsonl", 1, "question-leak"),
        ("pairs.jsonl", 2, "contradiction"),
        ("pairs_valid.jsonl", 1, "question-leak"),
        ("pairs_valid.jsonl", 2, "question-leak"),
    ]
    lopsided = write(tmp_path / "more", judged=[judged(f"q{n}", label=n > 0) for n in range(6)])
    assert ("judged.jsonl", 0, "lopsided") in problems(lopsided, "warning")[0]


def frozen(folder, **parts):
    write(folder, **parts)
    splits = {name: Split(rows=len(rows), sha256=bytes_hash([(folder / f"{name}.jsonl").read_bytes()]))
              for name, rows in parts.items()}  # fmt: skip
    return DatasetManifest(hash="abc", line="code", number=2, parent=None, splits=splits, examples=1, fresh=1,
                           replayed=0, created_at="2026-01-01T12:00:00Z")  # fmt: skip


def known(names):
    gone = {"forgotten": True, "withdrawn": True}
    return {name: Lineage(example=name, line="code", **(gone if name == "p-gone" else {})) for name in names}


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_frozen_pairs_and_judgements_go_out_as_trl_reads_them(tmp_path):
    """Preferences and unpaired preferences, as messages, each part by its name; what was forgotten stays behind."""
    parts = {
        "train": [{**TALK[0], "example": "e", "replay": False}],
        "pairs": [pair("q1", replay=False, tools=[TOOL]), pair("q1", replay=True), pair("gone", replay=False)],
        "pairs_valid": [pair("q2", replay=False)],
        "judged": [judged("k", replay=False), judged("l", label=False, replay=False)],
    }
    manifest = frozen(tmp_path / "set", **parts)
    done = export_rows(manifest, tmp_path / "set", Order("preference", tmp_path / "out", rehearsal=False), known)
    assert (done.rows, done.left_out) == ({"train.jsonl": 1, "valid.jsonl": 1}, {"forgotten": 1, "rehearses": 1})
    said = {name: [{"role": "assistant", "content": text}] for name, text in (("chosen", "good"), ("rejected", "bad"))}
    assert read(tmp_path / "out" / "train.jsonl") == [{"prompt": asked("q1"), **said, "tools": [TOOL]}]
    done = export_rows(manifest, tmp_path / "set", Order("unpaired-preference", tmp_path / "single"), known)
    assert done.rows == {"train.jsonl": 2}
    assert read(tmp_path / "single" / "train.jsonl")[1] == {
        "prompt": asked("l"), "completion": [{"role": "assistant", "content": "a"}], "label": False,
    }  # fmt: skip
    assert problems(tmp_path / "single")[0] == []
    done = export_rows(manifest, tmp_path / "set", Order("messages", tmp_path / "talk"), known)
    assert done.rows == {"train.jsonl": 1}


def test_a_secret_in_a_rejected_answer_stops_the_export(tmp_path):
    """Every text of every row is searched again."""
    manifest = frozen(tmp_path / "set", pairs=[pair(rejected=SECRET, replay=False)])
    with pytest.raises(PermanentError, match=r"row 1 of pairs\.jsonl holds a secret"):
        export_rows(manifest, tmp_path / "set", Order("preference", tmp_path / "out"), known)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("answer", "shows"),
    [
        ("<think>because</think>so", True),
        ("because</think>so", True),
        ("<think> \n</think>so", False),
        ("[REASONING]\nwhy\n[PLAN]\n```\ncode\n```", True),
        ("[PLAN]\n```\ncode\n```", False),
        ("[PLAN] [/PLAN] so", False),
        ("<think></think>[PLAN] first", True),
        ("<think>[PLAN]</think>", True),
        ("so", False),
    ],
)
def test_reasoning_is_told_as_the_trainer_tells_it(answer, shows):
    """An answer shows its reasoning when a thought or a marked section has words in it."""
    assert shows_reasoning(answer) is shows


PIECES = [
    "<think>",
    "</think>",
    "[PLAN]",
    "[REASONING]",
    "[/PLAN]",
    "```",
    "\n",
    "<edit file='a'>",
    "words",
    " ",
    "[CODE]",
]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_what_is_frozen_as_reasoning_is_never_turned_down_by_the_trainer(answer):
    """The trainer's own module says the same of any answer."""
    assert shows_reasoning(answer) is SECTIONS.reasons(answer)
