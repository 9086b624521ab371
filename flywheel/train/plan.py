"""Decides what training does next. Pure."""

from flywheel.core.intents import Intent
from flywheel.core.jobs import Job, JobState
from flywheel.core.requests import Request
from flywheel.core.rooms import Plan, Proposal
from flywheel.core.trainers import why_refused
from flywheel.core.training import TrainSpec
from flywheel.train.facts import LineSituation, Situation, spec_for, variants_of

_UNDER_WAY = {JobState.QUEUED: "waits for its turn", JobState.RUNNING: "is training"}


def plan(here: Situation) -> Plan:
    """See to ended runs first, then start what each line's newest dataset asks for."""
    ended = Plan(proposals=tuple(p for job in here.jobs if (p := _see_to(job))))
    wanted = [_line(line, here) for line in here.lines]
    return sum(wanted, ended + _cancels(here))


def _cancels(here: Situation) -> Plan:
    """End what a person wants ended; a run that has ended already cannot be."""
    jobs = {job.subject: job for job in here.jobs}
    found = [_cancel(request, state, jobs.get(request.subject)) for request, state in here.cancels]
    return Plan(proposals=tuple(each for each in found if each is not None))


def _cancel(request: Request, state: str | None, job: Job | None) -> Proposal | None:
    if job is not None and (job.unwanted or job.state in {JobState.FINISHED, JobState.FAILED}):
        return None  # it is being ended, or its end is seen to first
    if job is not None:
        kind, why, params = "train.cancel_run", request.reason or "a person asked", {"request": request.id}
    else:
        kind, why = "operator.refuse_request", _why_not(request.subject, state)
        params = {"answer": why}
    subject = request.subject if job is not None else request.id
    intent = Intent(kind=kind, line=request.line, subject=subject, why=why, params=params)
    return Proposal(intent=intent, cause=request.cause)


def _why_not(run: str, state: str | None) -> str:
    return f"{run} has ended already: {state}" if state else f"there is no run {run}"


def _see_to(job: Job) -> Proposal | None:
    kinds = {JobState.FINISHED: "train.publish_adapter", JobState.FAILED: "train.close_run"}
    kind = kinds.get(job.state)
    if kind is None:
        return None
    why = "the run finished" if job.state is JobState.FINISHED else f"the run failed: {job.error}"
    return Proposal(intent=Intent(kind=kind, line=job.line, subject=job.subject, why=why), cause=job.cause)


def _line(here: LineSituation, whole: Situation) -> Plan:
    name = here.line.name
    if here.ablation and here.dataset is None:
        return _ablate(here)
    if here.dataset is None or here.run_state is not None:
        waits = _running(name, whole)
        return _ablate(here) if here.ablation and not waits else Plan(waits=waits or _failed(here))
    spec = spec_for(here)
    if spec is None:
        return Plan(waits={name: here.busy or f"base {here.line.base!r} cannot be read"})
    if refused := why_refused(spec):
        return Plan(waits={name: f"this run is refused: {refused}"})
    intent = Intent(kind="train.start_run", line=name, subject=spec.run_id, why=_why(here), params=_params(here, spec))
    # The guardrail says that the bytes are others; which part of them it is, it cannot know.
    waits = {name: here.changed} if here.changed else {}
    return Plan(proposals=(Proposal(intent=intent, facts=here.facts, cause=_cause(here)),), waits=waits)


def _ablate(here: LineSituation) -> Plan:
    """Start the next of the runs that a person wants to compare; one after the other, each through the guardrails."""
    assert here.ablation is not None
    request, variants = here.ablation, variants_of(here)
    missing = [spec for spec in variants if spec.run_id not in here.known_runs]
    if not missing:
        return _no_ablation(here, request, "every run was made already" if variants else "there is no dataset to learn")
    spec, number = missing[0], len(variants) - len(missing) + 1
    if refused := why_refused(spec):
        return _no_ablation(here, request, refused)
    why = f"a person compares values of {request.body['key']}: run {number} of {len(variants)}"
    params = {"dataset": spec.dataset, **({"request": request.id} if len(missing) == 1 else {})}
    intent = Intent(kind="train.start_run", line=here.line.name, subject=spec.run_id, why=why, params=params)
    return Plan(proposals=(Proposal(intent=intent, facts=here.facts, cause=request.cause),))


def _no_ablation(here: LineSituation, request: Request, why: str) -> Plan:
    kind, params = "operator.refuse_request", {"answer": why}
    intent = Intent(kind=kind, line=here.line.name, subject=request.id, why=why, params=params)
    return Plan(proposals=(Proposal(intent=intent, cause=request.cause),))


def _params(here: LineSituation, spec: TrainSpec) -> dict[str, str]:
    asked = {"request": here.request.id} if here.request else {}
    return {"dataset": spec.dataset, **asked}


def _cause(here: LineSituation) -> int | None:
    return here.request.cause if here.request else here.dataset_cause


def _failed(here: LineSituation) -> dict[str, str]:
    name = here.line.name
    if here.run_state == "cancelled":
        return {name: f"the last run was cancelled; `flywheel train {name}` trains it after all"}
    if here.run_state != "failed":
        return {}
    return {name: f"the last run failed ({here.failure}); `flywheel train {name}` tries again"}


def _why(here: LineSituation) -> str:
    dataset, changed = here.dataset, f"; {here.changed}" if here.changed else ""
    if here.retry is not None:
        return "a run ran out of memory; the next smaller batch is tried once"
    if here.request is not None and dataset:
        return f"a person asked for another run on dataset {dataset.number} after one failed{changed}"
    return f"dataset {dataset.number} of {dataset.examples} examples waits to be learned{changed}" if dataset else ""


def _running(name: str, whole: Situation) -> dict[str, str]:
    for job in whole.jobs:
        if job.line == name and job.state in _UNDER_WAY:
            return {name: f"{job.subject} {_UNDER_WAY[job.state]}{_progress(job)}"}
    return {}


def _progress(job: Job) -> str:
    step, of = job.progress.get("step"), job.progress.get("of")
    return f", step {step} of {of}" if step and of else ""
