"""The forms an example can have: as it was logged, the code alone, or search-and-replace edits. Pure.

What leads to an answer may be marked: sections that begin with `[REASONING]` or `[PLAN]` are kept before the code in
every form. An agent's conversation with its tools becomes the request and the files that were read for it. What cannot
be put into a form has none: it is left out by that name.
"""

import ast
import re
import warnings
from collections.abc import Sequence
from typing import NamedTuple

from flywheel.core.edits import Edit, EditError, apply_edits, parse_edits
from flywheel.core.examples import Form
from flywheel.core.outcomes import Message, Outcome
from flywheel.core.tool_calls import parse_tool_calls
from flywheel.core.written_edits import render_edits
from flywheel.curate.changes import Known, below, edits_of_calls, edits_of_diff, known_files

_SECTION = re.compile(r"\[(?:REASONING|PLAN)\]")
_FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=ticks)[ \t]*$", re.MULTILINE | re.DOTALL)
_DIFF = re.compile(r"^(?:diff --git |--- \S[^\n]*\n\+\+\+ |\*\*\* Begin Patch$)", re.MULTILINE)
_EDIT = re.compile(r"<edit\b[^<>]*>.*?</edit>", re.DOTALL)
_CODE = re.compile(r"<edit\b|<tool_call>|<function=|^```|^diff --git |^--- |^\*\*\* Begin Patch", re.MULTILINE)
_NO_CODE = frozenset({"text", "txt", "output", "console", "log", "diff", "patch", "json", "jsonc", "json5"})
_LANGUAGES = {"py": "python", "ts": "typescript", "js": "javascript", "rs": "rust", "rb": "ruby", "sh": "bash"}


class Shaped(NamedTuple):
    """A question and its answer in the form that is learned."""

    prompt: tuple[Message, ...]
    answer: str


def shape(outcome: Outcome, form: Form) -> Shaped | None:
    """Return an outcome in a form, or None where it cannot be put into it."""
    if form == "as_logged":
        return Shaped(outcome.messages, outcome.response)
    known = known_files(outcome.messages)
    try:
        code = _as_edits(outcome, known) if form == "edits" else _as_code(outcome, known)
    except EditError:
        return None
    prompt = _prompt(outcome, known)
    if not code or not prompt:
        return None
    return Shaped(prompt, "\n".join(part for part in (sections(outcome.response), code) if part))


def sections(answer: str) -> str:
    """Return the marked reasoning and plan before the code of an answer."""
    code = _CODE.search(answer)
    head = answer[: code.start()] if code else ""
    first = _SECTION.search(head)
    return head[first.start() :].strip() if first else ""


def _as_edits(outcome: Outcome, known: Known) -> str:
    """Return an answer's change as edits; those it was written in stay as they were written."""
    answer = outcome.response
    written = parse_edits(answer)
    calls = parse_tool_calls(answer).calls
    if written and not calls:
        apply_edits(_shown(written, known), [edit for edit in written if edit.file in known.texts])
        return _blocks(answer)
    if written:
        raise EditError("an answer both calls tools and writes edits")
    edits = edits_of_calls(calls, known, _root(outcome)) if calls else _of_diffs(answer, known, _root(outcome))
    return render_edits(edits)


def _as_code(outcome: Outcome, known: Known) -> str:
    """Return an answer's code alone: its edits, its fenced blocks, the files it writes, or all of it."""
    answer = outcome.response
    calls = parse_tool_calls(answer).calls
    if calls or parse_edits(answer) or _diffs(answer):
        text = _as_edits(outcome, known)
        edits = parse_edits(text)
        made = calls and all(not edit.search for edit in edits)
        return "\n".join(_fenced(edit) for edit in edits) if made else text
    fences = [found[0] for found in _FENCE.finditer(answer) if _language(found["info"]) not in _NO_CODE]
    return "\n\n".join(fences) if fences else answer.strip() * _is_program(answer)


def _shown(edits: Sequence[Edit], known: Known) -> dict[str, str]:
    return {edit.file: known.texts[edit.file] for edit in edits if edit.file in known.texts}


def _blocks(answer: str) -> str:
    return "\n".join(_EDIT.findall(answer))


def _of_diffs(answer: str, known: Known, root: str) -> list[Edit]:
    return [edit for text in _diffs(answer) for edit in edits_of_diff(text, known, root)]


def _diffs(answer: str) -> list[str]:
    """Return the diffs of an answer: fenced as such, or else the answer from where one begins."""
    fenced = [found["body"] for found in _FENCE.finditer(answer) if _language(found["info"]) in {"diff", "patch"}]
    if fenced:
        return fenced
    bare = None if _FENCE.search(answer) else _DIFF.search(answer)
    return [answer[bare.start() :]] if bare else []


def _language(info: str) -> str:
    return (info.split() or [""])[0].lower()


def _fenced(edit: Edit) -> str:
    ending = edit.file.rpartition(".")[2] if "." in edit.file else ""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", edit.replacement)), default=0))
    body = edit.replacement if edit.replacement.endswith("\n") else f"{edit.replacement}\n"
    return f"{ticks}{_LANGUAGES.get(ending, ending)} {edit.file}\n{body}{ticks}"


def _is_program(answer: str) -> bool:
    """Tell whether an answer is a Python program and nothing else; a single word or sentence is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a logged program's escapes nobody wants to hear
            tree = ast.parse(answer)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(not isinstance(statement, ast.Expr) for statement in tree.body)


def _root(outcome: Outcome) -> str:
    return outcome.group if outcome.group.startswith("/") else ""


def _prompt(outcome: Outcome, known: Known) -> tuple[Message, ...]:
    """Return the question; a conversation with tools becomes the last request and the files read for it."""
    with_tools = any(message.role == "tool" for message in outcome.messages) or outcome.tools
    if not with_tools and not parse_tool_calls(outcome.response).calls:
        return outcome.messages
    request = next((one.content.strip() for one in reversed(outcome.messages) if one.role == "user"), "")
    root = _root(outcome)
    files = [f'<file path="{below(root, file)}">\n{text}</file>' for file, text in known.texts.items()]
    return (Message(role="user", content="\n\n".join([request, *files])),) if request else ()
