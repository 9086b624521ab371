"""Puts the check before the start: of each start that is proposed, what has to come first. Pure."""

from collections.abc import Mapping

from flywheel.core.frozen import Frozen
from flywheel.core.intents import Intent
from flywheel.core.jobs import Job, JobState
from flywheel.core.rooms import Plan, Proposal
from flywheel.train.preflights import Preflight

START = "train.start_run"


class Look(Frozen):
    """How far the check of a run is; `recorded` names the errors that the ledger knows, None when it was never told."""

    job: Job | None = None
    found: Preflight | None = None
    recorded: frozenset[str] | None = None
    told: str = ""


def sift(planned: Plan, looks: Mapping[str, Look]) -> Plan:
    """Let every start wait for its check, and one with errors until something changed."""
    sifted = Plan(waits=planned.waits, again_in=planned.again_in)
    for proposal in planned.proposals:
        is_start = proposal.intent.kind == START and proposal.intent.subject in looks
        sifted += _first(proposal, looks[proposal.intent.subject]) if is_start else Plan(proposals=(proposal,))
    return sifted


def names(found: Preflight) -> frozenset[str]:
    """Return what the errors are called: other numbers in their sentences are no news."""
    return frozenset(one.name for one in found.errors)


def _first(start: Proposal, look: Look) -> Plan:
    run, line = start.intent.subject, start.intent.line
    if look.found is None:
        if look.job is None:
            why = "a run is checked before it takes the GPU"
            return Plan(proposals=(_instead(start, "train.check_run", why),))
        return Plan(waits={line: f"{run} is being checked before it starts{_progress(look.job)}"})
    if look.recorded != names(look.found):
        return Plan(proposals=(_instead(start, "train.record_check", "the check ended"),))
    if not look.found.errors:
        return Plan(proposals=(start,))
    refused = f"{run} may not start: {look.told or look.found.sentence}"
    return Plan(waits={line: refused}) + _answer(start, refused)


def _instead(start: Proposal, kind: str, why: str) -> Proposal:
    return start.model_copy(update={"intent": start.intent.model_copy(update={"kind": kind, "why": why})})


def _answer(start: Proposal, refused: str) -> Plan:
    """Tell a person who asked for this very run that it may not start."""
    request = start.intent.params.get("request")
    if request is None:
        return Plan()
    intent = Intent(
        kind="operator.refuse_request", line=start.intent.line, subject=request, why=refused, params={"answer": refused}
    )
    return Plan(proposals=(Proposal(intent=intent, cause=start.cause),))


def _progress(job: Job) -> str:
    rows = job.progress.get("rows")
    return f", {rows} rows so far" if job.state is JobState.RUNNING and rows else ""
