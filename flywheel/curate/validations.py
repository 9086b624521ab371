"""Looking a dataset folder through before it is trained on: every problem with its file and row.

The folder comes from somebody else, so that nothing about it is taken for granted. Rows are read one at a time; what is
remembered of each is 24 bytes (of pairs and judgements 48), by which rows and questions that stand in two places are
found at the end. A row that rehearses (`"replay": true`) may stand in its part again.
"""

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pydantic import Field

from flywheel.core.errors import MisuseError
from flywheel.core.frozen import Frozen
from flywheel.curate.lesson_rules import inspect_lesson, kind_of_row
from flywheel.curate.row_rules import RULES, Level, inspect_row

PARTS = ("train", "valid", "test", "pairs", "pairs_valid", "judged", "judged_valid")
TEACHING = ("train", "pairs", "judged")
VALIDATING = ("valid", "pairs_valid", "judged_valid")
_KINDS = {"pairs": "pair", "pairs_valid": "pair", "judged": "judgement", "judged_valid": "judgement"}
_MOST_OF_A_LABEL = 4  # for each of the other
LONGEST_ROW = 16 << 20
_CHUNK = 1 << 20
_BOM = b"\xef\xbb\xbf"
_PLACE_BITS = 48

Say = Callable[[int, int], None]


class Problem(Frozen):
    """One thing that is wrong: in which file, in which row (0: in all of it), by which rule."""

    file: str
    row: int
    rule: str
    level: Level
    reason: str


class Part(Frozen):
    """What a file holds."""

    rows: int
    bytes: int
    characters: int
    tool_rows: int


class Validation(Frozen):
    """What was found altogether; a dataset with an error fails."""

    parts: dict[str, Part]
    rules: dict[str, int] = Field(default_factory=dict)
    errors: int = 0
    warnings: int = 0
    tool_share: float = 0.0

    @property
    def fails(self) -> bool:
        """Tell whether the dataset must not be trained on."""
        return self.errors > 0


class Shares(NamedTuple):
    """Which part of the rows should call tools."""

    least: float = 0.1
    most: float = 0.8


class Inspection:
    """One look at a folder, or at a single file: ask for the problems first, then for the sum."""

    def __init__(self, path: Path, say: Say, shares: Shares | None = None) -> None:
        """Look at what lies there; `say` is told how many bytes of how many were read."""
        self._files = _files_of(path)
        self._say = say
        self._shares = shares or Shares()
        self._total = sum(file.stat().st_size for file in self._files)
        self._read = 0
        self._rules: Counter[str] = Counter()
        self._parts: dict[str, Part] = {}
        self._seen = _Seen([file.name for file in self._files])
        self._folder = path.is_dir()

    def problems(self) -> Iterator[Problem]:
        """Yield every problem, file by file, and at the end those of the whole."""
        for problem in self._all():
            self._rules[problem.rule] += 1
            yield problem

    def result(self) -> Validation:
        """Return the sum of what was found."""
        levels = Counter[str]()
        for rule, count in self._rules.items():
            levels[RULES[rule][0]] += count
        return Validation(
            parts=self._parts,
            rules=dict(sorted(self._rules.items())),
            errors=levels["error"],
            warnings=levels["warning"],
            tool_share=self._tool_share(),
        )

    def _all(self) -> Iterator[Problem]:
        if self._folder and not any(file.stem in TEACHING for file in self._files):
            yield _problem("train.jsonl", 0, "missing", "there is no train.jsonl, nor pairs.jsonl nor judged.jsonl")
        for number, file in enumerate(self._files):
            yield from self._of_file(number, file)
        yield from self._seen.repeated()
        yield from self._seen.contradicted()
        yield from self._of_shares()

    def _of_file(self, number: int, file: Path) -> Iterator[Problem]:
        tally = Counter[str]()
        try:
            with file.open("rb") as held:
                for row, line in enumerate(_lines(held), 1):
                    self._advance(line.size)
                    for rule, reason in self._of_line(line, (number, row), tally):
                        yield _problem(file.name, row, rule, reason)
        except OSError as error:
            yield _problem(file.name, 0, "unreadable", f"it cannot be read: {error.strerror}")
            return
        if not tally["rows"]:
            yield _problem(file.name, 0, "no-rows", "it has no rows")
        if tally["crlf"]:
            reason = f"{tally['crlf']} lines end in a carriage return and a line feed"
            yield _problem(file.name, 0, "crlf", reason)
        yield from _of_labels(file, tally)
        self._parts[file.stem] = Part(rows=tally["rows"], bytes=tally["bytes"], characters=tally["characters"],
                                      tool_rows=tally["tools"])  # fmt: skip

    def _of_line(self, line: "_Line", place: tuple[int, int], tally: Counter[str]) -> Iterator[tuple[str, str]]:
        tally["bytes"] += line.size
        tally["crlf"] += line.data.endswith(b"\r\n")
        if line.data and not line.data.strip():
            yield "blank", "the line is blank"
            return
        tally["rows"] += 1
        if not line.whole:
            yield "no-last-break", "the line does not end in a line feed"
        if not line.data:
            yield "too-large", f"the row has {line.size:,} bytes"
            return
        try:
            yield from self._of_row(_value(line), place, tally)
        except _BrokenError as error:
            yield error.rule, str(error)

    def _of_row(self, value: Any, place: tuple[int, int], tally: Counter[str]) -> Iterator[tuple[str, str]]:
        wanted, kind = _KINDS.get(self._files[place[0]].stem), kind_of_row(value)
        if wanted is not None and kind != wanted:
            yield "wrong-type", f"the row is no {wanted}"
            return
        lesson = inspect_lesson(value) if kind != "conversation" else None
        row = lesson.row if lesson else inspect_row(value)
        if lesson and lesson.label is not None:
            tally["good" if lesson.label else "bad"] += 1
        if lesson and lesson.opposite is not None and row.whole is not None:
            self._seen.add_opposite(row.whole, lesson.opposite, place)
        tally["tools"] += row.calls_tools
        tally["characters"] += _characters(value)
        if row.question is not None and row.whole is not None and value.get("replay") is not True:
            self._seen.add(row.question, row.whole, place)
        yield from row.problems

    def _advance(self, count: int) -> None:
        self._read += count
        self._say(self._read, self._total)

    def _tool_share(self) -> float:
        rows = sum(part.rows for part in self._parts.values())
        return round(sum(part.tool_rows for part in self._parts.values()) / rows, 4) if rows else 0.0

    def _of_shares(self) -> Iterator[Problem]:
        share = self._tool_share()
        if not any(part.rows for part in self._parts.values()):
            return
        told = f"{share:.1%} of the rows call tools"
        if share > self._shares.most:
            yield _problem("", 0, "many-tools", f"{told}, more than {self._shares.most:.0%}")
        elif share < self._shares.least:
            yield _problem("", 0, "few-tools", f"{told}, less than {self._shares.least:.0%}")


