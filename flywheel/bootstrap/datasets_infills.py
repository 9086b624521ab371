"""SRI Tuning: code with a mark where some is missing, answered by a search and a replacement.

The shape of the answers is published: a file's name, then its lines between `<<<<<<< SEARCH`, `=======` and
`>>>>>>> REPLACE`, the mark among those that are searched for. How rows name their columns is not: a conversation
(`messages`, `conversations`) is read, and a question with its answer under the names that such datasets use.
"""

import re
from datetime import UTC, datetime

from flywheel.bootstrap.dataset_answers import Row, RowReader, about, language_name, parses, words
from flywheel.bootstrap.dataset_edits import NOT_EDITS, asking_edits, edit_lesson
from flywheel.bootstrap.dataset_rows import PUBLISHED, Lesson
from flywheel.bootstrap.outlines import language_of
from flywheel.core.code_blocks import fenced
from flywheel.core.edits import Edit, EditError, apply_edits, parse_edits
from flywheel.core.foreign_rows import BadRowError, clean, told
from flywheel.core.makings import UNKNOWN_LICENCE
from flywheel.core.written_edits import render_edits

_SIGNS = ("<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE")
MARK = "/* MIDDLE CODE TO COMPLETE */"
_ORDER = f"Write the code that is missing at `{MARK}`."
_REPO = re.compile(r"<\|repo_name\|>([^\n<]{1,200})")
_FILE = re.compile(r"<\|file_sep\|>([^\n<]{1,300})\n")
_PATH = re.compile(r"[\w@.+ -]+(?:/[\w@.+ -]+)*")
_PROMPTS = ("prompt", "instruction", "query", "question")
_ANSWERS = ("response", "completion", "output", "answer")


def _infill(row: Row) -> tuple[Lesson, ...]:
    question, answer = _turns(row)
    named, search, replacement = _block(answer)
    if search.count(MARK) != 1 or MARK in replacement:
        raise BadRowError("the search does not hold the mark, or the replacement does")
    files = _files(question, _path(named))
    path = next((file for file, text in files.items() if MARK in text), None)
    if path is None:
        raise BadRowError("no file with the mark in the question")
    lesson = edit_lesson(asking_edits(_ORDER, files), _proved(path, files, search, replacement), path, (PUBLISHED,))
    repo = _REPO.search(question)
    group = f"sri-tuning/{repo[1].strip()}" if repo else ""
    language = language_name(told(row, "lang", "language"))
    tags = lesson.tags if language_of(path) or not language else (f"language:{language}", *lesson.tags)
    return (lesson.model_copy(update={"group": group, "tags": tags, "about": about(row, "id")}),)


def _turns(row: Row) -> tuple[str, str]:
    """Return what was asked last and answered; instructions of a system are for another way to write edits."""
    turns = row.get("messages") or row.get("conversations")
    if turns is None:
        return words(row, *_PROMPTS), words(row, *_ANSWERS)
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise BadRowError("turns that cannot be read")
    said = [(turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))) for turn in turns]
    spoken = [(who, text) for who, text in said if who != "system"]
    if [who for who, _ in spoken[-2:]] not in (["user", "assistant"], ["human", "gpt"]):
        raise BadRowError("no question with its answer")
    return words({"question": spoken[-2][1]}, "question"), words({"answer": spoken[-1][1]}, "answer")


def _block(answer: str) -> tuple[str, str, str]:
    """Return the name, the search and the replacement of an answer; lines of seven signs part them."""
    lines = [line.rstrip() for line in answer.split("\n")]
    places = [[at for at, line in enumerate(lines) if line == sign] for sign in _SIGNS]
    if any(len(found) != 1 for found in places):
        raise BadRowError("not one search with its replacement")
    first, middle, last = (found[0] for found in places)
    if not first < middle < last:
        raise BadRowError("not one search with its replacement")
    raw = answer.split("\n")
    above = next((line for line in reversed(lines[:first]) if line.strip()), "")
    return above, "\n".join(raw[first + 1 : middle]), "\n".join(raw[middle + 1 : last])


def _path(line: str) -> str:
    """Return the name that stands above a search, without what marks it; empty where none does."""
    found = line.strip().strip("`#*").strip().removeprefix("./").strip("/")
    return found if _PATH.fullmatch(found) and len(found.split()) == 1 else ""


def _files(question: str, path: str) -> dict[str, str]:
    """Return the files of a question: those behind their marks, or the block that holds the missing place."""
    heads = list(_FILE.finditer(question))
    if heads:
        ends = [*(head.start() for head in heads[1:]), len(question)]
        found = {_path(head[1]): question[head.end() : end] for head, end in zip(heads, ends, strict=True)}
        return {file: text.strip("\n") + "\n" for file, text in found.items() if file and text.strip()}
    held = [block.text for block in fenced(question) if MARK in block.text and " SEARCH\n" not in block.text]
    if not held and " SEARCH\n" not in question:
        held = [question]
    if len(held) != 1:
        raise BadRowError("the code cannot be told from its instructions")
    return {path or "code": held[0].strip("\n") + "\n"}


def _proved(path: str, files: dict[str, str], search: str, replacement: str) -> str:
    """Return the edit as an agent writes it, when it makes whole code of the file."""
    try:
        written = render_edits([Edit(path, search, replacement)])
        after = apply_edits(files, parse_edits(written))[path]
    except EditError as error:
        raise BadRowError(NOT_EDITS) from error
    if path.endswith(".py") and not parses(after):
        raise BadRowError("its Python does not parse")
    return clean(written)


SRI_TUNING = RowReader(
    "sri-tuning", UNKNOWN_LICENCE, datetime(2026, 1, 19, tzinfo=UTC),
    ("id", "lang", "language", "messages", "conversations", *_PROMPTS, *_ANSWERS), _infill,
)  # fmt: skip
