"""One cycle: every room proposes, policy judges, what is allowed is done, the ledger keeps all of it.

A crash anywhere is repaired by the next cycle, because nothing here remembers anything that
the store does not. Dry run lives here and nowhere else.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog
from pydantic import Field

from flywheel.core.attempts import Attempt, Done, Failed, Retry
from flywheel.core.clocks import Clock
from flywheel.core.decisions import Decision, Judgement
from flywheel.core.errors import FlywheelError, TemporaryError
from flywheel.core.events import Event
from flywheel.core.facts import check_facts
from flywheel.core.frozen import Frozen
from flywheel.core.intents import Intent
from flywheel.core.rooms import Proposal, Room
from flywheel.core.steps import Steps
from flywheel.daemon.decisions import Decisions
from flywheel.daemon.denials import Denial, denial_of
from flywheel.policy.guardrails import PolicySet
from flywheel.policy.judging import judge
from flywheel.store.ledger import append
from flywheel.store.stores import Store

log = structlog.get_logger()

_DISK_PAUSE = timedelta(seconds=30)


class CycleReport(Frozen):
    """What a cycle did, in one sentence and in numbers."""

    sentence: str
    done: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    waits: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    again_in: float | None = None
    denied: tuple[Denial, ...] = ()
    broken: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Tell whether another cycle may find more to do at once."""
        return bool(self.done)


