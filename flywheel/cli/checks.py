"""`flywheel train LINE --check`: what would stop a line's next run, looked at here and now."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from flywheel.cli.contexts import err, out, reading, show_json, show_table
from flywheel.core.clocks import SystemClock
from flywheel.core.errors import MisuseError, PermanentError
from flywheel.core.intents import Intent
from flywheel.core.steps import Steps
from flywheel.daemon.houses import Ground, train_room
from flywheel.proc.files import write_json
from flywheel.train.preflight_looks import RESULT, Asked, Preflights, environment_of
from flywheel.train.preflight_plans import START
from flywheel.train.preflights import Preflight, failed
from flywheel.train.run import TrainRoom


def check_line(line: str, as_json: bool, config: Path | None) -> int:
    """Look at a line's next run, say what was found; the exit code is 1 when something stops it."""
    with reading(config) as (settings, store):
        if line not in settings.lines:
            raise MisuseError(
                f"{line!r} is not a line of the settings", f"lines: {', '.join(settings.lines) or 'none'}"
            )
        room = train_room(settings, Ground(store, SystemClock(), Steps(None)))
        asked = _asked(room, line)
        checks = room.preflights
        if checks is None or asked is None:
            raise PermanentError(f"{line} has no run that waits to start", "see `flywheel status`")
        found = _look(checks, asked)
    _show(asked.run, found, as_json)
    return 1 if found.errors else 0


def _asked(room: TrainRoom, line: str) -> Asked | None:
    run = room.next_run(line)
    return room.asked(Intent(kind=START, line=line, subject=run, why="a person asks")) if run else None


def _look(checks: Preflights, asked: Asked) -> Preflight:
    """Return what is found; what the daemon's own look left is not counted again."""
    facts = checks.facts(asked.run)
    if facts is None:
        error = _count(checks, asked)
        facts = checks.facts(asked.run)
        if facts is None:
            return failed(error or "it left nothing that can be read")
    return checks.decide(asked, facts)


def _count(checks: Preflights, asked: Asked) -> str:
    """Run the job in the foreground, in the folder where the daemon looks; return why it ended badly."""
    import os

    checks.require()
    folder = checks.places.folder(asked.run)
    write_json(folder / "orders.json", checks.orders(asked))
    columns = (SpinnerColumn(), TextColumn("counting {task.fields[rows]} rows"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task, error = bar.add_task("", rows=0), ""
        env = {**os.environ, **environment_of()}
        with subprocess.Popen(
            checks.argv(asked), cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as child:
            for event in map(_event, child.stdout or ()):
                bar.update(task, rows=event.get("rows", 0))
                error = str(event.get("error", error))
    return error or ("" if (folder / RESULT).is_file() else f"exit status {child.returncode}")


def _event(line: str) -> Mapping[str, Any]:
    try:
        held = json.loads(line)
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}


def _show(run: str, found: Preflight, as_json: bool) -> None:
    if as_json:
        show_json({"run": run, "may_start": not found.errors, **found.model_dump(mode="json")})
        return
    rows = [{"file": name, **told} for name, told in found.numbers.get("rows", {}).items()]
    if rows:
        show_table(run, ("file", "rows", "tokens", "p50", "p95", "max"), rows)
    for one in found.findings:
        out.print(f"{one.level} {one.name}: {one.sentence}", markup=False)
        out.print(f"  mend: {one.mend}", markup=False)
    out.print("the run may not start" if found.errors else "the run may start")
