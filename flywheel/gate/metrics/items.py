"""Right is: the same set of names, whatever their order: files or symbols that a piece of work needs."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from flywheel.core.code_blocks import fenced
from flywheel.core.json_values import read_json
from flywheel.core.thoughts import after_thoughts
from flywheel.gate.metrics.scores import Expectation, Score

_NAMED = ("path", "file_path", "file", "name", "symbol", "id")
_VERDICTS = ("verdict", "detail_level", "included", "relevant", "keep")
_LEFT_OUT = (False, "irrelevant", "excluded", "exclude", "no", "drop", "false")
_POINT = re.compile(r"\s*(?:[-*\u2022+]|\d{1,3}[.)])\s+(.+)")
_QUOTED = re.compile(r"`([^`]+)`")
_REMARK = re.compile(r"\s+(?:[-\u2013\u2014]|:|\()\s*|:\s|\s+#\s")
_MOST_STARTS, _MOST_BLOCKS = 6, 20
_MOST_TOLD = 3


class ItemsMetric:
    """Scores 1 when the sets are equal, and reports precision, recall and F1 of the ones that are not."""

    name = "items"

    def expect(self, answer: str) -> Expectation | None:
        """Return the names of a held-out answer; None when it lists none."""
        found = items_in(answer)
        return Expectation(sorted(set(found)), format="items") if found else None

    def score(self, expected: Any, text: str, native: Sequence[Any] = ()) -> Score:  # noqa: ARG002 - text decides
        """Compare two sets of names."""
        if not text.strip():
            return Score(0.0, "the answer is empty", unusable=True)
        found = items_in(text)
        if found is None:
            return Score(0.0, "no list was found", unusable=True)
        wanted, seen = {_normal(one) for one in expected}, {_normal(one) for one in found}
        return Score(float(wanted == seen), _difference(wanted, seen), "items", parts=shares(wanted, seen))


def shares(wanted: set[str], seen: set[str]) -> dict[str, float]:
    """Return precision, recall and F1; nothing wanted and nothing named is right throughout."""
    hits = len(wanted & seen)
    precision = hits / len(seen) if seen else float(not wanted)
    recall = hits / len(wanted) if wanted else float(not seen)
    both = len(wanted) + len(seen)
    return {"precision": precision, "recall": recall, "f1": 2 * hits / both if both else 1.0}


def items_in(text: str) -> list[str] | None:
    """Return the names that an answer lists, as JSON, as points, or one a line; None when it lists nothing.

    An empty JSON list is a list: of nothing.
    """
    said = after_thoughts(text).strip()
    for part in [*(block.code for block in list(fenced(said))[: -_MOST_BLOCKS - 1 : -1]), said]:
        found = _from_json(part)
        if found is None and not _is_json(part):
            found = _from_points(part) or _from_lines(part)
        if found is not None:
            return found
    return None


def _from_json(text: str) -> list[str] | None:
    for part in _candidates(text):
        readable, value = read_json(part)
        names = _names(value) if readable else None
        if names is not None:
            return names
    return None


def _is_json(text: str) -> bool:
    readable, value = read_json(text)
    return readable and not isinstance(value, str)


def _candidates(text: str) -> Iterator[str]:
    """Return the whole text, then what stands between some of the brackets that open and the last that closes."""
    yield text
    for opening, closing in (("{", "}"), ("[", "]")):
        end = text.rfind(closing) + 1
        starts = [found.start() for found in re.finditer(re.escape(opening), text[:end])]
        for start in dict.fromkeys([*starts[:_MOST_STARTS], *starts[-_MOST_STARTS:]]):
            yield text[start:end]


def _names(value: Any) -> list[str] | None:
    if isinstance(value, dict):
        lists = [one for one in value.values() if isinstance(one, list)]
        return _names(lists[0]) if len(lists) == 1 else None
    if not isinstance(value, list):
        return None
    names = [_name(one) for one in value]
    return [name for name in names if name] if all(name is not None for name in names) else None


def _name(value: Any) -> str | None:
    """Return the name of one entry; empty when it is named to be left out, None when it is no name."""
    if isinstance(value, str):
        return value.strip() or None
    if not isinstance(value, dict):
        return None
    name = next((value[key] for key in _NAMED if isinstance(value.get(key), str) and value[key].strip()), None)
    verdict = next((value[key] for key in _VERDICTS if key in value), True)
    out = (verdict.strip().lower() if isinstance(verdict, str) else verdict) in _LEFT_OUT if _plain(verdict) else False
    return "" if name is not None and out else name


def _plain(value: Any) -> bool:
    return isinstance(value, str | bool)


def _from_points(text: str) -> list[str] | None:
    points = [point[1] for line in text.split("\n") if (point := _POINT.fullmatch(line))]
    return [name for point in points if (name := _pointed(point))] or None


def _pointed(point: str) -> str:
    quoted = _QUOTED.search(point)
    plain = " ".join(point.replace("**", "").split())
    return quoted[1].strip() if quoted else _REMARK.split(plain)[0].strip(" \"'*,")


def _from_lines(text: str) -> list[str] | None:
    """Return the words of a text that has one a line, or separates them by commas; None when it reads like prose."""
    parts = [part.strip(" \t\r\"'`") for line in text.split("\n") for part in line.split(",")]
    names = [part for part in parts if part]
    return names if names and not any(re.search(r"\s", name) for name in names) else None


def _normal(name: str) -> str:
    return name.strip().removeprefix("./")


def _difference(wanted: set[str], seen: set[str]) -> str:
    told = [_told("missing", wanted - seen), _told("not expected", seen - wanted)]
    return "; ".join(part for part in told if part)


def _told(what: str, names: set[str]) -> str:
    shown = ", ".join(json.dumps(name, ensure_ascii=False)[:60] for name in sorted(names)[:_MOST_TOLD])
    more = len(names) - _MOST_TOLD
    return f"{what}: {shown}{f' and {more} more' if more > 0 else ''}" if names else ""
