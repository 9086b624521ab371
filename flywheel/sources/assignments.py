"""Which line an outcome teaches: the one line that selects it. Pure."""

from collections.abc import Mapping

from flywheel.core.ids import content_hash
from flywheel.core.lines import Line
from flywheel.core.outcomes import Outcome

NOBODY = "no line selects it"
AMBIGUOUS = "more than one line selects it"


def assign(outcome: Outcome, lines: Mapping[str, Line]) -> Outcome:
    """Return the outcome with its line; without exactly one it teaches nobody and says why."""
    selecting = [name for name, line in lines.items() if selects(line, outcome.source, outcome.call_type)]
    if len(selecting) == 1:
        return outcome.model_copy(update={"line": selecting[0]})
    reason = AMBIGUOUS if selecting else NOBODY
    return outcome.model_copy(update={"line": None, "extra": {**outcome.extra, "unassigned": reason}})


def selects(line: Line, source: str, call_type: str | None = None) -> bool:
    """Tell whether a line takes outcomes of a source, and of a type of call; naming none means all."""
    select = line.select
    of_source = not select.sources or source in select.sources
    return of_source and (call_type is None or not select.call_types or call_type in select.call_types)


def selection_digest(lines: Mapping[str, Line]) -> str:
    """Return the identity of all selections together: when it changes, outcomes have to be assigned anew."""
    return content_hash({name: line.select.model_dump(mode="json") for name, line in lines.items()})
