"""Finds agents' records and counts what they hold. Opens everything read-only, and writes nothing."""

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from flywheel.cli.init_choices import LANGUAGE
from flywheel.cli.init_findings import FoundSource, PassedOver
from flywheel.cli.init_places import Place
from flywheel.core.outcomes import Label
from flywheel.sources.detections import Detected, detect
from flywheel.sources.probes import probe_source
from flywheel.sources.problems import SourceProblemError

COUNT_SECONDS = 60.0  # for all of them together: a record that was not counted by then is watched all the same
_AT_ONCE = 2
_SMALL = 16 << 20  # bytes: read in no time, and here
_SEARCHED = frozenset({"generic", "clean-room", "fleet"})  # what is looked for where nobody is known to keep it

Found = tuple[list[FoundSource], list[PassedOver]]


def look_at(places: Iterable[Place]) -> Found:
    """Tell what stands at these places, each record once; what is no record is only told of where one was expected."""
    sources: dict[Path, FoundSource] = {}
    passed: dict[Path, PassedOver] = {}
    for place in places:
        told = _told(place)
        if isinstance(told, PassedOver) and place.sure:
            passed.setdefault(told.path, told)
        elif isinstance(told, FoundSource) and (place.sure or told.kind in _SEARCHED):
            sources.setdefault(told.path.resolve(), told)
    return list(sources.values()), list(passed.values())


def counted(sources: Iterable[FoundSource], seconds: float = COUNT_SECONDS) -> list[FoundSource]:
    """Return the sources with what they hold; what is not small is read by other processes, which have so long."""
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda source: _count(source, max(0.001, end - time.monotonic())), sources))


def _told(place: Place) -> FoundSource | PassedOver:
    path = place.path.absolute()
    try:
        str(path).encode()
        found = detect(path)
    except UnicodeEncodeError:
        shown = str(path).encode(errors="backslashreplace").decode()
        return PassedOver(path=Path(shown), problem="has a name that settings cannot say", mend="rename it")
    except SourceProblemError as error:
        return PassedOver(path=path, problem=error.message, mend=error.mend)
    return PassedOver(path=path, problem=found.problem, mend=found.mend) if found.problem else _source(found)


def _source(found: Detected) -> FoundSource:
    return FoundSource(kind=found.kind, path=found.path.absolute(), version=found.version)


def _count(source: FoundSource, seconds: float) -> FoundSource:
    if not source.there:
        return source
    told = _probe(source, seconds)
    if not told:
        return source
    tags: Mapping[str, Mapping[str, int]] = told.get("tags", {})
    languages = {tag.removeprefix(LANGUAGE): labels.get(Label.POSITIVE.value, 0)
                 for tag, labels in tags.items() if tag.startswith(LANGUAGE)}  # fmt: skip
    return source.model_copy(
        update={
            "outcomes": told.get("outcomes"),
            "good": told.get("labels", {}).get(Label.POSITIVE.value, 0),
            "whole": told.get("whole", False),
            "languages": languages,
        }
    )


def _is_small(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size < _SMALL
    except OSError:
        return False


def _probe(source: FoundSource, seconds: float) -> dict[str, Any]:
    if _is_small(source.path):
        return probe_source(source.path, kind=source.kind).model_dump(mode="json")
    argv = [sys.executable, "-m", "flywheel", "sources", "probe", str(source.path), "--kind", source.kind, "--json"]
    try:
        ended = subprocess.run(argv, capture_output=True, check=False, timeout=seconds)
        told = json.loads(ended.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
