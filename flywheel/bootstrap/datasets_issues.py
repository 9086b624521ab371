"""SWE-bench, plain, Lite and Verified: issues with the change that resolved them, for plans, scopes and analyses.

A row names the files that were changed and the tests that turned; the files themselves it does not hold, so that it
gives no edits. Its kin with a `text` column (oracle, BM25) show files: where the patch fits them, a row is told as any
mined commit is, edits included.
"""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from flywheel.bootstrap.commit_messages import subject_of
from flywheel.bootstrap.dataset_answers import Row, RowReader, about, words
from flywheel.bootstrap.dataset_edits import TOO_LONG, fits, lesson_of, tags_of_change
from flywheel.bootstrap.dataset_listings import files_listed
from flywheel.bootstrap.dataset_rows import Lesson, asked
from flywheel.bootstrap.derivations import KEPT, derive
from flywheel.bootstrap.mined_commits import FileChange, MinedCommit
from flywheel.bootstrap.outlines import language_of
from flywheel.core.clocks import parse_time
from flywheel.core.edits import EditError
from flywheel.core.foreign_rows import BadRowError, clean, name, read_json, told
from flywheel.core.outcomes import Signal
from flywheel.core.patches import FilePatch, parse_patches

#: More than that the project took it: tests that failed before pass with it, as its publishers saw.
TURNED = Signal(name="tests_turned", points=1, strength=0.9, note="tests that failed before pass with the change")

_PUBLISHED = datetime(2023, 10, 10, tzinfo=UTC)
_MOST_FILES = 20
_LONGEST_STATEMENT = 8_000
_LONGEST_TEXT = 2_000_000
_LARGER = 10  # times what a file of the other datasets may cost: these are whole files of large projects
_REPO = re.compile(r"[\w.-]{1,100}/[\w.-]{1,100}")
_FILE = re.compile(r"^diff --git a/.+? b/(.+)$", re.MULTILINE)
_DEFINED = re.compile(r"(\s*)(?:async\s+def|def|class)\s+(\w+)")
_NAMED = re.compile(r"[\w.@+/-]{3,300}")  # what looks like a path in a sentence or a traceback


class _Issue(NamedTuple):
    """A row, read: `patches` change what is asked for, `tests` are the files that test it."""

    repo: str
    statement: str
    title: str
    patches: tuple[FilePatch, ...]
    patch: str
    tests: tuple[str, ...]
    at: datetime | None
    evidence: Signal
    made: dict[str, Any]

    @property
    def files(self) -> list[str]:
        """Return the files that were changed, tests left out."""
        return [one.file for one in self.patches]


def _resolved(row: Row) -> tuple[Lesson, ...]:
    issue = _issue(row)
    text = row.get("text")
    if isinstance(text, str) and len(text) <= _LONGEST_TEXT and (derived := _derived(issue, clean(text))):
        return derived
    return (_analysis(issue), _plan(issue), *_scopes(issue, _mentioned(issue, row)))


def _issue(row: Row) -> _Issue:
    repo, statement = words(row, "repo").strip(), words(row, "problem_statement").strip()
    if not _REPO.fullmatch(repo):
        raise BadRowError("no repo")
    if len(statement) > _LONGEST_STATEMENT:
        raise BadRowError("problem_statement is too long")
    title = subject_of(statement.partition("\n")[0])
    if not any(letter.isalnum() for letter in title):
        raise BadRowError("no title")
    patch = words(row, "patch")
    patches = _patches(patch)
    if not patches or len(patches) > _MOST_FILES:
        raise BadRowError("more than twenty files" if patches else "no patch")
    tests = row.get("test_patch")
    tested = tuple(_FILE.findall(clean(tests)))[:_MOST_FILES] if isinstance(tests, str) else ()
    evidence = TURNED if _turned(row) else KEPT
    made = about(row, "instance_id") | {"repo": repo, "commit": name(told(row, "base_commit"))}
    return _Issue(repo, statement, title, patches, patch, tested, parse_time(row.get("created_at")), evidence, made)


