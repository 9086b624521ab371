"""The values between gathering and planning: how each line's pool stands at one moment. Pure."""

from datetime import datetime

from pydantic import Field

from flywheel.core.examples import DatasetManifest
from flywheel.core.facts import Value
from flywheel.core.frozen import Frozen
from flywheel.core.lines import Line
from flywheel.core.requests import Request


class LineSituation(Frozen):
    """One line: what waits, what is fresh, what was frozen last, and what is under way.

    `since` is when the last dataset was frozen, or else when the first example happened; `in_flight` says that the
    last dataset has not been trained yet, or that long work of the line runs; `failed` says that its last run failed;
    `outgrown` says why the last dataset is not what the line learns from now, and is empty when it is. Pairs and bad
    answers are counted as far as the line's technique asks for them.
    """

    line: Line
    waiting: bool = False
    fresh: int = 0
    examples: int = 0
    pairs: int = 0
    fresh_pairs: int = 0
    bad: int = 0
    fresh_bad: int = 0
    outgrown: str = ""
    last: DatasetManifest | None = None
    since: datetime | None = None
    in_flight: bool = False
    failed: bool = False
    request: Request | None = None
    ingested: int | None = None
    admitted: int | None = None
    facts: dict[str, Value] = Field(default_factory=dict)

    @property
    def asks_for_dataset(self) -> bool:
        """Tell whether a person wants a dataset alone, whatever becomes of it."""
        return self.request is not None and self.request.kind == "freeze"


class Situation(Frozen):
    """All lines at one moment; `published` is an adapter nobody has compared yet with what has fallen since."""

    now: datetime
    lines: tuple[LineSituation, ...] = ()
    published: int | None = None
