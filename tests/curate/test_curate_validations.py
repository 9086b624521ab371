"""Folders that somebody else made: every problem with its file and row, in bounded memory, whatever the bytes."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.curate import validations
from flywheel.curate.row_rules import RULES, inspect_row
from flywheel.curate.validations import Inspection, Shares, Validation

ASK, ANSWER = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
CALL = {"role": "assistant", "content": '<tool_call>\n{"name": "read", "arguments": {}}\n</tool_call>'}
NATIVE = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
TOOL = {"type": "function", "function": {"name": "read", "parameters": {"type": "object", "properties": {}}}}
SECRET = "gh" + "p_" + "aB3dE6gH9" * 4
KNOWN = {"few-tools"}


def talk(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"messages": list(messages), **more}


def rules_of(value: Any) -> set[str]:
    return {rule for rule, _ in inspect_row(value).problems}


def write(folder: Path, **parts: list[Any] | bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for name, held in parts.items():
        data = held if isinstance(held, bytes) else b"".join(json.dumps(row).encode() + b"\n" for row in held)
        (folder / f"{name}.jsonl").write_bytes(data)
    return folder


def look(path: Path, **shares: float) -> tuple[list[tuple[str, int, str]], Validation]:
    inspection = Inspection(path, lambda _read, _of: None, Shares(**shares))
    found = [(one.file, one.row, one.rule) for one in inspection.problems() if one.rule not in KNOWN]
    return found, inspection.result()


def rows(count: int, start: int = 0) -> list[Any]:
    return [talk({"role": "user", "content": f"q {n}"}, ANSWER) for n in range(start, start + count)]


@pytest.mark.parametrize(
    ("value", "rules"),
    [
        (talk(ASK, ANSWER), set()),
        (talk({"role": "system", "content": "s"}, ASK, CALL, {"role": "tool", "content": "r"}, ANSWER), set()),
        (talk(ASK, {**NATIVE, "content": None}), set()),
        (talk(ASK, CALL, tools=[TOOL], weight=2.5, masks=[[0, 3]], example="x", replay=False), set()),
        (3, {"wrong-type"}), ([], {"wrong-type"}), ({}, {"wrong-type"}), (talk(), {"few-messages"}),
        ({"prompt": "p", "completion": "c"}, {"wrong-type"}),
        ({"messages": "x"}, {"wrong-type"}), (talk("x", ANSWER), {"wrong-type"}),
        (talk({"role": 3, "content": "q"}, ANSWER), {"wrong-type"}),
        (talk({"role": "user", "content": ["q"]}, ANSWER), {"wrong-type"}),
        (talk(ASK, {"role": "assistant", "content": "a", "tool_calls": {}}), {"wrong-type"}),
        (talk(ANSWER), {"few-messages"}), (talk(ASK, ASK), {"last-message"}),
        (talk({"role": "human", "content": "q"}, ANSWER), {"unknown-role"}),
        (talk(ASK, {"role": "assistant", "content": " \n"}), {"empty"}), (talk(ASK, {"role": "assistant"}), {"empty"}),
        (talk(ASK, {"role": "system", "content": "s"}, ANSWER), {"system-place"}),
        (talk(ASK, {"role": "assistant", "content": "\ud800"}), {"not-utf8"}),
        (talk(ASK, {"role": "assistant", "content": "<tool_call>{bad}</tool_call>"}), {"tool-call"}),
        (talk(ASK, {"role": "assistant", "content": CALL["content"] + "<tool_call>{}"}), {"tool-call"}),
        (talk(ASK, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}),
         {"tool-call"}),
        (talk({"role": "user", "content": "What is <tool_call>?"}, ANSWER), set()),
        (talk(ASK, CALL, tools=[{"function": {"name": "write"}}]), {"not-offered"}),
        (talk(ASK, ANSWER, tools={}), {"tools"}), (talk(ASK, ANSWER, tools=["read"]), {"tools"}),
        (talk(ASK, ANSWER, tools=[TOOL, TOOL]), {"tools"}),
        (talk(ASK, CALL, tools=[{"name": []}]), {"tools", "not-offered"}),
        (talk(ASK, ANSWER, tools=[{"function": {"name": ""}}]), {"tools"}),
        (talk(ASK, ANSWER, tools=[{"name": "f", "parameters": {"type": "array"}}]), {"tools"}),
        (talk(ASK, ANSWER, tools=[{"name": "f", "parameters": {"properties": {"a": {"type": "text"}}}}]), {"tools"}),
        (talk(ASK, ANSWER, tools=[{"name": "f", "parameters": {"required": ["a"]}}]), {"tools"}),
        (talk(ASK, ANSWER, weight=0), {"extras"}), (talk(ASK, ANSWER, weight="1"), {"extras"}),
        (talk(ASK, ANSWER, masks=[[0, 2]]), {"extras"}), (talk(ASK, ANSWER, masks=[[0.0, 1]]), {"extras"}),
        (talk(ASK, {"role": "assistant", "content": f"key {SECRET}"}), {"secret"}),
        (talk(ASK, ANSWER, note={"deep": [{SECRET: 1}]}), {"secret"}),
    ],
)  # fmt: skip
def test_a_row_is_told_which_rules_it_breaks(value, rules):
    """Each shape of a row breaks exactly these rules."""
    assert rules_of(value) == rules


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda held: st.lists(held, max_size=4) | st.dictionaries(
        st.sampled_from(["messages", "role", "content", "tools", "tool_calls", "function", "name", "parameters",
                         "properties", "required", "type", "masks", "weight", "arguments", "x"]), held, max_size=5),
    max_leaves=25,
)  # fmt: skip


@given(JSON)
def test_any_value_is_judged_and_none_crashes(value):
    """Whatever JSON holds, the rules that are told are rules there are."""
    assert rules_of(value) <= set(RULES)
    assert rules_of({"messages": [value, ANSWER], "tools": value}) <= set(RULES)


def test_a_sound_folder_passes(tmp_path):
    """Its parts are counted; a share of tool rows under a tenth only warns."""
    folder = write(
        tmp_path / "d", train=rows(9), valid=rows(2, 20), test=[talk({"role": "user", "content": "t"}, CALL)]
    )
    found, result = look(folder)
    assert found == []
    assert (result.fails, result.warnings, result.rules) == (False, 1, {"few-tools": 1})
    assert {name: part.rows for name, part in result.parts.items()} == {"train": 9, "valid": 2, "test": 1}
    assert result.parts["train"].characters == 9 * 4
    assert result.tool_share == round(1 / 12, 4)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", [(0, "no-rows")]),
        (b"\n\n", [(1, "blank"), (2, "blank"), (0, "no-rows")]),
        (b"{not json}\n", [(1, "not-json")]),
        (b'{"messages": NaN}\n', [(1, "not-json")]),
        (b"[" * 200_000 + b"\n", [(1, "not-json")]),
        (b'{"messages": ' + b"9" * 5000 + b"}\n", [(1, "not-json")]),
        (b"\xff\xfe{\n", [(1, "not-utf8")]),
        (b"\xef\xbb\xbf{}\n", [(1, "bom")]),
        (json.dumps(rows(1)[0]).encode() + b"\r\n", [(0, "crlf")]),
        (json.dumps(rows(1)[0]).encode(), [(1, "no-last-break")]),
        (b'{"messages": [\n'[:-1], [(1, "no-last-break"), (1, "torn")]),
    ],
)  # fmt: skip
def test_bytes_that_are_no_rows_are_named_with_their_row(tmp_path, data, found):
    """Empty, blank, torn, marked, in another encoding, nested or numbered beyond measure."""
    told, result = look(write(tmp_path / "d", train=data))
    assert told == [("train.jsonl", row, rule) for row, rule in found]
    assert result.fails == any(RULES[rule][0] == "error" for _, rule in found)


@given(
    st.lists(
        st.binary(max_size=30) | st.sampled_from([b'{"messages":[', b"\xef\xbb\xbf", b"\r", b"{}", b"\x00"]), max_size=6
    )
)
def test_any_bytes_are_judged(tmp_path_factory, pieces):
    """No file crashes it."""
    found, result = look(write(tmp_path_factory.mktemp("d"), train=b"\n".join(pieces)))
    assert result.parts["train"].bytes == len(b"\n".join(pieces))
    assert found  # none of these is a dataset


def test_a_line_that_no_row_can_be_is_skipped_and_named(tmp_path, monkeypatch):
    """It is never held whole, and the rows behind it are read."""
    monkeypatch.setattr(validations, "LONGEST_ROW", 100)
    monkeypatch.setattr(validations, "_CHUNK", 7)
    line = json.dumps(rows(1)[0]).encode()
    data = b"x" * 1000 + b"\n" + line + b"\n" + line[:-1] + b" " * (100 - len(line)) + b"}\n" + b"y" * 101
    found, result = look(write(tmp_path / "d", train=data))
    assert [one[1:] for one in found] == [(1, "too-large"), (4, "no-last-break"), (4, "too-large"), (3, "duplicate")]
    assert result.parts["train"].bytes == len(data)


def test_what_stands_in_two_parts_is_named_with_both_places(tmp_path):
    """Rows and questions, white space folded; what rehearses may stand in its part again."""
    other = {"role": "assistant", "content": "b"}
    folded = talk({"role": "user", "content": "q   2"}, other)
    train = [*rows(4), rows(1)[0], {**rows(1)[0], "replay": True}]
    folder = write(tmp_path / "d", train=train, valid=[*rows(1, 9), rows(1, 3)[0]], test=[folded, *rows(1, 9)])
    inspection = Inspection(folder, lambda _read, _of: None)
    found = [(one.file, one.row, one.rule, one.reason) for one in inspection.problems() if one.rule not in KNOWN]
    assert found == [
        ("train.jsonl", 5, "duplicate", "the row is that of train.jsonl:1"),
        ("valid.jsonl", 2, "leak", "the row is that of train.jsonl:4"),
        ("test.jsonl", 2, "leak", "the row is that of valid.jsonl:1"),
        ("test.jsonl", 1, "question-leak", "the question is that of train.jsonl:3"),
    ]


@pytest.mark.parametrize(("calling", "rules"), [(0, {"few-tools": 1}), (1, {}), (8, {}), (9, {"many-tools": 1})])
def test_the_share_of_tool_rows_is_judged(tmp_path, calling, rules):
    """Under a tenth warns, above eight tenths fails; both bounds can be moved."""
    called = [talk({"role": "user", "content": f"c {n}"}, CALL) for n in range(calling)]
    folder = write(tmp_path / "d", train=[*called, *rows(10 - calling)])
    assert look(folder)[1].rules == rules
    assert look(folder)[1].fails == ("many-tools" in rules)
    assert look(folder, least=0.0, most=1.0)[1].rules == {}


def test_a_folder_without_train_and_a_single_file(tmp_path):
    """A folder needs its train part; a file may stand alone."""
    folder = write(tmp_path / "d", valid=rows(2))
    assert look(folder)[0] == [("train.jsonl", 0, "missing")]
    assert look(folder / "valid.jsonl")[0] == []


def test_memory_does_not_grow_with_the_file(tmp_path):
    """Ten times the rows cost 24 bytes each, not their size."""
    peaks = []
    for count in (300, 3000):
        big = [talk({"role": "user", "content": f"{n} " + "x" * 3000}, ANSWER) for n in range(count)]
        folder = write(tmp_path / str(count), train=big)
        del big
        tracemalloc.start()
        look(folder)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 600_000
