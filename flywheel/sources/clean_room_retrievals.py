"""Whether retrieval found what the proven edits touched: scope, precision, task analysis. Pure.

A file that was needed and left out is a mistake. One that was left out and not needed was rightly left out, for the
work succeeded without it. One that was let in and not touched may have helped to understand: that stays unknown.
"""

import re
from collections.abc import Mapping
from typing import Any

from flywheel.core.outcomes import Signal
from flywheel.sources.clean_room_answers import json_of, verdict_of
from flywheel.sources.clean_room_needs import Need

_FILE = re.compile(r"^File: (.+?)(?: \([^()\n]*\))?\s*$", re.MULTILINE)
_SYMBOL = re.compile(r"^Symbol: (.+?) \([^()\n]*\) in (.+?):\d+-\d+\s*$", re.MULTILINE)
_CANDIDATE = re.compile(r"^- (.+?) \(tier=", re.MULTILINE)
_RIGHT, _WRONG, _WEAK = 0.8, 0.8, 0.3
_SHAPE = 2  # the third time a symbol is asked about, the question is how much of it to show


def scope_signals(prompt: str, response: str, need: Need) -> tuple[Signal, ...]:
    """Judge one file's verdict, or a list of them, by the files that were needed."""
    said = verdict_of(response)
    asked = _last(_FILE, prompt)
    if said is not None and asked is not None:
        file = asked[1].strip()
        return () if file in need.aside else _verdict(said, needed=file in need.files, what="file")
    verdicts = _listed(response, "path", "verdict")
    candidates = frozenset(_CANDIDATE.findall(prompt))
    missed = {file for file in need.files & candidates if verdicts.get(file) != "relevant"}
    return _list_signals(verdicts, missed, bool(need.files & candidates), "file")


def precision_signals(prompt: str, response: str, need: Need, nth: int) -> tuple[Signal, ...]:
    """Judge one symbol's verdict, or a list of them, by the symbols that were changed."""
    said = verdict_of(response)
    asked = _last(_SYMBOL, prompt)
    if said is not None and asked is not None:
        needed = need.needs_symbol(asked[2].strip(), asked[1].strip())
        return () if needed is None or nth >= _SHAPE else _verdict(said, needed=needed, what="symbol")
    held = json_of(response)
    items = [item for item in held if isinstance(item, dict)] if isinstance(held, list) else []
    needed_ones = [item for item in items if need.needs_symbol(str(item.get("file_path")), str(item.get("name")))]
    missed = [item for item in needed_ones if item.get("detail_level") == "excluded"]
    return _list_signals(dict.fromkeys(map(str, items)), missed, bool(needed_ones), "symbol")


def analysis_signals(need: Need, found: frozenset[str]) -> tuple[Signal, ...]:
    """Judge a task analysis by whether retrieval ended with every file that was changed."""
    missed = need.files - found
    if missed:
        note = f"retrieval missed {len(missed)} of {len(need.files)} files that were changed"
        return (Signal(name="retrieval_missed", points=-1, strength=0.6, note=note),)
    return (
        Signal(name="retrieval_found", points=1, strength=0.75, note="retrieval found every file that was changed"),
    )


def refilter_signals(response: str, need: Need) -> tuple[Signal, ...]:
    """Judge which files were kept when there was not room for all."""
    held = json_of(response)
    if not isinstance(held, list):
        return ()
    kept = frozenset(item for item in held if isinstance(item, str))
    return _list_signals(dict.fromkeys(kept), need.files - kept, bool(need.files), "file")


def _verdict(said: bool, *, needed: bool, what: str) -> tuple[Signal, ...]:  # noqa: FBT001 - the model's yes or no
    if needed and said:
        return (
            Signal(name="needed_and_kept", points=1, strength=_RIGHT, note=f"the proven edits touched this {what}"),
        )
    if needed:
        return (
            Signal(name="needed_and_dropped", points=-1, strength=_WRONG, note=f"the proven edits touched this {what}"),
        )
    if said:
        return (Signal(name="kept_untouched", points=-1, strength=_WEAK, note="let in, and not touched"),)
    return (Signal(name="dropped_untouched", points=1, strength=_RIGHT, note="left out, and the work succeeded"),)


def _list_signals(verdicts: Mapping[str, Any], missed: Any, judged: bool, what: str) -> tuple[Signal, ...]:  # noqa: FBT001 - a plain fact
    if not verdicts or not judged:
        return ()
    if missed:
        return (Signal(name="needed_and_dropped", points=-1, strength=_WRONG, note=f"a needed {what} was left out"),)
    return (Signal(name="needed_and_kept", points=1, strength=_RIGHT, note=f"every needed {what} was let in"),)


def _listed(response: str, key: str, value: str) -> dict[str, str]:
    held = json_of(response)
    items = held if isinstance(held, list) else []
    return {str(item[key]): str(item.get(value)) for item in items if isinstance(item, dict) and key in item}


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = None
    for found in pattern.finditer(text):  # noqa: B007 - the last one is wanted
        pass
    return found
