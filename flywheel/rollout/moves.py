"""The moves of a release: what changes in the registry and what the ledger says of it, in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session

from flywheel.core.events import Event
from flywheel.core.releases import Release, ReleaseState, in_state, previous_of
from flywheel.core.requests import Request
from flywheel.rollout.canaries import CanaryNumbers, judge_canary
from flywheel.rollout.plan import hours_since
from flywheel.rollout.readings import Readings, Rollouts
from flywheel.store import releases as rows
from flywheel.store.ledger import append

_ALONE = frozenset({ReleaseState.SHADOW, ReleaseState.CANARY})


@dataclass(frozen=True)
class Move:
    """One release about to move, in an open transaction: why, when, and who asked."""

    session: Session
    release: Release
    request: Request | None
    cause: int | None
    why: str
    at: datetime
    params: Mapping[str, Any] = field(default_factory=dict)

    def tell(self, kind: str, body: dict[str, Any], cause: int | None = None, release: Release | None = None) -> int:
        """Append an event about this release, or about another one of its line."""
        about = release or self.release
        event = Event(kind=kind, at=self.at, line=about.line, subject=about.name, cause=cause or self.cause, body=body)
        return append(self.session, event)

    def to(self, state: ReleaseState, seq: int, release: Release | None = None) -> None:
        """Move this release, or another one of its line."""
        rows.move(self.session, (release or self.release).name, state, self.at, seq)

    @property
    def others(self) -> list[Release]:
        """Return the line's releases but this one."""
        return [one for one in rows.releases(self.session, self.release.line) if one.name != self.release.name]


