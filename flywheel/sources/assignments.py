"""Which line an outcome teaches: the one line that selects it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flywheel.core.ids import content_hash
from flywheel.core.lines import Line
from flywheel.core.outcomes import Outcome
from flywheel.core.selections import takes

MADE_FOR = "made_for"  # in an outcome's `extra`: the line that a cold start made it for
NOBODY = "no line selects it"
AMBIGUOUS = "more than one line selects it"


def assign(outcomes: Iterable[Outcome], lines: Mapping[str, Line]) -> list[Outcome]:
    """Return outcomes with their lines; one without exactly one line teaches nobody and says why."""
    selecting: dict[tuple[str, str, tuple[str, ...], Any], list[str]] = {}  # few differ in what lines select by
    assigned = []
    for outcome in outcomes:
        kind = (outcome.source, outcome.call_type, outcome.tags, outcome.extra.get(MADE_FOR))
        if kind not in selecting:
            selecting[kind] = [name for name, line in lines.items() if _takes(line, outcome)]
        assigned.append(_assigned(outcome, selecting[kind]))
    return assigned


def _assigned(outcome: Outcome, selecting: Sequence[str]) -> Outcome:
    if len(selecting) == 1:
        return outcome.model_copy(update={"line": selecting[0]})
    reason = AMBIGUOUS if selecting else NOBODY
    return outcome.model_copy(update={"line": None, "extra": {**outcome.extra, "unassigned": reason}})


def _takes(line: Line, outcome: Outcome) -> bool:
    wanted = outcome.extra.get(MADE_FOR)
    if wanted is not None:  # made on purpose: for this line, whatever it selects of what was logged
        return bool(wanted == line.name)
    return takes(line, outcome.source, outcome.call_type, outcome.tags)


def selection_digest(lines: Mapping[str, Line]) -> str:
    """Return the identity of all selections together: when it changes, outcomes have to be assigned anew."""
    return content_hash({name: line.select.model_dump(mode="json") for name, line in lines.items()})
