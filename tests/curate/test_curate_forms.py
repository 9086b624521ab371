"""Forms and quotes: an answer becomes code or edits, or is left out by name; what is copied is marked."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.edits import apply_edits, parse_edits
from flywheel.core.examples import Example, prompt_key
from flywheel.core.lines import DatasetPlan, Line
from flywheel.core.outcomes import Label, Labelled, Message, Outcome
from flywheel.curate.admissions import consider, example_id
from flywheel.curate.forms import sections, shape
from flywheel.curate.patches import diff_of
from flywheel.curate.quotes import SHORTEST, quoted_spans

BEFORE = "export function add(a: number, b: number): number {\n  return a - b\n}\n"
AFTER = BEFORE.replace("a - b", "a + b")
FILE = "/repo/src/add.ts"
SHOWN = (
    f"<path>{FILE}</path>\n<type>file</type>\n<content>\n1: export function add(a: number, b: number): number {{\n"
    "2:   return a - b\n3: }\n\n(End of file - total 3 lines)\n</content>"
)
OLDER = SHOWN.replace(f"<path>{FILE}</path>\n<type>file</type>\n<content>\n", "<file>\n").replace(
    "</content>", "</file>"
)
OLDER = OLDER.replace("1: ", "00001| ").replace("2: ", "00002| ").replace("3: ", "00003| ")
PATCH = f"*** Begin Patch\n*** Update File: {FILE}\n@@\n-  return a - b\n+  return a + b\n*** End Patch"
EDIT = {"filePath": FILE, "oldString": "return a - b", "newString": "return a + b"}


def say(role: str, content: str) -> Message:
    return Message(role=role, content=content)


def call(name: str, **arguments: Any) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


READ = (
    say("system", "You are an agent with tools."),
    say("user", "Mend add."),
    say("assistant", call("read", filePath=FILE)),
    say("tool", SHOWN),
)


def outcome(response: str, messages: tuple[Message, ...] = READ, **values: Any) -> Outcome:
    made: dict[str, Any] = {
        "key": "k", "source": "agent", "task": "t", "session": "s", "group": "/repo", "call_type": "act",
        "at": datetime(2026, 1, 1, tzinfo=UTC), "model": "m", "messages": messages, "response": response,
        "labelled": Labelled(label=Label.POSITIVE, confidence=0.9), "line": "code",
    }  # fmt: skip
    return Outcome(**(made | values))


ASKED = (say("user", "Write f."),)


# ── edits ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "answer",
    [
        call("edit", **EDIT),
        call("edit", **{**EDIT, "replaceAll": True}),
        call("multiedit", filePath=FILE, edits=[{"oldString": "a - b", "newString": "a + b"}]),
        call("write", filePath=FILE, content=AFTER),
        call("apply_patch", patchText=PATCH),
        call("patch", patchText=diff_of({"src/add.ts": BEFORE}, {"src/add.ts": AFTER})),
        "```diff\n" + diff_of({"src/add.ts": BEFORE}, {"src/add.ts": AFTER}) + "```",
        "Here it is:\n" + diff_of({"src/add.ts": BEFORE}, {"src/add.ts": AFTER}),
        '<edit file="src/add.ts">\n<search>a - b</search>\n<replacement>a + b</replacement>\n</edit>',
    ],
    ids=["edit", "replace all", "many", "write", "patch", "diff call", "fenced diff", "bare diff", "edit blocks"],
)  # fmt: skip
@pytest.mark.parametrize("shown", [SHOWN, OLDER], ids=["newer", "older"])
def test_every_way_of_changing_a_file_becomes_edits(answer, shown):
    """Applied to the file that was read, the edits make the change; the prompt is the request and the file."""
    made = shape(outcome(answer, (*READ[:3], say("tool", shown))), "edits")
    edits = parse_edits(made.answer)
    assert apply_edits({"src/add.ts": BEFORE}, edits) == {"src/add.ts": AFTER}
    assert [message.role for message in made.prompt] == ["user"]
    assert made.prompt[0].content == f'Mend add.\n\n<file path="src/add.ts">\n{BEFORE}</file>'


LINES = st.lists(st.sampled_from(["", "a", "b", "  return x", "}"]), min_size=1, max_size=10)


@given(before=LINES, after=LINES)
def test_a_written_file_round_trips_through_edits(before, after):
    """Whatever a file held and holds then, the edits of the call that wrote it reproduce the change."""
    old, new = ("".join(f"{line}\n" for line in text) for text in (before, after))
    numbered = "\n".join(f"{number}: {line}" for number, line in enumerate(before, 1))
    shown = f"<path>f</path>\n<type>file</type>\n<content>\n{numbered}\n\n(End of file - total 1 lines)\n</content>"
    asked = (say("user", "do"), say("assistant", call("read", filePath="f")), say("tool", shown))
    made = shape(outcome(call("write", filePath="f", content=new), asked), "edits")
    if old == new:
        assert made is None
    else:
        assert apply_edits({"f": old}, parse_edits(made.answer)) == {"f": new}


def test_an_edit_of_a_file_nobody_showed_is_taken_at_its_word():
    """The tool that performed it wanted its text to be there once."""
    made = shape(outcome(call("edit", **EDIT), ASKED), "edits")
    assert apply_edits({"src/add.ts": BEFORE}, parse_edits(made.answer)) == {"src/add.ts": AFTER}


@pytest.mark.parametrize(
    "answer",
    [
        "It is done.",
        call("bash", command="ls"),
        call("edit", **EDIT) + call("bash", command="ls"),
        call("edit", **{**EDIT, "oldString": "not there"}),
        call("edit", filePath=FILE),
        call("edit", **{**EDIT, "oldString": 3}),
        call("apply_patch", patchText=f"*** Begin Patch\n*** Delete File: {FILE}\n*** End Patch"),
        call("apply_patch", patchText="nothing"),
        '<edit file="src/add.ts"><search>a</search></edit>',
        "```diff\n--- a/src/add.ts\n+++ b/src/add.ts\n@@ -1 +1 @@\n-nothing of it\n+x\n```",
        "```ts\nconst x = 1\n```",
    ],
)
def test_what_is_no_edit_has_no_edit_form(answer):
    """Prose, other calls, edits that do not fit, and files whose content nobody knows."""
    assert shape(outcome(answer), "edits") is None


def test_a_file_that_changed_since_it_was_read_is_not_known():
    """Its whole cannot be rewritten as edits, and its places cannot be told apart."""
    later = (*READ, say("assistant", call("edit", **EDIT)), say("tool", "Edit applied successfully."))
    assert shape(outcome(call("write", filePath=FILE, content=AFTER), later), "edits") is None
    assert shape(outcome(call("edit", **{**EDIT, "replaceAll": True}), later), "edits") is None
    assert shape(outcome(call("edit", **EDIT), later), "edits") is not None


# ── code ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("Sure.\n\n```python\ndef f():\n    return 1\n```\nDone.", "```python\ndef f():\n    return 1\n```"),
        ("```text\nout\n```\n```sh\nls\n```", "```sh\nls\n```"),
        ("def f():\n    return 1\n", "def f():\n    return 1"),
        (call("write", filePath="/repo/f.py", content="def f():\n    return 1\n"),
         "```python f.py\ndef f():\n    return 1\n```"),
        (call("write", filePath="/repo/r.md", content="```\nx\n```"), "````md r.md\n```\nx\n```\n````"),
    ],
)  # fmt: skip
def test_the_code_form_keeps_the_code_alone(answer, code):
    """Fenced blocks, written files, whole programs; what is said around them is dropped."""
    assert shape(outcome(answer, ASKED), "instruction_to_code") == (ASKED, code)


@pytest.mark.parametrize(
    "answer",
    ["Yes", "It works now.", "```text\nout\n```", '```json\n{"keep": true}\n```', call("bash", command="ls"), "x = ("],
)
def test_an_answer_without_code_has_no_code_form(answer):
    """Words are not code."""
    assert shape(outcome(answer, ASKED), "instruction_to_code") is None


def test_marked_reasoning_and_plans_pass_through():
    """Sections come before the code in either form; other words do not."""
    head = "[REASONING]\nThe sign is wrong.\n[PLAN]\n1. Turn it."
    assert sections(f"Well.\n{head}\n```py\nx = 1\n```") == head
    assert sections("no code [PLAN] at all") == ""
    made = shape(outcome(f"Well, {head}\n{call('edit', **EDIT)}"), "edits")
    assert made.answer.startswith(f"{head}\n<edit ")
    made = shape(outcome(f"{head}\n```py\nx = 1\n```\nbye", ASKED), "instruction_to_code")
    assert made.answer == f"{head}\n```py\nx = 1\n```"


@given(st.text(max_size=200))
def test_shaping_never_fails(answer):
    """Any answer has a form or none."""
    assert shape(outcome(answer), "as_logged").answer == answer
    shaped = [made for form in ("instruction_to_code", "edits") if (made := shape(outcome(answer), form))]
    assert all(made.answer.strip() for made in shaped)


# ── admission ───────────────────────────────────────────────────────────────


def line(form: str) -> Line:
    return Line(name="code", why="w", base="b", dataset=DatasetPlan(form=form))


def test_admission_puts_examples_into_the_lines_form_or_leaves_them_out_by_name():
    """The identity is that of what was logged; the question is that of what is learned."""
    logged = outcome(call("edit", **EDIT))
    asked = prompt_key(logged.messages)
    made = consider(logged, asked, line("edits"))
    assert isinstance(made, Example)
    assert made.id == example_id("code", asked, logged.response)
    assert made.prompt_key == prompt_key(made.prompt) != asked
    assert (made.form, made.logged, made.tools) == ("edits", (asked, logged.response), ())
    assert consider(outcome("Done."), asked, line("edits")) == "not_in_form"
    plain = consider(logged, asked, line("as_logged"))
    assert (plain.form, plain.logged, plain.answer) == ("as_logged", None, logged.response)


# ── quotes ──────────────────────────────────────────────────────────────────


@given(st.text(alphabet="ab\n", min_size=SHORTEST, max_size=120), st.text(max_size=20), st.text(max_size=20), st.data())
def test_whatever_is_copied_is_marked_and_nothing_else(source, head, tail, data):
    """A long copied span is marked whole; every marked span stands in the prompt."""
    start = data.draw(st.integers(0, len(source) - SHORTEST))
    copied = source[start : data.draw(st.integers(start + SHORTEST, len(source)))]
    answer = f"{head}{copied}{tail}"
    spans = quoted_spans(["other words", source], answer)
    assert any(begin <= len(head) and len(head) + len(copied) <= end for begin, end in spans)
    assert all(end - begin >= SHORTEST for begin, end in spans)
    assert spans == sorted(spans)
    marked = {place for begin, end in spans for place in range(begin, end)}
    assert all(any(place in range(at, at + SHORTEST) for at in _copies(source, answer)) for place in marked)


def _copies(source: str, answer: str) -> list[int]:
    return [at for at in range(len(answer) - SHORTEST + 1) if answer[at : at + SHORTEST] in source]


def test_the_search_part_of_an_edit_is_a_quote_however_short():
    """What replaces it is not, and a search text that nobody showed is not, either."""
    answer = shape(outcome(call("edit", **EDIT)), "edits").answer
    (span,) = quoted_spans([BEFORE], answer)
    assert answer[slice(*span)] == parse_edits(answer)[0].search
    assert quoted_spans(["other"], answer) == []


def test_quotes_of_a_long_prompt_are_found_in_time():
    """A hundred thousand characters, much of it alike, take well under a second."""
    prompt = "".join(f"{' ' * 40}value_{number} = {number}\n{'-' * 80}\n" for number in range(800))
    answer = prompt[20_000:30_000] + "new" + "-" * 5000
    assert quoted_spans([prompt], answer)[0][:2] >= (0, 10_000)