class _Line(NamedTuple):
    """A line; one that is too long has a size and no data. `whole`: a line feed ends it."""

    data: bytes
    size: int
    whole: bool


def _lines(file: BinaryIO) -> Iterator[_Line]:
    """Read lines of any length without holding more than the longest row of one."""
    while data := file.readline(LONGEST_ROW + 1):
        if len(data) <= LONGEST_ROW or data.endswith(b"\n"):
            yield _Line(data, len(data), data.endswith(b"\n"))
        else:
            yield _skipped(file, len(data))


def _skipped(file: BinaryIO, size: int) -> _Line:
    while more := file.readline(_CHUNK):
        size += len(more)
        if more.endswith(b"\n"):
            return _Line(b"", size, whole=True)
    return _Line(b"", size, whole=False)


class _BrokenError(ValueError):
    """A line is no JSON value; says the rule and the reason."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


def _value(line: _Line) -> Any:
    if line.data.startswith(_BOM):
        raise _BrokenError("bom", "a byte order mark stands before the row")
    try:
        return json.loads(line.data.rstrip(b"\r\n").decode(), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise _BrokenError("not-utf8", f"byte {error.start + 1} is not UTF-8") from error
    except RecursionError as error:
        raise _BrokenError("not-json", "the row is nested too deep") from error
    except json.JSONDecodeError as error:
        if not line.whole:
            raise _BrokenError("torn", "the last line ends in the middle of a row") from error
        raise _BrokenError("not-json", f"{error.msg} at character {error.pos + 1}") from error
    except ValueError as error:
        raise _BrokenError("not-json", str(error).partition(";")[0]) from error


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON value")


def _of_labels(file: Path, tally: Counter[str]) -> Iterator[Problem]:
    fewer, more = sorted((tally["good"], tally["bad"]))
    if not more or file.stem in VALIDATING:
        return
    if not fewer:
        yield _problem(
            file.name, 0, "one-label", f"all {more} judgements are of {'good' if tally['good'] else 'bad'} answers"
        )
    elif more > _MOST_OF_A_LABEL * fewer:
        told = f"{tally['good']} judgements of good answers and {tally['bad']} of bad ones"
        yield _problem(file.name, 0, "lopsided", told)


def _characters(value: Any) -> int:
    if not isinstance(value, dict):
        return 0
    held = [one for name in ("messages", "prompt") if isinstance(value.get(name), list) for one in value[name]]
    held += [{"content": value.get(name)} for name in ("chosen", "rejected", "completion")]
    return sum(len(one["content"]) for one in held if isinstance(one, dict) and isinstance(one.get("content"), str))


class _Seen:
    """Which rows and questions were seen where: three numbers a row."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._sides = [_side(name) for name in names]
        self._questions, self._wholes, self._places = array("Q"), array("Q"), array("Q")
        self._lessons, self._opposites, self._lesson_places = array("Q"), array("Q"), array("Q")

    def add(self, question: str, whole: str, place: tuple[int, int]) -> None:
        """Remember a row."""
        self._questions.append(int(question[:16], 16))
        self._wholes.append(int(whole[:16], 16))
        self._places.append(place[0] << _PLACE_BITS | place[1])

    def add_opposite(self, whole: str, opposite: str, place: tuple[int, int]) -> None:
        """Remember what a pair or a judgement says, and what would say the opposite."""
        self._lessons.append(int(whole[:16], 16))
        self._opposites.append(int(opposite[:16], 16))
        self._lesson_places.append(place[0] << _PLACE_BITS | place[1])

    def contradicted(self) -> Iterator[Problem]:
        """Yield the rows that say the opposite of a row before them."""
        for earlier, later in _opposed(self._lessons, self._opposites):
            here, there = self._place(self._lesson_places[later]), self._place(self._lesson_places[earlier])
            yield _problem(*here, "contradiction", f"it says the opposite of {there[0]}:{there[1]}")

    def repeated(self) -> Iterator[Problem]:
        """Yield the rows that stand twice, then the questions that stand in two parts and are not among them."""
        told: set[int] = set()
        for first, again in _repeated(self._wholes, self._places):
            here, there = self._place(again), self._place(first)
            rule = "duplicate" if here[0] == there[0] else "leak"
            told.add(again)
            yield _problem(*here, rule, f"the row is that of {there[0]}:{there[1]}")
        for first, again in _repeated(self._questions, self._places):
            here, there = self._place(again), self._place(first)
            sides = {self._sides[place >> _PLACE_BITS] for place in (again, first)}
            if len(sides) > 1 and again not in told:
                yield _problem(*here, "question-leak", f"the question is that of {there[0]}:{there[1]}")

    def _place(self, place: int) -> tuple[str, int]:
        return self._names[place >> _PLACE_BITS], place & ((1 << _PLACE_BITS) - 1)


