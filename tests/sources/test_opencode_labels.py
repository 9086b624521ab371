"""What the evidence of a session says about each answer: pure, and never better than the evidence."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.labels import judge
from flywheel.core.outcomes import Label, Signal
from flywheel.sources import opencode_v1, opencode_v2
from flywheel.sources.opencode_census import Census
from flywheel.sources.opencode_evidence import Record
from flywheel.sources.opencode_records import NO_ROLL, Changes, Entry, Head, Session, ToolUse
from flywheel.sources.opencode_signals import State, signals_of
from flywheel.sources.opencode_v1 import RawMessage
from flywheel.sources.opencode_v2 import RawRow

ORDER = {Label.NEGATIVE: 0, Label.UNKNOWN: 1, Label.POSITIVE: 2}


def shell(command: str, code: int | None, output: str = "") -> ToolUse:
    return ToolUse("bash", "completed", {"command": command}, output, code, ended=True)


EDIT = ToolUse("edit", "completed", {"filePath": "a.rs"})
READ = ToolUse("read", "completed", {"filePath": "a.rs"})
REFUSED = ToolUse("edit", "error", {"filePath": "a.rs"}, "no")
INVALID = ToolUse("invalid", "completed", {"tool": "x"})
RUNNING = ToolUse("bash", "running", {"command": "cargo test"})
PASSES = shell("cargo test", 0, "test result: ok. 2 passed")
FAILS = shell("cargo test", 101, "test result: FAILED")


def ask(text: str = "do it", **more: Any) -> Entry:
    return Entry(id="", kind="ask", at=0, text=text, **more)


def answer(*tools: ToolUse, text: str = "", **more: Any) -> Entry:
    return Entry(id="", kind="answer", at=0, text=text, tools=tools, finish="tool-calls" if tools else "stop")._replace(
        **more
    )


def session(*entries: Entry, reverted: int | None = None) -> Session:
    numbered = tuple(entry._replace(id=f"m{place}", at=place) for place, entry in enumerate(entries))
    return Session("ses", "", "1.18.33", "/r", "/r", 0, 0, 0, numbered, "" if reverted is None else f"m{reverted}")


def labels(*entries: Entry, reverted: int | None = None, state: State = State.ENDED) -> list[str]:
    record = Record(session(*entries, reverted=reverted))
    answers = [place for place, entry in enumerate(record.session.entries) if entry.answered]
    return [judge(signals_of(record, place, state)).label.value[:3] for place in answers]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ((ask(), answer(READ), answer(EDIT), answer(PASSES), answer(text="done")), "pos pos pos pos"),
        ((ask(), answer(EDIT), answer(text="done")), "unk unk"),
        ((ask(), answer(EDIT), answer(FAILS), answer(text="done")), "neg unk neg"),
        ((ask(), answer(FAILS), answer(EDIT), answer(PASSES)), "pos pos pos"),
        ((ask(), answer(EDIT), answer(FAILS), answer(EDIT), answer(PASSES)), "unk pos pos pos"),
        ((ask(), answer(PASSES), answer(EDIT), answer(text="done")), "pos unk unk"),
        ((ask("run the tests"), answer(FAILS), answer(text="two fail")), "unk unk"),
        ((ask(), answer(FAILS), answer(REFUSED), answer(text="sorry")), "unk neg neg"),
        ((ask(), answer(EDIT), answer(text="done"), ask("test it"), answer(FAILS)), "neg neg unk"),
        ((ask(), answer(EDIT), answer(text="done"), ask("test it"), answer(PASSES)), "pos pos pos"),
        ((ask(), answer(EDIT), ask("more"), answer(EDIT), answer(PASSES)), "unk pos pos"),
        ((ask(), answer(REFUSED), answer(EDIT), answer(PASSES)), "neg pos pos"),
        ((ask(), answer(shell("ls", 0)), answer(text="there")), "unk unk"),
        ((ask(), answer(shell("exit 3", 3))), "neg"),
        ((ask(), answer(shell("grep -r x .", 1))), "unk"),
        ((ask(), answer(shell("nosuch", 127))), "neg"),
        ((ask(), answer(shell("sleep 9", None))), "unk"),
        ((ask(), answer(shell("npm test | tail", 0, ""), EDIT)), "unk"),
        ((ask(), answer(INVALID), answer(text="ok")), "neg unk"),
        ((ask(), answer(text="cut", finish="length")), "neg"),
        ((ask(), answer(text="", finish="stop")), "neg"),
        ((ask(), answer(text="part", error="MessageAbortedError")), "unk"),
        ((ask(), answer(REFUSED, error="MessageAbortedError")), "unk"),
        ((ask(), answer(text="part", error="APIError")), "unk"),
        ((ask(), answer(text="part", error="ContentFilterError")), "neg"),
        ((ask(), answer(EDIT), answer(PASSES), ask("no, that is wrong"), answer(text="ok")), "pos pos unk"),
        ((ask(), answer(text="done"), ask("thanks, great!"), answer(text="welcome")), "unk unk"),
        ((ask(), answer(EDIT), answer(RUNNING, done=False)), "unk unk"),
    ],
)
def test_a_session_s_labels(entries, expected):
    """Each answer by its own evidence, and by the check that followed the last change of its turn."""
    assert " ".join(labels(*entries)) == expected


def test_a_person_s_own_command_checks_the_turn_before():
    """What they ran is no answer of a model, but its exit status is evidence."""
    ran = Entry(id="", kind="ran", at=0, tools=(FAILS,))
    assert labels(ask(), answer(EDIT), answer(text="done"), Entry(id="", kind="note", at=0), ran) == ["neg", "neg"]


def test_what_was_taken_back_is_negative_however_it_was_checked():
    """From the reverted message on; what came before stays as it was."""
    turns = (ask(), answer(EDIT), answer(PASSES), ask(), answer(EDIT), answer(PASSES))
    assert labels(*turns, reverted=3) == ["pos", "pos", "neg", "neg"]


def test_weak_evidence_never_decides():
    """The next message, changed files and to-do lists only move the confidence."""
    done = ToolUse("todowrite", "completed", {"todos": [{"status": "completed"}]})
    assert (
        labels(ask(diffs=2), answer(done), answer(text="done"), ask("perfect, thanks"), answer(text="!")) == ["unk"] * 3
    )
    left = ToolUse("todowrite", "completed", {"todos": [{"status": "pending"}]})
    assert labels(ask(), answer(left), answer(text="done"), ask("no, still broken"), answer(text="!")) == ["unk"] * 3


def test_a_correction_lowers_the_confidence_of_what_was_verified():
    """Below what a line asks for by default."""
    record = Record(session(ask(), answer(EDIT), answer(PASSES), answer(text="done"), ask("no, wrong file"), answer()))
    said = judge(signals_of(record, 3, State.ENDED))
    assert 0 < said.confidence < 0.7 or said.label is Label.UNKNOWN


TOOLS = st.sampled_from([EDIT, READ, REFUSED, INVALID, PASSES, FAILS, shell("ls", 0), shell("x", 2), shell("y", None)])
ANSWERS = st.builds(
    lambda tools, text, finish, error: answer(*tools, text=text, finish=finish, error=error),
    st.lists(TOOLS, max_size=3),
    st.sampled_from(["", "done"]),
    st.sampled_from(["stop", "tool-calls", "length", "unknown"]),
    st.sampled_from(["", "", "", "APIError", "MessageAbortedError", "Odd"]),
)
ASKS = st.builds(ask, st.sampled_from(["do it", "thanks", "no, wrong", "again"]), diffs=st.integers(0, 2))
ENTRIES = st.lists(st.one_of(ASKS, ANSWERS), min_size=1, max_size=10).map(lambda found: [ask(), *found])


@given(ENTRIES, st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_more_against_it_never_makes_a_label_better(entries, strength):
    """Another negative signal, a revert, a refused call: each label stays or falls."""
    record, reverted = Record(session(*entries)), Record(session(*entries, reverted=0))
    for place, entry in enumerate(record.session.entries):
        if entry.answered:
            signals = signals_of(record, place, State.ENDED)
            before = ORDER[judge(signals).label]
            worse = (*signals, Signal(name="more", points=-1, strength=strength))
            assert ORDER[judge(worse).label] <= before
            assert ORDER[judge(signals_of(reverted, place, State.ENDED)).label] == 0
            refused = list(record.session.entries)
            refused[place] = entry._replace(tools=(*entry.tools, INVALID), error="")
            assert judge(signals_of(Record(session(*refused)), place, State.ENDED)).label is Label.NEGATIVE


@given(ENTRIES)
@settings(max_examples=150, deadline=None)
def test_unknown_is_never_success(entries):
    """While a turn is open, after it was cut off, and without any check that passed, nothing is positive."""
    assert set(labels(*entries, state=State.OPEN)) <= {"unk"}
    assert "pos" not in labels(*entries, state=State.CUT_OFF)
    unchecked = [entry._replace(tools=tuple(tool for tool in entry.tools if tool is not PASSES)) for entry in entries]
    assert "pos" not in labels(*unchecked)


@given(ENTRIES)
@settings(max_examples=50, deadline=None)
def test_every_label_carries_its_evidence(entries):
    """No outcome is without a signal, and the strongest stands first."""
    record = Record(session(*entries))
    for place, entry in enumerate(record.session.entries):
        if entry.answered:
            signals = signals_of(record, place, State.ENDED)
            assert signals
            assert [one.strength for one in signals] == sorted((one.strength for one in signals), reverse=True)


WORDS = "time created text type state status input metadata exit error name model content files summary finish tool"
KEYS = st.sampled_from(WORDS.split())
PARTS = ["text", "tool", "file", "patch", "reasoning", "compaction", "subtask", "step-start", "odd"]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("text")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=6)


@given(OBJECTS, st.lists(st.tuples(st.sampled_from(PARTS), OBJECTS), max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_message_can_be_read(data, parts):
    """Whatever stands there becomes an entry, or one that says why not; never an exception."""
    held = [part | {"type": kind} for kind, part in parts]
    for role in ("user", "assistant", data.get("role")):
        entry = opencode_v1.entry_of(
            RawMessage("m", data | {"role": role, "time": data.get("time", {"created": 1})}, held)
        )
        assert (entry.kind == "broken") is (entry.why is not None)


@given(
    OBJECTS, st.sampled_from(["user", "assistant", "shell", "compaction", "idle", "system", "agent-switched", "odd", 3])
)
@settings(max_examples=200, deadline=None)
def test_any_row_of_v2_can_be_read(data, kind):
    """The same for the newer generation."""
    entry = opencode_v2.entry_of(RawRow("m", kind, 1, data))
    assert entry is None or (entry.kind == "broken") is (entry.why is not None)


def test_a_ring_of_callers_is_read_once():
    """Sessions that name each other as their parents are one task, and their sub-agents are in it."""
    census = Census()
    heads = [Head(name, parent, "1.18.33", 0, "") for name, parent in (("a", "b"), ("b", "a"), ("c", "b"), ("d", "d"))]
    census.take(Changes(heads, frozenset(), NO_ROLL, []))
    assert [census.root(name) for name in "abcd"] == ["a", "a", "a", "d"]
    assert [head.id for head in census.tree("a")] == ["a", "b", "c"]
    assert [head.id for head in census.tree("d")] == ["d"]
