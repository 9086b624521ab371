"""`flywheel bootstrap …`: a cold start, before the agent has produced outcomes."""

from pathlib import Path
from typing import Annotated

import typer

from flywheel.bootstrap.python_files import python_files
from flywheel.bootstrap.score_reports import ScoreReport, score_files
from flywheel.bootstrap.scores import SCALES
from flywheel.cli.contexts import AsJson, err, out, show_json, show_table
from flywheel.core.errors import MisuseError

app = typer.Typer(help="Make examples before there are outcomes: a cold start.", no_args_is_help=True)


@app.command("score", epilog="Example: flywheel bootstrap score ~/src/project --files 20")
def score(
    paths: Annotated[list[Path], typer.Argument(help="Python files, or folders of them.")],
    files: Annotated[int, typer.Option("--files", min=0, help="Show so many files, the lowest scores first.")] = 10,
    tests: Annotated[bool, typer.Option("--tests", help="Score test files, too.")] = False,
    least: Annotated[
        float, typer.Option("--fail-under", min=0, max=100, help="Exit with status 1 when the score is lower.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Say how fail-fast Python code is: 75 to 100 strong, 50 to 74 review, below 50 defensive. Changes nothing."""
    report = score_files(python_files(paths, tests=tests))
    if not report.files:
        raise MisuseError("no Python file could be scored", "name a folder with Python in it; --tests scores tests")
    if as_json:
        show_json(report.body(files))
    else:
        _show(report, files)
    if report.total.points < least:
        raise typer.Exit(1)


def _show(report: ScoreReport, files: int) -> None:
    total = report.total
    out.print(
        f"{total.points:.1f} of 100: {total.grade} ({len(report.files)} files, {report.counts.lines} lines)",
        markup=False,
    )
    show_table("", ("metric", "value", "points", "of", "meaning"), [
        {"metric": name.replace("_", " "), "value": None if one.value is None else f"{one.value:.3g}",
         "points": f"{one.points:.1f}", "of": f"{SCALES[name].points:g}", "meaning": SCALES[name].meaning}
        for name, one in total.metrics.items()])  # fmt: skip
    if files and len(report.files) > 1:
        show_table("lowest first", ("file", "score", "grade", "lines"), [
            {"file": name, "score": f"{one.points:.1f}", "grade": one.grade, "lines": counts.lines}
            for name, one, counts in report.files[:files]])  # fmt: skip
    for name, reason in report.unread:
        err.print(f"left out: {name}: {reason}", markup=False)
