"""Decides what becomes of a person's wish to fuse an adapter into its base. Pure.

Layers are for operators who changed the guardrails that stand against them: whatever those say is the answer.
"""

from collections.abc import Mapping

from flywheel.core.facts import Value
from flywheel.core.frozen import Frozen
from flywheel.core.intents import Intent
from flywheel.core.jobs import Job, JobState
from flywheel.core.requests import Request
from flywheel.core.rooms import Plan, Proposal

SOON = 0.5  # seconds: what policy said to a wish stands in the ledger at the next look
FUSING = "wait for the other fusion to end, or choose another name"


class Wish(Frozen):
    """One request with what is known: why it cannot be, what policy said, how far its work is."""

    request: Request
    base: str
    adapter: str
    impossible: str = ""
    refused: str = ""
    job: Job | None = None
    facts: Mapping[str, Value] = {}


def plan(wishes: tuple[Wish, ...]) -> Plan:
    """Take each wish one step further."""
    return sum((_of(wish) for wish in wishes), Plan())


def _of(wish: Wish) -> Plan:
    if wish.job is not None:
        return _of_job(wish, wish.job)
    if answer := wish.impossible or wish.refused:
        return _one(wish, "operator.refuse_request", answer, answer=answer)
    why = f"{wish.request.by or 'a person'} wants base {wish.base} made of {wish.adapter} and the base below it"
    return _one(wish, "train.fuse_adapter", why) + Plan(again_in=SOON)


def _of_job(wish: Wish, job: Job) -> Plan:
    if job.state is JobState.FINISHED:
        return _one(wish, "train.register_base", f"{wish.adapter} was fused")
    if job.state is JobState.FAILED:
        return _one(wish, "operator.refuse_request", job.error, answer=f"fusing {wish.adapter} failed: {job.error}")
    return Plan(waits={wish.request.line: f"{wish.adapter} is being fused into base {wish.base}"})


def _one(wish: Wish, kind: str, why: str, **params: str) -> Plan:
    subject = wish.request.id if kind == "operator.refuse_request" else wish.adapter
    told = {"request": wish.request.id, "base": wish.base, **params}
    intent = Intent(kind=kind, line=wish.request.line, subject=subject, why=why, params=told)
    facts = dict(wish.facts) if kind == "train.fuse_adapter" else {}
    cause = wish.job.cause if wish.job else wish.request.cause
    return Plan(proposals=(Proposal(intent=intent, facts=facts, cause=cause),))
