"""What the shelf holds for one line: made for it, or selected by it."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from flywheel.bootstrap.shelves import Shelf
from flywheel.bootstrap.teacher_tasks import Material
from flywheel.core.labels import judge
from flywheel.core.lines import Line
from flywheel.core.makings import SHELF_SOURCE, Making, Recipe
from flywheel.core.outcomes import Label
from flywheel.core.selections import takes

_A_PAGE = 100
FOUND: tuple[Recipe, ...] = ("mine", "import", "lintseq")


class Held(NamedTuple):
    """A making, and the task of the shelf that it lies under."""

    task: str
    making: Making


def makings_for(
    material: Material, call_types: Collection[str] = (), recipes: Collection[Recipe] = FOUND
) -> Iterator[Held]:
    """Yield what the shelf holds for a line of these kinds, in one order; it may be written meanwhile."""
    for held in _all(material.shelf):
        making = held.making
        wanted = making.recipe in recipes and (not call_types or making.call_type in call_types)
        if wanted and is_for(material.line, making):
            yield held


def is_for(line: Line, making: Making) -> bool:
    """Tell whether a making teaches a line."""
    if making.line is not None:
        return making.line == line.name
    return takes(line, SHELF_SOURCE, making.call_type, making.tags)


def is_sure(line: Line, making: Making) -> bool:
    """Tell whether a making is a good answer, as surely as the line wants it."""
    labelled = judge(making.signals)
    return labelled.label is Label.POSITIVE and labelled.confidence >= line.labels.minimum_confidence


def _all(shelf: Shelf) -> Iterator[Held]:
    behind = ""
    while page := shelf.tasks_behind(behind, _A_PAGE):
        for task, makings in page:
            for making in makings:
                yield Held(task, making)
        behind = page[-1][0]