class Cycle:
    """Runs the rooms once, in the order of the loop."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rooms: Sequence[Room],
        policies: Callable[[], PolicySet],
        steps: Steps,
        echo: Callable[[], None] = lambda: None,
    ) -> None:
        """Run these rooms under these policies; `echo` is called whenever the ledger holds something new."""
        self._store = store
        self._clock = clock
        self._rooms = rooms
        self._policies = policies
        self._steps = steps
        self._echo = echo
        self._decisions = Decisions(store, clock)

    async def run(self, *, dry_run: bool = False, stopping: Callable[[], bool] = lambda: False) -> CycleReport:
        """Run every room once; with `dry_run`, decide but do and record nothing."""
        tally = _Tally()
        for room in self._rooms:
            plan = await self._propose(room, tally)
            for proposal in plan:
                if stopping():
                    break
                await self._one(room, proposal, tally, dry_run)
        report = tally.report(dry_run=dry_run)
        if report.changed and not dry_run:
            self._close(report)
        if not dry_run:
            self._echo()
        return report

    async def _propose(self, room: Room, tally: "_Tally") -> Sequence[Proposal]:
        try:
            plan = await room.propose()
            for proposal in plan.proposals:
                check_facts(proposal.facts)
        except FlywheelError as error:
            self._say_failed(room.name, str(error), tally)
            return ()
        except Exception as error:
            # The supervised edge: one room's fault must not stop the others.
            log.exception("daemon.room_failed", room=room.name)
            self._say_failed(room.name, f"{type(error).__name__}: {error}", tally)
            return ()
        tally.look_again(plan.again_in)
        for line, wait in plan.waits.items():
            tally.waits.setdefault(line, []).append(wait)
        return plan.proposals

    async def _one(self, room: Room, proposal: Proposal, tally: "_Tally", dry_run: bool) -> None:  # noqa: FBT001
        intent = proposal.intent
        if rest := self._decisions.resting(intent):
            tally.rest(intent, rest.why)
            tally.look_again(rest.seconds)  # no other event may come when the rest is over
            return
        policies = self._policies()
        decision = judge(intent, proposal.facts, policies)
        if dry_run:
            tally.add(intent, decision, "would")
            return
        cause = proposal.cause
        if intent.kind in policies.guarded_kinds:
            self._steps.enter(f"decide {intent.kind}")
            cause = self._decisions.record(proposal, decision)
            self._steps.leave()
        if decision.judgement is not Judgement.ALLOW:
            tally.add(intent, decision, "stopped")
            return
        self._settle(intent, await self._perform(room, intent, cause), cause, tally)

    async def _perform(self, room: Room, intent: Intent, cause: int | None) -> Attempt:
        self._steps.enter(intent.kind)
        try:
            return await room.perform(intent, cause)
        except TemporaryError as error:
            return Retry(at=self._clock.now() + timedelta(seconds=error.delay), reason=str(error))
        except FlywheelError as error:
            return Failed(reason=error.message, mend=error.mend)
        except OSError as error:
            # A disk that is full or a folder that is away comes back; the rests of a failure grow to hours.
            reason = f"{error.filename or 'a file'} cannot be used: {error.strerror or error}"
            return Retry(at=self._clock.now() + _DISK_PAUSE, reason=reason)
        except Exception as error:
            # The supervised edge: an unforeseen fault is recorded and tried again later, like any other.
            log.exception("daemon.attempt_failed", intent=intent.kind, subject=intent.subject)
            return Failed(reason=f"{type(error).__name__}: {error}")
        finally:
            self._steps.leave()

    def _settle(self, intent: Intent, attempt: Attempt, cause: int | None, tally: "_Tally") -> None:
        if isinstance(attempt, Done):
            self._decisions.forget(intent)
            if attempt.changed:
                tally.done.append(attempt.sentence)
            self._echo()
            return
        reason = attempt.reason + (f" — {attempt.mend}" if isinstance(attempt, Failed) and attempt.mend else "")
        wake = attempt.at if isinstance(attempt, Retry) else None
        until = self._decisions.rest(intent, cause, reason, wake)
        tally.look_again(max(0.05, (until - self._clock.now()).total_seconds()))
        tally.failed.append(f"{intent.kind} {intent.subject}: {reason}")

    def _say_failed(self, room: str, reason: str, tally: "_Tally") -> None:
        tally.failed.append(f"{room}: {reason}")
        tally.broken.append(f"{room}: {reason}")
        log.error("daemon.room_failed", room=room, reason=reason)

    def _close(self, report: CycleReport) -> None:
        body = {"sentence": report.sentence, "done": list(report.done)}
        with self._store.write() as session:
            append(session, Event(kind="daemon.cycle_finished", at=self._clock.now(), body=body))


class _Tally:
    def __init__(self) -> None:
        self.done: list[str] = []
        self.stopped: list[str] = []
        self.failed: list[str] = []
        self.waits: dict[str, list[str]] = {}
        self.again_in: float | None = None
        self.denied: list[Denial] = []
        self.broken: list[str] = []

    def look_again(self, seconds: float | None) -> None:
        if seconds is not None:
            self.again_in = min(seconds, self.again_in or seconds)

    def add(self, intent: Intent, decision: Decision, how: str) -> None:
        if decision.judgement is Judgement.ALLOW:
            self.done.append(f"{how} {intent.kind.partition('.')[2].replace('_', ' ')} {intent.subject}")
        else:
            self.stopped.append(f"{intent.kind} {intent.subject}: {decision.sentence}")
            self.waits.setdefault(intent.line, []).append(decision.sentence)
            self.denied.append(denial_of(intent, decision))

    def rest(self, intent: Intent, why: str) -> None:
        self.denied.append(Denial(kind=intent.kind, line=intent.line, subject=intent.subject, why=why))
        if intent.line:
            what = intent.kind.partition(".")[2].replace("_", " ")
            self.waits.setdefault(intent.line, []).append(f"{what} {intent.subject} failed: {why}")

    def report(self, *, dry_run: bool) -> CycleReport:
        parts = [*self.done, *self.stopped, *self.failed]
        sentence = "; ".join(parts) if parts else self._idle()
        waits = {line: tuple(found) for line, found in self.waits.items()}
        return CycleReport(
            sentence=("dry run: " * dry_run) + sentence,
            done=tuple(self.done),
            stopped=tuple(self.stopped),
            failed=tuple(self.failed),
            waits=waits,
            again_in=self.again_in,
            denied=tuple(self.denied),
            broken=tuple(self.broken),
        )

    def _idle(self) -> str:
        waits = [f"{line}: {', '.join(found)}" for line, found in self.waits.items() if found]
        return "nothing new" + (f" ({'; '.join(waits)})" if waits else "")
