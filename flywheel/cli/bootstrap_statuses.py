"""`flywheel bootstrap status`: what a cold start has made so far, and where each line stands on the ladder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flywheel.bootstrap.shelves import Shelf
from flywheel.cli.contexts import AsJson, Config, out, settings_of, show_json, show_table
from flywheel.core.decisions import Judgement
from flywheel.core.ladders import RUNGS
from flywheel.core.lines import Line
from flywheel.curate.climb_plans import Climber, plan
from flywheel.curate.climbs import at_the_foot, climbers
from flywheel.daemon.lines import chosen_lines
from flywheel.daemon.places import policies_folder
from flywheel.daemon.settings import Settings
from flywheel.policy.guardrails import PolicySet
from flywheel.policy.judging import judge
from flywheel.policy.loading import load_policies

_FILE = "bootstrap.db"


def show_status(as_json: AsJson = False, config: Config = None) -> None:
    """Show what was made, of what and for whom, and what each line's next rung of the ladder wants."""
    settings = settings_of(config)
    policies = load_policies(policies_folder(settings))
    lines = chosen_lines(settings, policies)
    known = {one.line.name: one for one in _climbers(settings, lines)}
    shelf, ladder = _shelf(settings.home / _FILE), [_rung(line, known, policies) for line in lines.values()]
    if as_json:
        show_json({"shelf": shelf, "lines": ladder})
        return
    if shelf:
        show_table("on the shelf", ("recipe", "line", "licence", "examples"), [_words(row) for row in shelf])
    else:
        out.print("nothing on the shelf: fill it with `flywheel bootstrap mine` or `import`", markup=False)
    for row in ladder:
        _say(row)


def _shelf(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with Shelf(path) as shelf:
        return shelf.tallies()


def _words(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "line": row["line"] or "whoever selects it"}


def _climbers(settings: Settings, lines: Mapping[str, Line]) -> tuple[Climber, ...]:
    """Return where the lines stand; before the daemon ran for the first time, where they begin."""
    from flywheel.store.stores import open_store

    url = settings.store_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return at_the_foot(lines)
    with open_store(url) as store, store.read() as session:
        return climbers(session, lines)


def _rung(line: Line, known: Mapping[str, Climber], policies: PolicySet) -> dict[str, Any]:
    here = known.get(line.name)
    rung = here.rung if here else line.rung
    wanted = here.wants if here else None
    row = {"line": line.name, "rung": rung, "learns": RUNGS[rung], "climbs_to": line.highest_rung}
    return {**row, "next": wanted, "wants": _wants(here, policies) if here else []}


def _wants(here: Climber, policies: PolicySet) -> list[str]:
    """Return what stands before the next rung, guardrail by guardrail; nothing where the daemon may take it."""
    reasons = [reason for step in plan((here,)).proposals
               for reason in judge(step.intent, step.facts, policies).reasons]  # fmt: skip
    return [one.sentence for one in reasons if one.enforced and one.judgement is not Judgement.ALLOW]


def _say(row: Mapping[str, Any]) -> None:
    out.print(f"{row['line']}: rung {row['rung']} of {len(RUNGS)}, {row['learns']}", markup=False)
    if row["next"] is None:
        out.print("  it climbs no further by itself", markup=False)
        return
    wants = "; ".join(row["wants"]) or "nothing more: the daemon takes it with its next cycle"
    out.print(f"  rung {row['next']}, {RUNGS[row['next']]}, wants: {wants}", markup=False)
