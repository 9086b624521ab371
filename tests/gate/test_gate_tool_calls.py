import json
import time
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.tool_calls import ToolCall, parse_tool_calls

READ = {"name": "read_file", "arguments": {"path": "a.py"}}
READ_TEXT = json.dumps(READ)
BARE_EMPTY = "<function=list></function></tool_call>"
LOOSE = 'Here is JSON: {"name": "read_file", "arguments": {}}'
UNCLOSED = f"<tool_call>{READ_TEXT}"

#: output, calls as written, remaining text, format
TABLE = [
    (f"<tool_call>{READ_TEXT}</tool_call>", [READ], "", "json"),
    (
        (
            f"I will look.\n<tool_call>{READ_TEXT}</tool_call>\n"
            '<tool_call>{"name": "run", "arguments": {"cmd": "pytest"}}</tool_call>'
        ),
        [READ, {"name": "run", "arguments": {"cmd": "pytest"}}],
        "I will look.",
        "json",
    ),
    (
        (
            "<tool_call><function=write_file><parameter=path>a.py</parameter><parameter=n>3</parameter></function>"
            "</tool_call>"
        ),
        [{"name": "write_file", "arguments": {"path": "a.py", "n": "3"}}],
        "",
        "function",
    ),
    (
        "<function=run><parameter=cmd>pytest</parameter></function></tool_call>",
        [{"name": "run", "arguments": {"cmd": "pytest"}}],
        "",
        "bare function",
    ),
    (BARE_EMPTY, [], BARE_EMPTY, "malformed"),
    (f"<tool_call>{BARE_EMPTY}", [{"name": "list", "arguments": {}}], "", "function"),
    (f"```json\n{READ_TEXT}\n```", [READ], "", "fenced json"),
    ('<tool_call>{"name": "read_file", "arguments": {"path": "a.py"</tool_call>', [], "", "malformed"),
    ('<tool_call>{"arguments": {"path": "a.py"}}</tool_call> tail', [], "tail", "malformed"),
    (
        '<tool_call>{"name": "say", "arguments": {"text": "use </tool_call> here"}}</tool_call>',
        [],
        'here"}}</tool_call>',
        "malformed",
    ),
    ('```json\n{"name": "Ada", "age": 36}\n```', [{"name": "Ada", "age": 36}], "", "fenced json"),
    (LOOSE, [], LOOSE, "none"),
    (UNCLOSED, [], UNCLOSED, "malformed"),
]


@pytest.mark.parametrize(("output", "calls", "remaining", "seen"), TABLE)
def test_known_outputs_are_read_as_agents_read_them(output, calls, remaining, seen):
    """Every known shape of output gives exactly its calls, the text around them and the format's name."""
    parsed = parse_tool_calls(output)
    assert [call.written for call in parsed.calls] == calls
    assert [(call.name, call.arguments) for call in parsed.calls] == [
        (call["name"], call.get("arguments", {})) for call in calls
    ]
    assert (parsed.remaining, parsed.format) == (remaining, seen)


def test_native_calls_win_over_text():
    """A server's own tool_calls are read as mappings or objects, with arguments as text or whole."""
    mapping = {"id": "1", "type": "function", "function": {"name": "run", "arguments": '{"cmd": "ls"}'}}
    thing = SimpleNamespace(function=SimpleNamespace(name="list", arguments=""))
    parsed = parse_tool_calls(f" <tool_call>{READ_TEXT}</tool_call> ", [mapping, thing])
    assert parsed.calls == (ToolCall("run", {"cmd": "ls"}), ToolCall("list", {}))
    assert parsed.format == "native"


@pytest.mark.parametrize("native", [[None], [{}], [{"function": {"name": "run", "arguments": "{"}}], ["x", 3], []])
def test_unreadable_native_calls_leave_the_text_to_speak(native):
    """Broken native entries are no calls; the text is read instead."""
    assert parse_tool_calls(f"<tool_call>{READ_TEXT}</tool_call>", native).calls == (
        ToolCall("read_file", {"path": "a.py"}),
    )


def test_values_keep_their_white_space_but_for_the_templates_line_breaks():
    """A value on lines of its own loses one line break on each side and nothing more."""
    text = "<tool_call>\n<function=write>\n<parameter=text>\n  a\n\n</parameter>\n</function>\n</tool_call>"
    assert parse_tool_calls(text).calls[0].arguments == {"text": "  a\n"}


def test_formats_that_differ_within_one_answer_are_mixed_and_stay_in_order():
    """Calls keep the order they were written in, whatever their formats."""
    function = "<function=run><parameter=cmd>x</parameter></function></tool_call>"
    parsed = parse_tool_calls(f"{function} then <tool_call>{READ_TEXT}</tool_call>")
    assert [call.name for call in parsed.calls] == ["run", "read_file"]
    assert (parsed.format, parsed.remaining) == ("mixed", "then")


def test_what_nests_too_deeply_is_no_call():
    """A value deep enough to exhaust the stack is turned down, not compared."""
    deep = "[" * 50_000 + "]" * 50_000
    assert parse_tool_calls(f'<tool_call>{{"name": "a", "arguments": {deep}}}</tool_call>').calls == ()


PIECES = st.sampled_from([
    "<tool_call>", "</tool_call>", "<function=run>", "</function>", "<parameter=a>", "</parameter>", "```json", "```",
    READ_TEXT, '{"name": 1}', '{"name": "x", "arguments": [1e999, NaN]}', '"\\ud800"', "\n", " ", "text", "9" * 5000,
])  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["function", "name", "arguments"]), inner),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.text() | st.lists(PIECES | st.text(max_size=5), max_size=14).map("".join), st.none() | st.lists(ANYTHING))
def test_it_never_raises(text, native):
    """Whatever a model or a server wrote, reading it gives a value."""
    parsed = parse_tool_calls(text, native)
    assert all(isinstance(call.name, str) and call.name for call in parsed.calls)
    assert bool(parsed.calls) == (parsed.format not in {"none", "malformed"})


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([row[0] for row in TABLE]), st.data())
def test_damaged_outputs_are_values_too(output, data):
    """Cutting, doubling or replacing any part of a known output never raises, and text is never invented."""
    start = data.draw(st.integers(0, len(output)))
    end = data.draw(st.integers(start, len(output)))
    damaged = output[:start] + data.draw(st.sampled_from(["", output[start:end] * 2, "\x00", "<", "}"])) + output[end:]
    parsed = parse_tool_calls(damaged)
    assert len(parsed.remaining) <= len(damaged)


def test_reading_stays_quick_on_hostile_text():
    """Thousands of openings without an end cost no more than their length asks for, and hold no call."""
    begun = time.process_time()
    for piece in ("<tool_call>", "<function=a>", "```json", "<function=a><parameter=b>"):
        assert parse_tool_calls(piece * 20_000).calls == ()
        assert parse_tool_calls(piece * 3_000 + "</tool_call>").calls == ()
    assert time.process_time() - begun < 10
