"""What readers of published changes share: edits that are proved, asked for as an agent asks for them. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise

from flywheel.bootstrap.commit_chains import level_of_change
from flywheel.bootstrap.dataset_rows import Lesson, asked
from flywheel.bootstrap.outlines import language_of
from flywheel.core.curricula import curriculum_tag
from flywheel.core.edits import Edit, EditError, apply_edits, parse_edits
from flywheel.core.foreign_rows import BadRowError
from flywheel.core.makings import Making
from flywheel.core.outcomes import Signal
from flywheel.core.written_edits import edits_between, render_edits

LONGEST_SHOWN = 48_000  # characters of files that are shown with one question
NOT_EDITS = "a change that edits cannot say"
TOO_LONG = "the file is longer than is shown"
_MOST_LOOKS = 2_000_000  # lines times the most of them that are alike: what comparing two versions may cost


def proved_edits(path: str, states: Sequence[str]) -> str:
    """Return edits that lead a file through all its states, byte for byte, as an answer has them."""
    files = {path: states[0]} if states[0] else {}
    if any(len(state) > LONGEST_SHOWN or not fits(state) for state in states):
        raise BadRowError(TOO_LONG)
    edits: list[Edit] = []
    try:
        for before, after in pairwise(states):
            edits += edits_between(path, before or None, after)
        written = render_edits(edits)
        made = apply_edits(files, parse_edits(written))
    except EditError as error:
        raise BadRowError(NOT_EDITS) from error
    if not edits or made.get(path) != states[-1]:
        raise BadRowError(NOT_EDITS if edits else "nothing changes")
    return written


def fits(text: str, times: int = 1) -> bool:
    """Tell whether two versions of a file can be compared in no time; many lines that are alike make it long."""
    lines = Counter(text.split("\n"))
    return lines.total() * max(lines.values()) <= times * _MOST_LOOKS


def asking_edits(order: str, files: Mapping[str, str]) -> str:
    """Return the question for edits of files; empty ones are told to be new."""
    shown = "\n\n".join(
        f'<file path="{path}">\n{text}\n</file>' if text else f"{path} is a new file." for path, text in files.items()
    )
    if len(shown) > LONGEST_SHOWN:
        raise BadRowError("more files than are shown with a question")
    return f"Task: {order}\n\n{shown}\n\nAnswer with edits."


def tags_of_change(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the language of a change, where it is one that is read here, and where in a curriculum it stands."""
    language = language_of(paths[0])
    named = (f"language:{'typescript' if language == 'tsx' else language}",) if language else ()
    return (*named, curriculum_tag(level_of_change(paths, 1)))


def lesson_of(making: Making, signals: Sequence[Signal], at: datetime | None) -> Lesson:
    """Return what was derived of a change as a lesson, with the dataset's own evidence."""
    return Lesson(
        key=making.key, call_type=making.call_type, messages=making.messages, response=making.response,
        signals=tuple(signals), group=making.group, at=at, model=making.model, tags=making.tags, about=making.about,
    )  # fmt: skip


def edit_lesson(question: str, answer: str, path: str, signals: Sequence[Signal], group: str = "") -> Lesson:
    """Return a question for edits with its answer."""
    return Lesson(
        call_type="execute_implement", messages=asked(question), response=answer, signals=tuple(signals), group=group,
        tags=tags_of_change([path]),
    )  # fmt: skip
