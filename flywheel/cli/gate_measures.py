"""The measuring of `flywheel gate`: the very process the daemon measures with, watched from here with a bar."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flywheel.core.errors import PermanentError
from flywheel.core.verdicts import Report
from flywheel.gate.results import PAGE, is_done, read_result
from flywheel.gate.specs import MeasureSpec
from flywheel.proc import children
from flywheel.proc.files import write_json

_LOOK_SECONDS = 0.2
_END_SECONDS = 10

Tell = Callable[[int, int, str], None]


def measure(spec: MeasureSpec, folder: Path, tell: Tell) -> tuple[Report, Path]:
    """Measure, and return the report with its page; interrupted, it goes on the next time where it was."""
    if not is_done(Path(spec.out)):
        write_json(folder / "spec.json", spec.model_dump(mode="json"))
        _run(folder, tell)
    return read_result(Path(spec.out))[0], Path(spec.out) / PAGE


def _run(folder: Path, tell: Tell) -> None:
    log = folder / "log.jsonl"
    place = log.stat().st_size if log.exists() else 0
    argv = [sys.executable, "-m", "flywheel.gate.measuring", str(folder / "spec.json")]
    child, error = children.launch(argv, folder, os.environ), ""
    try:
        while child.poll() is None:
            time.sleep(_LOOK_SECONDS)
            place, error = _look(log, place, tell, error)
        _, error = _look(log, place, tell, error)
    finally:
        _end(child)
    if child.returncode:
        raise PermanentError(f"the adapter could not be measured: {error or 'the process ended'}", f"see {folder}")


def _look(log: Path, place: int, tell: Tell, error: str) -> tuple[int, str]:
    """Tell the newest of what the process said since the last look; return where it ended, and its error if any."""
    with log.open("rb") as file:
        file.seek(place)
        data = file.read()
    end = data.rfind(b"\n") + 1
    for event in _events(data[:end]):
        if event.get("event") == "failed":
            error = str(event.get("error", ""))
        elif "done" in event:
            tell(int(event["done"]), int(event["of"]), str(event.get("warning", "") or "answers"))
        elif "programs_run" in event:
            tell(int(event["programs_run"]), int(event["programs"]), "programs run")
    return place + end, error


def _events(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End the process with all it started."""
    if child.poll() is not None:
        return
    process = children.mark(child.pid)
    children.end(process)
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        children.end(process, force=True)
        child.wait()


@contextmanager
def bar(console: Console, title: str) -> Iterator[Tell]:
    """Give what draws the bar; where nobody looks, a line every tenth."""
    if not console.is_terminal:
        yield _lines(console, title)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, of, what: progress.update(task, completed=done, total=of, description=f"{title}: {what}")


def _lines(console: Console, title: str) -> Tell:
    said = -1

    def tell(done: int, of: int, what: str) -> None:
        nonlocal said
        tenth = 10 * done // max(of, 1)
        if tenth != said:
            said = tenth
            console.print(f"{title}: {done} of {of} {what}", markup=False)

    return tell
