"""The truth about fleet runs: what the script that stood in for the models served, call by call.

A program that was served right is good and any other answer to a coder's question is bad, whatever the run's own
validation made of it; about plans and routings the truth says nothing. The same answer given again in the same run with
the same label is one example, as it is in a dataset (a run asks for the same program up to sixteen times).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from truths import Judged, Truth, everything

from flywheel.core.outcomes import Outcome
from flywheel.sources.fleets import FleetReader
from flywheel.sources.settings import FleetSource

CODE = "code"


class FleetTruths:
    """Folders with runs/run-*.jsonl and GROUND_TRUTH.json. See `truths.Truths`."""

    def accepts(self, folder: Path) -> bool:
        """Tell whether this folder is of the kind."""
        return any((folder / "runs").glob("run-*.jsonl")) and (folder / "GROUND_TRUTH.json").exists()

    def outcomes(self, folder: Path) -> list[Outcome]:
        """Ingest the folder's runs."""
        return everything(FleetReader(FleetSource(name="truth", path=(folder / "runs").resolve())))

    def judged(self, folder: Path) -> list[Judged]:
        """Set each label beside what was served."""
        told = {run["run_id"]: run for run in json.loads((folder / "GROUND_TRUTH.json").read_text())}
        by_run: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes(folder):
            by_run.setdefault(outcome.task, []).append(outcome)
        return [one for run, found in by_run.items() for one in judge_run(folder.name, told.get(run) or {}, found)]


def judge_run(where: str, run: Mapping[str, Any], outcomes: list[Outcome]) -> list[Judged]:
    """Return every call of a run beside its truth; the calls were served in the order in which they were logged."""
    served = run.get("llm_calls_served") or [("", "")] * len(outcomes)
    assert len(served) == len(outcomes), f"{run.get('run_id')}: {len(outcomes)} calls found of {len(served)}"
    found: dict[tuple[str, str, str], Judged] = {}
    for number, (outcome, (stage, what)) in enumerate(zip(outcomes, served, strict=True)):
        judged = Judged(
            where=where,
            kind=outcome.call_type,
            name=f"{run.get('case', '?')}[{number}]",
            label=outcome.labelled.label.value,
            truth=worth(stage, what),
            why="; ".join(f"{signal.name}: {signal.note}" for signal in outcome.labelled.signals),
            answer=stage == CODE,
        )
        found.setdefault((outcome.call_type, outcome.response, judged.label), judged)
    return list(found.values())


def worth(stage: str, what: str) -> Truth:
    """Return what one answer was worth."""
    if stage != CODE:
        return "untold"
    return "good" if what == "right" else "bad"