def _patches(text: str) -> tuple[FilePatch, ...]:
    try:
        found = tuple(parse_patches(text if text.endswith("\n") else f"{text}\n"))
    except EditError as error:
        raise BadRowError("a patch that edits cannot say") from error
    if not all(one.hunks for one in found):
        raise BadRowError("a patch that changes nothing in a file")
    return found


def _turned(row: Row) -> bool:
    given = row.get("FAIL_TO_PASS")
    if given is None or given == "":
        return False
    held = read_json(given, "tests cannot be read")
    if not isinstance(held, list) or not all(isinstance(one, str) for one in held):
        raise BadRowError("tests cannot be read")
    return bool(held)


def _derived(issue: _Issue, text: str) -> tuple[Lesson, ...]:
    """Return what the change teaches where the row shows the files it is for; nothing where it does not fit them."""
    try:
        shown = files_listed(text)
        changes = tuple(_change(patch, shown) for patch in issue.patches)
    except (BadRowError, EditError):
        return ()
    tree = {**shown, **{change.path: change.before or "" for change in changes if change.before is not None}}
    commit = MinedCommit(
        repo=issue.repo, hash=issue.made["commit"], at=_PUBLISHED, message=issue.title, changes=changes,
        tree=tuple(tree), read=tree.get,
    )  # fmt: skip
    asked_for = f"Task: {subject_of(issue.title)}"
    found = []
    for making in derive(commit):
        signals = (issue.evidence,) if making.signals == (KEPT,) else making.signals
        first, *others = making.messages
        question = f"Task: {issue.statement}{first.content.removeprefix(asked_for)}"
        made = {"messages": (first.model_copy(update={"content": question}), *others), "about": issue.made}
        found.append(lesson_of(making, signals, issue.at).model_copy(update=made))
    return tuple(found)


def _change(patch: FilePatch, shown: dict[str, str]) -> FileChange:
    """Return what a patch makes of a file that is shown; raises EditError when it does not fit."""
    before = None if patch.makes else shown.get(patch.file)
    if before is not None and not before.endswith("\n"):
        before += "\n"  # what is shown line by line does not tell how the last one ends
    after = patch.applied(before)
    if not (fits(before or "", _LARGER) and fits(after, _LARGER)):
        raise BadRowError(TOO_LONG)
    return FileChange(None if before is None else patch.file, patch.file, before, after)


def _analysis(issue: _Issue) -> Lesson:
    touched = [one for file in issue.files for one in _touched(issue.patch, file)][:6]
    where = f"{_listed(touched)} in {_listed(issue.files)}" if touched else _listed(issue.files)
    listed = "\n".join(sorted({*issue.files, *issue.tests}))
    question = f"Task: {issue.statement}\n\nFiles:\n{listed}\n\nSay in one or two sentences what changes, and where."
    return _lesson(issue, "task_analysis", question, f"{_sentence(issue.title)} This changes {where}.")


def _plan(issue: _Issue) -> Lesson:
    """Return the parts of the work: its files, and behind them all the tests that turn with them."""
    parts = [_part(place, issue, patch) for place, patch in enumerate(issue.patches, 1)]
    before = [part["id"] for part in parts]
    if issue.tests:
        parts.append({"id": f"p{len(parts) + 1}", "description": f"Test it in {_listed(issue.tests)}",
                      "affected_files": list(issue.tests), "depends_on": before})  # fmt: skip
    why = "The tests pass only with all that comes before them." if issue.tests else "Each part has its own file."
    answer = json.dumps({"task_summary": _sentence(issue.title), "parts": parts, "rationale": why}, indent=1)
    listed = "\n".join(sorted({*issue.files, *issue.tests}))
    question = (
        f"Task: {issue.statement}\n\nFiles:\n{listed}\n\nAnswer with a plan as JSON: task_summary, parts, rationale."
    )
    return _lesson(issue, "execute_plan", question, answer)