def _repeated(keys: "array[int]", places: "array[int]") -> Iterator[tuple[int, int]]:
    """Yield the first place and each later place of every key that occurs again, in the order of the later places."""
    import numpy as np

    if len(keys) < 2:  # noqa: PLR2004 - one alone repeats nothing
        return
    held, where = np.frombuffer(keys, dtype=np.uint64), np.frombuffer(places, dtype=np.uint64)
    order = np.argsort(held, kind="stable")
    ordered = held[order]
    again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    starts = np.maximum.accumulate(np.where(np.r_[True, ordered[1:] != ordered[:-1]], np.arange(len(ordered)), 0))
    for later, first in sorted(zip(where[order[again]].tolist(), where[order[starts[again]]].tolist(), strict=True)):
        yield first, later


def _opposed(wholes: "array[int]", opposites: "array[int]") -> Iterator[tuple[int, int]]:
    """Yield for each row that says the opposite of an earlier one the numbers of the first such and of its own."""
    import numpy as np

    if not wholes:
        return
    held, wanted = np.frombuffer(wholes, dtype=np.uint64), np.frombuffer(opposites, dtype=np.uint64)
    order = np.argsort(held, kind="stable")
    at = np.minimum(np.searchsorted(held[order], wanted), len(held) - 1)
    found = order[at]
    for later in np.flatnonzero((held[found] == wanted) & (found < np.arange(len(held)))).tolist():
        yield int(found[later]), later


def _side(name: str) -> str:
    """Return on which side of the split a file stands; a file of another name stands for itself."""
    stem = name.removesuffix(".jsonl")
    return "teaching" if stem in TEACHING else "validating" if stem in VALIDATING else stem


def _files_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise MisuseError(f"there is no dataset at {path}", "name a folder with train.jsonl, or one file")
    return [file for part in PARTS if (file := path / f"{part}.jsonl").is_file()]


def _problem(file: str, row: int, rule: str, reason: str) -> Problem:
    return Problem(file=file, row=row, rule=rule, level=RULES[rule][0], reason=reason)
