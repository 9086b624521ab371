"""Decides what to admit and when to freeze. Pure.

Freezing is proposed before admitting: when a crash came between a dataset's folder and its record, the pool is still
the same at the next try, and so is the hash.
"""

from datetime import timedelta

from flywheel.core.facts import Value
from flywheel.core.intents import Intent
from flywheel.core.rooms import Plan, Proposal
from flywheel.curate.needs import fresh_of, lacks, noun_of, waits_for
from flywheel.curate.situations import LineSituation, Situation


def plan(situation: Situation) -> Plan:
    """Propose for each line what its pool is ready for, and say what it waits for."""
    return sum((_of_line(situation, here) for here in situation.lines), _report(situation))


def _report(situation: Situation) -> Plan:
    if situation.published is None:
        return Plan()
    why = "an adapter was published, and examples may have lost their evidence since they were frozen"
    intent = Intent(kind="curate.report_superseded", subject="adapters", why=why)
    return Plan(proposals=(Proposal(intent=intent, cause=situation.published),))


def _of_line(situation: Situation, here: LineSituation) -> Plan:
    name = here.line.name
    due = _due(situation, here)
    proposals = [_freeze(here, due)] if due else []
    if here.request is not None and _is_vain(here):
        proposals.append(_refuse(here))
    if here.waiting:
        proposals.append(_admit(here))
    return Plan(proposals=tuple(proposals), waits={} if due else {name: _waits(here)})


def _due(situation: Situation, here: LineSituation) -> str | None:
    """Return why a dataset should be frozen now, or None."""
    fresh = fresh_of(here)
    if here.in_flight or (fresh < 1 and not here.outgrown):
        return None
    if here.request is not None:
        return f"a person asked for a {'dataset' if here.asks_for_dataset else 'run'}"
    if lacks(here):
        return None
    if here.outgrown:
        return here.outgrown
    if fresh >= here.line.trigger.fresh_examples:
        return f"{fresh} fresh {noun_of(here)}s"
    return _overdue(situation, here)


def _overdue(situation: Situation, here: LineSituation) -> str | None:
    days = here.line.trigger.after_days
    if days is None or here.since is None or situation.now - here.since < timedelta(days=days):
        return None
    return f"{fresh_of(here)} fresh {noun_of(here)}s and {days:g} days passed"


def _freeze(here: LineSituation, why: str) -> Proposal:
    facts: dict[str, Value] = {
        **here.facts,
        "dataset.examples": here.examples,
        "dataset.fresh": fresh_of(here),
        "dataset.pairs": here.pairs,
        "dataset.judgements": here.examples + here.bad if here.bad else 0,
    }
    params = {"request": here.request.id} if here.request else {}
    cause = here.request.cause if here.request and here.request.cause is not None else here.admitted
    name = here.line.name
    intent = Intent(kind="curate.freeze_dataset", line=name, subject=name, why=why, params=params)
    return Proposal(intent=intent, facts=facts, cause=cause)


def _is_vain(here: LineSituation) -> bool:
    """Tell whether a wish for a run has nothing to run on, nothing to try again, and nothing under way."""
    may_be_tried_again = here.failed and not here.asks_for_dataset
    return not here.in_flight and not here.waiting and not may_be_tried_again and fresh_of(here) < 1


def _refuse(here: LineSituation) -> Proposal:
    assert here.request is not None
    since = f"since dataset {here.last.number}" if here.last else "yet"
    answer = f"{here.line.name} has no new {noun_of(here)}s {since}"
    intent = Intent(
        kind="operator.refuse_request",
        line=here.line.name,
        subject=here.request.id,
        why=answer,
        params={"answer": answer},
    )
    return Proposal(intent=intent, cause=here.request.cause)


def _admit(here: LineSituation) -> Proposal:
    name = here.line.name
    intent = Intent(kind="curate.admit_examples", line=name, subject=name, why="outcomes were labelled")
    return Proposal(intent=intent, cause=here.ingested)


def _waits(here: LineSituation) -> str:
    if here.in_flight:
        number = here.last.number if here.last else 0
        return f"dataset {number} is under way" if number else "long work is under way"
    return waits_for(here)
