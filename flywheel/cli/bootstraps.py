"""`flywheel bootstrap …`: a cold start, before the agent has produced outcomes."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flywheel.bootstrap.lint_rows import sequence_files
from flywheel.bootstrap.python_files import python_files
from flywheel.bootstrap.score_reports import ScoreReport, score_files
from flywheel.bootstrap.scores import SCALES
from flywheel.cli.bootstrap_imports import import_files, show_datasets
from flywheel.cli.bootstrap_mines import mine_repos
from flywheel.cli.bootstrap_statuses import show_status
from flywheel.cli.bootstrap_teachers import show_teachers
from flywheel.cli.bootstrap_teachings import teach_line
from flywheel.cli.bootstrap_withdrawals import withdraw_made_things
from flywheel.cli.contexts import AsJson, err, out, show_json, show_table
from flywheel.core.errors import MisuseError
from flywheel.proc.files import write_file

app = typer.Typer(help="Make examples before there are outcomes: a cold start.", no_args_is_help=True)
app.command("mine", epilog="Example: flywheel bootstrap mine ~/src/project --own")(mine_repos)
app.command("import", epilog="Example: flywheel bootstrap import taco ./train.parquet --sample 5000")(import_files)
app.command("datasets", epilog="Example: flywheel bootstrap datasets --json")(show_datasets)
app.command("teach", epilog="Example: flywheel bootstrap teach python-lora --dry-run")(teach_line)
app.command("teachers", epilog="Example: flywheel bootstrap teachers --json")(show_teachers)
app.command("status", epilog="Example: flywheel bootstrap status --json")(show_status)
app.command("withdraw", epilog="Example: flywheel bootstrap withdraw import/apps --yes")(withdraw_made_things)


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


@app.command("lintseq", epilog="Example: flywheel bootstrap lintseq ~/src/project --seed 7 --output edits.jsonl")
def lintseq(
    paths: Annotated[list[Path], typer.Argument(help="Python files, or folders of them.")],
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same edits.")] = 0,
    edits: Annotated[int, typer.Option("--edits", min=1, max=1000, help="At most so many edits a file.")] = 24,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write rows of JSON there.")] = None,
    tests: Annotated[bool, typer.Option("--tests", help="Take test files, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell finished Python files as the edits that write them: every state passes the linter, the last is the file."""
    rows, left_out = sequence_files(python_files(paths, tests=tests), seed, edits)
    if not rows:
        raise MisuseError("no file gave a sequence", left_out[0][1] if left_out else "name a folder with Python in it")
    if output is not None:
        write_file(output, b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    counts = {"files": len(rows), "edits": sum(len(row["edits"]) for row in rows), "left_out": len(left_out)}
    if as_json:
        show_json({**counts, "output": str(output) if output else None,
                   "rows": [] if output else rows,
                   "reasons": [{"file": name, "reason": reason} for name, reason in left_out]})  # fmt: skip
        return
    out.print("{files} files in {edits} edits; {left_out} left out".format(**counts), markup=False)
    for name, reason in left_out:
        err.print(f"left out: {name}: {reason}", markup=False)


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
