"""`flywheel policy check | explain | replay | diff`."""

from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli import replays
from flywheel.cli.contexts import AsJson, Config, out, settings_of, show_json
from flywheel.core.errors import MisuseError, SettingsError
from flywheel.daemon.places import policies_folder
from flywheel.policy.explaining import explain_line
from flywheel.policy.loading import check_policies, load_policies, run_cases

app = typer.Typer(help="Check and explain what an operator has declared.", no_args_is_help=True)
app.command("replay", epilog="Example: flywheel policy replay --policies ./policies --since 30d")(
    replays.replay_policies
)
app.command("diff", epilog="Example: flywheel policy diff ./policies")(replays.diff_policies)

Folder = Annotated[Path | None, typer.Option("--policies", help="A policies folder (else the settings').")]


@app.command("check", epilog="Example: flywheel policy check --policies ./policies")
def check(policies: Folder = None, as_json: AsJson = False, config: Config = None) -> None:
    """Check every policy file and run the cases that stand beside the guardrails."""
    folder = policies or policies_folder(settings_of(config))
    problems = [str(problem) for problem in check_policies(folder)]
    failed = [] if problems else [case for case in run_cases(folder) if not case.passed]
    if as_json:
        show_json({"folder": str(folder), "problems": problems, "failed_cases": [str(case) for case in failed]})
    for line in problems if not as_json else ():
        out.print(line, markup=False)
    for case in failed if not as_json else ():
        out.print(str(case), markup=False)
    if problems or failed:
        raise SettingsError(
            f"{len(problems)} problem(s), {len(failed)} failing case(s) in {folder}", "mend the files named above"
        )
    if not as_json:
        loaded = load_policies(folder)
        out.print(
            f"{len(loaded.guardrails)} guardrails, {len(loaded.lines)} lines, {len(loaded.gates)} gates, "
            f"{len(loaded.rollouts)} rollouts, {len(loaded.remedies)} remedies: sound ({loaded.hash[:8]})"
        )


@app.command("explain", epilog="Example: flywheel policy explain tool-calling")
def explain(
    line: Annotated[str, typer.Argument(help="A line below policies/lines.")],
    policies: Folder = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Say in words which guardrails a line meets, at what step, and why they are there."""
    loaded = load_policies(policies or policies_folder(settings_of(config)))
    if line not in loaded.lines:
        raise MisuseError(f"there is no line {line!r}", f"lines: {', '.join(sorted(loaded.lines))}")
    explained = explain_line(line, loaded)
    if as_json:
        show_json({"line": line, "policy_hash": loaded.hash, "text": explained})
    else:
        out.print(explained, markup=False)
