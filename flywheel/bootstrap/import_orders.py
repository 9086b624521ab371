"""What is to be imported, and how far that got: values of the importer. Pure."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from flywheel import __version__
from flywheel.core.ids import content_hash, short

_FIRSTS = 3


class Order(NamedTuple):
    """What is to be imported of which files; each of them with what tells it from others.

    Of `sample` rows drawn by `seed`, or of all; at most so many that teach (`limit`); for one line alone, if one is
    named; with the licence of rows that name none.
    """

    dataset: str
    files: tuple[tuple[Path, str], ...]
    licence: str
    line: str | None = None
    sample: int | None = None
    seed: int = 0
    limit: int | None = None

    @property
    def mark(self) -> str:
        """Return the name under which the shelf knows how far this got: the same order goes on, another begins."""
        prints = [one for _, one in self.files]
        told = [prints, self.licence, self.line, self.sample, self.seed, self.limit, __version__]
        return f"import/{self.dataset}/{short(content_hash(told))}"


class Report(NamedTuple):
    """How far an import got: rows that were looked at, those that teach, and the others by their first reason.

    `firsts` names the first rows for each reason; `largest` is the largest lot of the sample.
    """

    rows: int = 0
    kept: int = 0
    makings: int = 0
    rejected: dict[str, int] = {}  # noqa: RUF012 - never changed: counting gives another report
    firsts: dict[str, list[str]] = {}  # noqa: RUF012
    licences: dict[str, int] = {}  # noqa: RUF012
    file: int = 0
    row: int = 0
    largest: int | None = None
    done: bool = False

    def with_kept(self, makings: int, licences: Counter[str]) -> "Report":
        """Return the report after one more row that teaches."""
        held = Counter(self.licences) + licences
        return self._replace(
            rows=self.rows + 1, kept=self.kept + 1, makings=self.makings + makings, licences=dict(held)
        )

    def with_rejected(self, reason: str, place: str) -> "Report":
        """Return the report after one more row that teaches nothing."""
        counts = {**self.rejected, reason: self.rejected.get(reason, 0) + 1}
        firsts = {**self.firsts, reason: [*self.firsts.get(reason, []), place][:_FIRSTS]}
        return self._replace(rows=self.rows + 1, rejected=counts, firsts=firsts)

    def body(self) -> dict[str, Any]:
        """Return the report as its mark holds it."""
        return self._asdict()
