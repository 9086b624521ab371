"""The curves a training run drew: read from the event files it wrote for TensorBoard, or from what it told.

A file is a row of records: the length of an event, its checksum, the event, its checksum. Checksums are not looked at:
a torn record is the last one of a file that is still written, and everything else here only draws a line.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flywheel.proc.logs import read_events

_LENGTH, _CHECKSUM = 8, 4
_LARGEST = 1 << 20  # a longer event is no event of ours
#: Names of the numbers in a job's own words, by event.
_TOLD = {
    "step": {"loss": "train/loss", "learning_rate": "train/learning_rate"},
    "eval": {"loss": "eval/loss"},
}


class Point(NamedTuple):
    """One number of a curve."""

    step: int
    value: float


Curves = dict[str, list[Point]]


def read_curves(run: Path) -> Curves:
    """Return a run's curves by name, each in the order of its steps; nothing where the run left none."""
    files = sorted(run.glob("**/tensorboard/events.out.tfevents.*"), key=lambda file: file.name)
    found: Curves = {}
    for folder in dict.fromkeys(file.parent for file in files):
        for name, points in _folder(sorted(folder.glob("events.out.tfevents.*"))).items():
            found.setdefault(name, []).extend(points.values())
    return {name: sorted(points) for name, points in (found or _told(run / "log.jsonl")).items()}


def thinned(points: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many points, evenly chosen, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    return [points[round(place * (len(points) - 1) / (most - 1))] for place in range(most)]


def _folder(files: list[Path]) -> dict[str, dict[int, Point]]:
    """Return the curves of one folder: a later file takes back what older ones say from its first step on."""
    found: dict[str, dict[int, Point]] = {}
    for file in files:
        for step, values in _events(file):
            if values is None:
                found = {name: {s: p for s, p in points.items() if s < step} for name, points in found.items()}
                continue
            for name, value in values:
                found.setdefault(name, {})[step] = Point(step, value)
    return found


def _told(log: Path) -> Curves:
    found: Curves = {}
    for event in read_events(log).events:
        for key, name in _TOLD.get(str(event.get("event")), {}).items():
            step, value = event.get("step"), event.get(key)
            if isinstance(step, int) and isinstance(value, int | float):
                found.setdefault(name, []).append(Point(step, float(value)))
    return found


def _events(file: Path) -> Iterator[tuple[int, list[tuple[str, float]] | None]]:
    """Yield the steps of a file with their numbers, and a step without numbers where it begins anew."""
    try:
        data = file.read_bytes()
    except OSError:
        return
    at = 0
    while at + _LENGTH + _CHECKSUM <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        begin = at + _LENGTH + _CHECKSUM
        at = begin + length + _CHECKSUM
        if length > _LARGEST or at > len(data):
            return
        fields = dict(_fields(data[begin : begin + length]))
        step = fields.get(2, 0)
        if isinstance(step, int) and 7 in fields:  # noqa: PLR2004 - a session log: the run begins at this step
            yield step, None
        elif isinstance(step, int) and isinstance(summary := fields.get(5), bytes):
            yield step, list(_scalars(summary))


def _scalars(summary: bytes) -> Iterator[tuple[str, float]]:
    for field, value in _fields(summary):
        if field == 1 and isinstance(value, bytes):
            told = dict(_fields(value))
            name, number = told.get(1), told.get(2)
            if isinstance(name, bytes) and isinstance(number, float):
                yield name.decode("utf-8", "replace"), number


def _fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Yield the fields of a protocol message; what is torn ends it."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        field, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield field, value
            continue
        length, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}.get(kind, len(message)), at)  # noqa: PLR2004
        part, at = message[at : at + length], at + length
        if at > len(message):
            return
        yield field, struct.unpack("<f", part)[0] if kind == 5 else part  # noqa: PLR2004 - a float of four bytes


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - seven bits a byte
            break
    return value, at
