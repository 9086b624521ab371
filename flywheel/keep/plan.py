"""Decides what tidying lets go of. Pure: what is loaded, cited, active, to go back to or in progress never goes."""

from datetime import timedelta

from flywheel.core.intents import Intent
from flywheel.core.rooms import Plan, Proposal
from flywheel.keep.situations import Leaving, Retention, Situation

REMAINS_DAYS = 1.0  # what a crash left is given this long to turn out to be work under way
FOR_EVER = "it is kept for ever"


def plan(situation: Situation) -> Plan:
    """See to every request to tidy."""
    return Plan(
        proposals=tuple(
            Proposal(
                intent=Intent(kind="keep.delete_leftovers", subject=one.id, why=_why(one.by)),
                cause=one.cause,
            )
            for one in situation.asked
        )
    )


def stays(one: Leaving, situation: Situation) -> str:
    """Return why something stays; empty for what goes."""
    if one.needed:
        return one.needed
    days = days_of(one, situation.retention)
    if days == 0:
        return FOR_EVER
    left = one.since + timedelta(days=days) - situation.now
    return f"{_in_days(left)} left of {days:g}" if left > timedelta(0) else ""


def going(situation: Situation) -> list[Leaving]:
    """Return what goes."""
    return [one for one in situation.leavings if not stays(one, situation)]


def days_of(one: Leaving, retention: Retention) -> float:
    """Return how many days a thing of this kind is kept; 0 is for ever."""
    return {
        "checkpoints": retention.run_days,
        "trial": retention.trial_days,
        "adapter": retention.adapter_days,
        "dataset": retention.dataset_days,
        "remains": REMAINS_DAYS,
        "aside": 0.0,
    }[one.kind]


def _why(by: str) -> str:
    return f"{by or 'a person'} asked, and nobody needs them"


def _in_days(left: timedelta) -> str:
    days = left / timedelta(days=1)
    return f"{days:.0f} days" if days > 1 else f"{24 * days:.0f} hours"
