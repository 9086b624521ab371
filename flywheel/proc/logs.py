"""What a child process says: JSON lines in a file, read as they grow, torn lines left for later."""

import json
from pathlib import Path
from typing import Any, NamedTuple


class Lines(NamedTuple):
    """The whole lines found and where to read on."""

    events: list[dict[str, Any]]
    offset: int


def read_events(path: Path, offset: int = 0) -> Lines:
    """Return the JSON objects written since `offset`; a missing file is empty, other lines are skipped."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return Lines([], 0)
    whole = data.rfind(b"\n") + 1
    events = [event for line in data[:whole].splitlines() if (event := _object(line)) is not None]
    return Lines(events, offset + whole)


def last_error(folder: Path) -> str:
    """Return the one line that says why the work in this folder ended badly."""
    failed = [e for e in read_events(folder / "log.jsonl").events if e.get("event") == "failed"]
    if failed:
        return str(failed[-1].get("error", "unknown error"))
    return _last_line(folder / "stderr.log") or "the process ended without a word"


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].strip()[:500] if lines else ""


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
