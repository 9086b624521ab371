"""Decides what training does next. Pure."""

from flywheel.core.intents import Intent
from flywheel.core.jobs import Job, JobState
from flywheel.core.rooms import Plan, Proposal
from flywheel.core.training import TrainSpec
from flywheel.train.facts import LineSituation, Situation, spec_for


def plan(here: Situation) -> Plan:
    """See to ended runs first, then start what each line's newest dataset asks for."""
    ended = Plan(proposals=tuple(p for job in here.jobs if (p := _see_to(job))))
    wanted = [_line(line, here) for line in here.lines]
    return sum(wanted, ended)


def _see_to(job: Job) -> Proposal | None:
    kinds = {JobState.FINISHED: "train.publish_adapter", JobState.FAILED: "train.close_run"}
    kind = kinds.get(job.state)
    if kind is None:
        return None
    why = "the run finished" if job.state is JobState.FINISHED else f"the run failed: {job.error}"
    return Proposal(intent=Intent(kind=kind, line=job.line, subject=job.subject, why=why), cause=job.cause)


def _line(here: LineSituation, whole: Situation) -> Plan:
    name = here.line.name
    if here.dataset is None or here.run_state is not None:
        return Plan(waits=_running(name, whole) or _failed(here))
    spec = spec_for(here)
    if spec is None:
        return Plan(waits={name: here.busy or f"base {here.line.base!r} cannot be read"})
    intent = Intent(kind="train.start_run", line=name, subject=spec.run_id, why=_why(here), params=_params(here, spec))
    return Plan(proposals=(Proposal(intent=intent, facts=here.facts, cause=_cause(here)),))


def _params(here: LineSituation, spec: TrainSpec) -> dict[str, str]:
    asked = {"request": here.request.id} if here.request else {}
    return {"dataset": spec.dataset, **asked}


def _cause(here: LineSituation) -> int | None:
    return here.request.cause if here.request else here.dataset_cause


def _failed(here: LineSituation) -> dict[str, str]:
    name = here.line.name
    if here.run_state != "failed":
        return {}
    return {name: f"the last run failed ({here.failure}); `flywheel train {name}` tries again"}


def _why(here: LineSituation) -> str:
    dataset = here.dataset
    if here.request is not None and dataset:
        return f"a person asked for another run on dataset {dataset.number} after one failed"
    return f"dataset {dataset.number} of {dataset.examples} examples waits to be learned" if dataset else ""


def _running(name: str, whole: Situation) -> dict[str, str]:
    for job in whole.jobs:
        if job.line == name and job.state in {JobState.QUEUED, JobState.RUNNING}:
            return {name: f"{job.subject} is training{_progress(job)}"}
    return {}


def _progress(job: Job) -> str:
    step, of = job.progress.get("step"), job.progress.get("of")
    return f", step {step} of {of}" if step and of else ""
