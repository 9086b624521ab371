"""CommitPackFT: commits of one file each, with that file before and after. Judged like any commit that is mined."""

import difflib
import re
from datetime import UTC, datetime
from pathlib import PurePosixPath

from flywheel.bootstrap.commit_filters import Change, Commit, reason_against
from flywheel.bootstrap.commit_messages import fault_of
from flywheel.bootstrap.dataset_answers import Row, RowReader, about, text_or_nothing, words
from flywheel.bootstrap.dataset_edits import LONGEST_SHOWN, NOT_EDITS, TOO_LONG, fits, lesson_of
from flywheel.bootstrap.dataset_rows import Lesson
from flywheel.bootstrap.derivations import derive
from flywheel.bootstrap.licence_names import spdx_of
from flywheel.bootstrap.mined_commits import FileChange, MinedCommit
from flywheel.bootstrap.outlines import language_of
from flywheel.core.foreign_rows import BadRowError, name, told

_PUBLISHED = datetime(2023, 8, 14, tzinfo=UTC)
_LONGEST_PATH = 300
_PATH = re.compile(r'[^/"<>\x00-\x1f][^"<>\x00-\x1f]*')  # as edits can hold it
_OTHER_LANGUAGE = "no Python, TypeScript or JavaScript"  # of which a mined commit has to be; specialists read more

# What one file can teach. Of the files of the tree it tells nothing, so that nothing is asked about them.
_TAUGHT = frozenset({"execute_implement", "execute_function_implement", "precision"})


def _commit(row: Row) -> tuple[Lesson, ...]:
    message, path = words(row, "subject", "message").strip(), _path(row, "new_file", "old_file")
    before, after = text_or_nothing(row.get("old_contents")), text_or_nothing(row.get("new_contents"))
    if before is None or after is None:
        raise BadRowError("no text of the file before and after")
    if not after:
        raise BadRowError("a file that is emptied")
    if max(len(before), len(after)) > LONGEST_SHOWN or not (fits(before) and fits(after)):
        raise BadRowError(TOO_LONG)
    if before and _path(row, "old_file", "new_file") != path:
        raise BadRowError(NOT_EDITS)
    _check(message, path, before, after)
    repos = [one for part in told(row, "repos").split(",") if (one := name(part))]
    licence = spdx_of(name(told(row, "license")))
    old = path if before else None
    commit = MinedCommit(
        repo=repos[0] if repos else "commitpackft", hash=name(told(row, "commit")), at=_PUBLISHED, message=message,
        changes=(FileChange(old, path, before or None, after),), tree=(path,) if old else (),
        read={path: before}.get, licence=licence,
    )  # fmt: skip
    makings = [making for making in derive(commit) if making.call_type in _TAUGHT]
    if not makings:
        raise BadRowError(NOT_EDITS)
    made = about(row, "commit") | ({"repo": repos[0]} if repos else {})
    group = repos[0] if repos else ""
    return tuple(
        lesson_of(one, one.signals, None).model_copy(
            update={"licence": licence, "group": group, "about": {**made, **_improved(one.about)}}
        )
        for one in makings
    )


def _path(row: Row, *keys: str) -> str:
    path = words(row, *keys).strip()
    if len(path) > _LONGEST_PATH or not _PATH.fullmatch(path) or not PurePosixPath(path).parts:
        raise BadRowError("a file's name that edits cannot hold")
    return path


def _check(message: str, path: str, before: str, after: str) -> None:
    """Judge the commit as a mined one is; raises BadRowError with the same reasons."""
    if before == after:
        raise BadRowError("nothing changes")
    lines = difflib.unified_diff(before.split("\n"), after.split("\n"), n=0, lineterm="")
    marks = [line[0] for line in lines if line[0] in "+-"][2:]  # two of them name the files
    reason = reason_against(Commit(message, "", "", 1, (Change(path, marks.count("+"), marks.count("-")),)))
    if reason == _OTHER_LANGUAGE and language_of(path):
        reason = fault_of(message)
    if reason:
        raise BadRowError(reason)


def _improved(made: dict[str, object]) -> dict[str, object]:
    return {"improves": made["improves"]} if "improves" in made else {}


COMMITPACKFT = RowReader(
    "commitpackft", "MIT", _PUBLISHED,
    ("commit", "old_file", "new_file", "old_contents", "new_contents", "subject", "message", "license", "repos"),
    _commit,
)  # fmt: skip