def _part(place: int, issue: _Issue, patch: FilePatch) -> dict[str, Any]:
    touched = _touched(issue.patch, patch.file)[:4]
    what = "Add" if patch.makes else f"Change {_listed(touched)} in" if touched else "Change"
    return {"id": f"p{place}", "description": f"{what} {patch.file}", "affected_files": [patch.file], "depends_on": []}


def _scopes(issue: _Issue, others: Sequence[str]) -> Iterator[Lesson]:
    """Yield as many files that were changed as files that the issue speaks of and that were not."""
    changed = [patch.file for patch in issue.patches if not patch.makes]
    count = min(len(changed), len(others))
    for answer, files in (("yes", changed), ("no", others)):
        for file in files[:count]:
            head = f"File: {file} (language={language_of(file)})"
            question = f"Task: {issue.statement}\n\n{head}\n\nDoes the task concern this file? Answer yes or no."
            yield _lesson(issue, "scope", question, answer, file)


def _mentioned(issue: _Issue, row: Row) -> list[str]:
    """Return files of the repo's own folders that the issue names (a traceback does) and the change left alone."""
    hints = row.get("hints_text")
    said = f"{issue.statement}\n{clean(hints) if isinstance(hints, str) else ''}"[: 2 * _LONGEST_STATEMENT]
    roots = {file.partition("/")[0] for file in issue.files if "/" in file}
    found = dict.fromkeys(_below(match[0].strip("/."), roots) for match in _NAMED.finditer(said) if "/" in match[0])
    return [path for path in found if language_of(path) and path not in {*issue.files, *issue.tests}]


def _below(path: str, roots: set[str]) -> str:
    """Return a path from the folder on that it shares with the change; empty when there is none."""
    steps = path.split("/")
    at = max((place for place, step in enumerate(steps[:-1]) if step in roots), default=None)
    return "" if at is None else "/".join(steps[at:])


def _touched(patch: str, file: str) -> list[str]:
    """Return what is defined around the changed lines of a file, as far as its patch shows."""
    found: dict[str, None] = {}
    here, inside, depth = False, "", 0
    for line in patch.split("\n"):
        head = _FILE.match(line)
        if head is not None:
            here = head[1].strip() == file
        elif here and line.startswith("@@"):
            defined = _DEFINED.match(line.rpartition("@@")[2].strip())
            inside, depth = (defined[2], 0) if defined else ("", 0)
        elif here and line[:1] in {" ", "+", "-"} and not line.startswith(("--- ", "+++ ")):
            inside, depth = _inside(line[1:], inside, depth)
            if line[:1] != " " and inside:
                found[inside] = None
    return [f"`{one}`" for one in found]


def _inside(line: str, inside: str, depth: int) -> tuple[str, int]:
    """Return what a line belongs to: what it defines, what stands around it, or nothing when it stands further out."""
    defined = _DEFINED.match(line)
    if defined is not None:
        return defined[2], len(defined[1])
    if line.strip() and len(line) - len(line.lstrip()) <= depth:
        return "", 0
    return inside, depth


def _lesson(issue: _Issue, call_type: str, question: str, answer: str, key: str = "") -> Lesson:
    return Lesson(
        key=f"{call_type}/{key}" if key else call_type, call_type=call_type, messages=asked(question), response=answer,
        signals=(issue.evidence,), group=issue.repo, at=issue.at, tags=tags_of_change(issue.files), about=issue.made,
    )  # fmt: skip


def _sentence(title: str) -> str:
    return f"{title[0].upper()}{title[1:]}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


SWE_BENCH = RowReader(
    "swe-bench", "unknown", _PUBLISHED,
    ("instance_id", "repo", "base_commit", "patch", "test_patch", "problem_statement", "hints_text", "created_at",
     "FAIL_TO_PASS", "text"), _resolved,
)  # fmt: skip
