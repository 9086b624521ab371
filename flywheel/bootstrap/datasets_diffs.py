"""D3: Python files written diff by diff. Every diff has to fit, and becomes search-and-replace edits.

A row has a prompt with the file as it was and what is wanted, and a completion that repeats the prompt and goes on with
the diffs, each behind a mark. The diffs have no context and no names of files.
"""

from datetime import UTC, datetime
from typing import Any

from flywheel.bootstrap.dataset_answers import Row, RowReader, about, parses, text_or_nothing, words
from flywheel.bootstrap.dataset_edits import asking_edits, edit_lesson, proved_edits
from flywheel.bootstrap.dataset_listings import between, files_listed
from flywheel.bootstrap.dataset_rows import PUBLISHED, Lesson
from flywheel.bootstrap.licence_names import spdx_of
from flywheel.core.edits import EditError
from flywheel.core.foreign_rows import BadRowError, name, told
from flywheel.core.makings import UNKNOWN_LICENCE
from flywheel.core.patches import parse_patches

_MARK = "<|diff|>"
_MOST_DIFFS = 200


def _steps(row: Row) -> tuple[Lesson, ...]:
    prompt, completion = words(row, "prompt"), words(row, "completion")
    order = between(prompt, "issue")
    if not order:
        raise BadRowError("nothing is asked")
    path, shown = _file(prompt)
    began = text_or_nothing(row.get("program_start"))
    states = _states(_ended(shown if began is None else began), _diffs(prompt, completion))
    if not parses(states[-1]):
        raise BadRowError("its Python does not parse")
    question = asking_edits(order, {path: states[0]})
    program = name(told(row, "source_program_id"))
    lesson = edit_lesson(question, proved_edits(path, states), path, (PUBLISHED,), f"d3/{program}" if program else "")
    licence, licences = _licence(row)
    made = about(row, "source_program_id") | {"diffs": len(states) - 1} | licences
    return (lesson.model_copy(update={"licence": licence, "about": made}),)


def _file(prompt: str) -> tuple[str, str]:
    files = files_listed(prompt)
    if len(files) != 1:
        raise BadRowError("not one file in the prompt")
    return next(iter(files.items()))


def _diffs(prompt: str, completion: str) -> list[str]:
    written = completion.removeprefix(prompt)
    begun = written.find(_MARK)
    said = written[begun:].partition("\n</code>")[0] if begun >= 0 else ""
    diffs = [one.strip("\n") for one in said.split(_MARK) if one.strip()]
    if not diffs or len(diffs) > _MOST_DIFFS:
        raise BadRowError("more diffs than are read" if diffs else "no diffs")
    return diffs


def _states(start: str, diffs: list[str]) -> list[str]:
    """Return the file before and after each diff; raises BadRowError when one does not fit."""
    states = [start]
    for diff in diffs:
        try:
            patches = parse_patches(f"--- a/file\n+++ b/file\n{diff}\n") if diff.startswith("@@") else []
            if len(patches) != 1 or not patches[0].hunks:
                raise BadRowError("a diff cannot be read")
            states.append(patches[0].applied(states[-1]))
        except EditError as error:
            raise BadRowError("a diff does not fit its file") from error
    return states


def _ended(text: str) -> str:
    """Return a file whose last line ends, as the diffs count lines."""
    bare = text.strip("\n")
    return f"{bare}\n" if bare else ""


def _licence(row: Row) -> tuple[str, dict[str, Any]]:
    """Return the licence of the repository, empty where none is told; of several none is picked, and all are told."""
    metadata = row.get("metadata")
    held = metadata.get("max_stars_repo_licenses") if isinstance(metadata, dict) else None
    names = [spdx_of(name(one)) for one in held if isinstance(one, str)] if isinstance(held, list) else []
    if len(names) == 1:
        return names[0], {}
    return (UNKNOWN_LICENCE, {"licences": names[:10]}) if names else ("", {})


D3 = RowReader(
    "d3", UNKNOWN_LICENCE, datetime(2025, 3, 6, tzinfo=UTC),
    ("prompt", "completion", "program_start", "source_program_id", "metadata"), _steps,
)  # fmt: skip
