"""Scores files one by one and all together."""

import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

from flywheel.bootstrap.handler_counts import Counts, count
from flywheel.bootstrap.python_files import Found
from flywheel.bootstrap.scores import SCALES, Score, score

Row = tuple[str, Score, Counts]


class ScoreReport(NamedTuple):
    """The score of all files as one, of each of them, and what could not be read."""

    total: Score
    counts: Counts
    files: tuple[Row, ...]
    unread: tuple[tuple[str, str], ...]

    def body(self, files: int) -> dict[str, Any]:
        """Return it as JSON says it, with so many of the files."""
        return {
            **score_body(self.total),
            "lines": self.counts.lines,
            "counts": self.counts._asdict(),
            "scored_files": len(self.files),
            "files": [{"file": name, **score_body(one), "lines": counts.lines}
                      for name, one, counts in self.files[:files]],
            "unread": [{"file": name, "reason": reason} for name, reason in self.unread],
        }  # fmt: skip


def score_files(found: Iterable[Found]) -> ScoreReport:
    """Score files; the lowest come first, and of the same score the longer ones, as there most is to be mended."""
    rows: list[Row] = []
    unread: list[tuple[str, str]] = []
    total = Counts()
    for file in found:
        seen = _count(file)
        if isinstance(seen, str):
            unread.append((file.name, seen))
            continue
        total = total.plus(seen)
        rows.append((file.name, score(seen), seen))
    rows.sort(key=lambda row: (row[1].grade == "too small", row[1].points, -row[2].lines, row[0]))
    return ScoreReport(score(total), total, tuple(rows), tuple(unread))


def score_body(found: Score) -> dict[str, Any]:
    """Return a score as JSON says it."""
    metrics = {
        name: {"value": metric.value, "points": metric.points, "of": SCALES[name].points}
        for name, metric in found.metrics.items()
    }
    return {"score": found.points, "grade": found.grade, "metrics": metrics}


def _count(file: Found) -> Counts | str:
    if file.problem:
        return file.problem
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of somebody else's code: theirs to mend
            return count(file.text)
    except (SyntaxError, ValueError):
        return "is no Python that this version reads"
    except (RecursionError, MemoryError):
        return "nests too deep"