class Moves:
    """Each method makes one move and returns the sentence that says so."""

    def __init__(self, readings: Readings, rollouts: Rollouts) -> None:
        """Read shares and numbers from these."""
        self._readings = readings
        self._rollouts = rollouts

    def approve(self, move: Move) -> str:
        """Record that a person approves of an adapter."""
        if not move.release.approved:
            move.tell("rollout.adapter_approved", _asked(move))
            rows.mark(move.session, move.release.name, approved=True)
        return f"approved {move.release.name}"

    def start_canary(self, move: Move) -> str | None:
        """Give an adapter a share of the traffic; None when another one has it."""
        here = self._readings.line(move.session, move.release.line)
        if here is None or here.rollout is None or any(one.state in _ALONE for one in move.others):
            return None
        cause = self._override(move)
        share = here.rollout.share
        body = {"share": share, "why": move.why, "rollout": here.rollout.name, **_asked(move)}
        seq = move.tell("rollout.canary_started", body, cause)
        rows.start_canary(move.session, move.release.name, share, move.at, seq)
        return f"started the canary {move.release.name} at {share:.0%}".replace("%", " %")

    def raise_share(self, move: Move) -> str | None:
        """Give a canary a larger share; None when it has it already."""
        share = float(move.params["share"])
        if share <= move.release.share:
            return None
        body = {"share": share, "before": move.release.share, "why": move.why, **self._numbers(move)}
        move.tell("rollout.share_raised", body)
        rows.raise_share(move.session, move.release.name, share)
        return f"raised the share of {move.release.name} to {share:.0%}".replace("%", " %")

    def start_shadow(self, move: Move) -> str | None:
        """Let an adapter listen; None when another one listens, or has its canary."""
        here = self._readings.line(move.session, move.release.line)
        if here is None or here.rollout is None or any(one.state in _ALONE for one in move.others):
            return None
        plan = here.rollout.shadow
        body = {"share": plan.share, "calls": plan.calls, "why": move.why, "rollout": here.rollout.name}
        seq = move.tell("rollout.shadow_started", body)
        rows.start_shadow(move.session, move.release.name, plan.share, move.at, seq)
        return f"started the shadow {move.release.name}"

    def compare_shadow(self, move: Move) -> str | None:
        """Record what a shadow came to; None when that was done."""
        if self._readings.has_shadow_verdict(move.session, move.release):
            return None
        body = {"verdict": move.params["verdict"], "numbers": move.params["numbers"], "why": move.why}
        move.tell("rollout.shadow_compared", body)
        return f"compared the shadow {move.release.name}: {move.why}"

    def promote(self, move: Move) -> str:
        """Make an adapter the active one; the one before gives way in the same moment."""
        cause = self._override(move)
        active = in_state(move.others, ReleaseState.ACTIVE)
        body = {"why": move.why, "instead_of": active.name if active else None, **self._numbers(move), **_asked(move)}
        seq = move.tell("rollout.adapter_promoted", body, cause)
        if active is not None:
            given_way = move.tell("rollout.adapter_superseded", {"by": move.release.name}, seq, active)
            move.to(ReleaseState.SUPERSEDED, given_way, active)
        move.to(ReleaseState.ACTIVE, seq)
        return f"promoted {move.release.name}" + (f" over {active.name}" if active else " over the base")

    def roll_back(self, move: Move) -> str:
        """Take an adapter back; where it was the active one, the one before it returns, or the base."""
        seq = move.tell("rollout.adapter_rolled_back", {"why": move.why, **self._numbers(move), **_asked(move)})
        move.to(ReleaseState.ROLLED_BACK, seq)
        return f"rolled back {move.release.name}" + self._successor(move, seq)

    def reject(self, move: Move) -> str:
        """Turn down a candidate."""
        move.to(ReleaseState.REJECTED, move.tell("rollout.adapter_rejected", {"why": move.why}))
        return f"rejected {move.release.name}: {move.why}"

    def retire(self, move: Move) -> str:
        """End an adapter's life in front of the agent."""
        seq = move.tell("rollout.adapter_retired", {"why": move.why, **_asked(move)})
        move.to(ReleaseState.RETIRED, seq)
        return f"retired {move.release.name}" + self._successor(move, seq)

    def _successor(self, move: Move, seq: int) -> str:
        """Put the previous release back where an active one has gone; return what the person should know."""
        if move.release.state is not ReleaseState.ACTIVE:
            return ""
        previous = previous_of(move.others)
        if previous is None:
            return "; the base answers again"
        body = {"why": f"{move.release.name} is gone", "instead_of": move.release.name}
        move.to(ReleaseState.ACTIVE, move.tell("rollout.adapter_promoted", body, seq, previous), previous)
        return f"; {previous.name} is active again"

    def _override(self, move: Move) -> int | None:
        """Record that a person stands behind a release, and the override where the gate does not; return its number."""
        if move.request is None:
            return None
        proven = self._is_proven(move)
        rows.mark(move.session, move.release.name, approved=True, overridden=True if not proven else None)
        if proven:
            return None
        judged = rows.judged(move.session, move.release)
        body = {**_asked(move), "verdict": judged.verdict if judged else "none", "state": move.release.state.value}
        return move.tell("operator.override_recorded", body)

    def _is_proven(self, move: Move) -> bool:
        judged = rows.judged(move.session, move.release)
        fallen = move.release.state in {ReleaseState.REJECTED, ReleaseState.ROLLED_BACK}
        return judged is not None and judged.verdict == "pass" and not fallen

    def _numbers(self, move: Move) -> dict[str, Any]:
        """Return what a canary showed until now."""
        line = self._readings.line(move.session, move.release.line)
        if move.release.state is not ReleaseState.CANARY or line is None or line.rollout is None:
            return {}
        hours = hours_since(move.release.canary_since, move.at)
        numbers: CanaryNumbers = judge_canary(line.results, line.rollout, hours, line.calls).numbers
        return {"numbers": numbers.model_dump()}


def _asked(move: Move) -> dict[str, Any]:
    """Return who asked, and why."""
    request = move.request
    return {} if request is None else {"request": request.id, "by": request.by, "reason": request.reason}
