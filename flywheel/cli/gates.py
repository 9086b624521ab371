"""`flywheel gate PATH|ADAPTER`: measures any adapter against its base, also one made elsewhere; decides nothing."""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from flywheel.cli.contexts import AsJson, Config, out, settings_of, show_json, show_table
from flywheel.cli.gate_exams import base_of_line, find_exam, policies_of
from flywheel.cli.gate_formats import rows
from flywheel.cli.gate_targets import Asked, find_target, store_of
from flywheel.cli.gate_trials import Trial
from flywheel.core.errors import ResourceError
from flywheel.core.verdicts import Report, Verdict

#: What the command ends with; 1 is a measurement that failed, 2 a request that cannot be.
STATUS = {Verdict.PASS: 0, Verdict.FAIL: 3, Verdict.INSUFFICIENT: 4}
_WIDEST = max(len(verdict.value) for verdict in Verdict)
UNRECORDED = (
    "Only measured, as strictly as the first candidate of a suite: nothing was recorded or promoted, and no alpha of "
    "any suite was spent."
)

What = Annotated[str, typer.Argument(help="An adapter's folder, wherever it was made, or the name of one, as plan@3.")]
Suite = Annotated[str, typer.Option("--suite", "-s", help="A suite by its name or the beginning of its hash.")]
Line = Annotated[str, typer.Option("--line", "-l", help="Measure on the live suite of this line, by its gate.")]
GateName = Annotated[str, typer.Option("--gate", "-g", help="Judge by this gate instead of the line's.")]
BaseName = Annotated[str, typer.Option("--base", "-b", help="A base of the settings, or a name it is served under.")]
ServerUrl = Annotated[str, typer.Option("--server", help="Ask this model server instead of that of the settings.")]
FormatOnly = Annotated[
    bool, typer.Option("--format-only", help="Only see in which format some dozens of answers come; no verdict.")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Measure again what was measured before.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Write the report's page here, too.")]


def gate(
    what: What,
    suite: Suite = "",
    line: Line = "",
    gate_name: GateName = "",
    base: BaseName = "",
    server: ServerUrl = "",
    format_only: FormatOnly = False,
    fresh: Fresh = False,
    page: Out = None,
    as_json: AsJson = False,
    config: Config = None,
) -> int:
    """Measure an adapter against its base on a suite. Exit status: 0 pass, 3 fail, 4 insufficient evidence.

    Only measured: nothing is recorded or promoted, and no alpha of any suite is spent.
    """
    settings = settings_of(config)
    asked = Asked(what=what, base=base, server=server, line=line)
    try:
        with store_of(settings) as store:
            wanted = base_of_line(policies_of(settings), line)
            target = find_target(settings, store, asked, wanted)
            trial = Trial(settings, target, find_exam(settings, store, suite, target.line, gate_name))
            if format_only:
                return _show_formats(trial, trial.formats(store), as_json)
            report, made = trial.report(store, fresh=fresh)
            if page is not None:
                shutil.copyfile(made, page)
    except OSError as error:
        raise ResourceError(f"the measurement stopped: {error}", "see the disk and the rights of the home") from error
    return _show(trial, report, page or made, as_json)


def _show(trial: Trial, report: Report, page: Path, as_json: bool) -> int:
    status = STATUS[report.verdict]
    if as_json:
        told = report.model_dump(mode="json")
        show_json({**_about(trial), "page": str(page), "measured_before": trial.known, "status": status, **told})
        return status
    if trial.known:
        out.print("This was measured before, and these are its numbers; --fresh measures it again.", markup=False)
    out.print(_heading(trial), markup=False)
    for check in report.checks:
        out.print(f"  {check.verdict.value:<{_WIDEST}}  {check.name}: {check.sentence}", markup=False)
    out.print(report.sentence, markup=False, style="bold")
    out.print(f"page: {page}", markup=False)
    out.print(UNRECORDED, markup=False)
    return status


def _show_formats(trial: Trial, found: dict[str, Any], as_json: bool) -> int:
    if as_json:
        show_json({**_about(trial), **found})
        return 0
    show_table(_heading(trial), ("format", "parser", "base", "candidate"), rows(found))
    out.print(found["sentence"], markup=False)
    out.print("This is a diagnosis and no verdict: it says nothing about right or wrong.", markup=False)
    return 0


def _about(trial: Trial) -> dict[str, Any]:
    target, manifest = trial.target, trial.exam.manifest
    return {
        "name": target.name, "path": str(target.folder), "base": target.base.name, "server": target.server,
        "suite_name": trial.exam.called, "suite": manifest.hash, "recorded": False,
    }  # fmt: skip


def _heading(trial: Trial) -> str:
    target, exam = trial.target, trial.exam
    return (
        f"{target.name} against base {target.base.name!r} on suite {exam.called} "
        f"({exam.manifest.problems} problems), by gate {exam.gate.name}"
    )
