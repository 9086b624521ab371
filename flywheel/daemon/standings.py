"""How things stand, for people to look at: every line with what it has, what it does, and why it does nothing more.

Every reading costs the same at any size of the pool. The daemon itself does not need it; `cli` and `web` do.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlmodel import Session

from flywheel.core.clocks import parse_time
from flywheel.core.frozen import Frozen
from flywheel.core.jobs import Job, JobState
from flywheel.core.lines import Line
from flywheel.core.releases import Release, ReleaseState, previous_of
from flywheel.curate.facts import gather as gather_pools
from flywheel.curate.needs import stocks_of
from flywheel.curate.situations import LineSituation
from flywheel.store.counters import counters, cursor
from flywheel.store.jobs import open_jobs
from flywheel.store.pauses import paused_lines
from flywheel.store.releases import releases
from flywheel.store.reports import newest_report
from flywheel.store.rungs import on_its_rung

STATUS = "daemon:status"
_SHOWN = {ReleaseState.ACTIVE, ReleaseState.CANARY, ReleaseState.SHADOW, ReleaseState.REGISTERED}


class Stock(Frozen):
    """Something a line learns from: how much there is, how much is new, and how much the next dataset asks for."""

    noun: str
    held: int
    fresh: int
    least: int
    trigger: int

    @property
    def missing(self) -> int:
        """Return how many more the next dataset needs."""
        return max(self.least - self.held, self.trigger - self.fresh, 0)

    @property
    def part(self) -> float:
        """Return how near the next dataset is, from 0 to 1."""
        return min(1.0, self.held / max(self.least, 1), self.fresh / max(self.trigger, 1))


class Work(Frozen):
    """Long work in progress: a run, a measurement; `done` steps `of` so many, and the numbers its program told."""

    job: str
    kind: str
    subject: str
    state: str
    attempts: int = 0
    ending: str = ""
    done: int | None = None
    of: int | None = None
    told: dict[str, Any] = Field(default_factory=dict)

    @property
    def part(self) -> float | None:
        """Return how far it is, from 0 to 1, where that is known."""
        return min(1.0, self.done / self.of) if self.done is not None and self.of else None


class Placed(Frozen):
    """A release and the share of the line's traffic that it answers, or listens to."""

    name: str
    state: str
    share: float
    since: datetime | None = None
    approved: bool = False
    overridden: bool = False


class LastVerdict(Frozen):
    """What the gate said last about an adapter of the line; no name where the adapter has none of ours."""

    adapter: str
    report: str
    verdict: str
    sentence: str
    at: datetime


class LineStanding(Frozen):
    """One line: what it is, what it has, what it does, and what it waits for."""

    line: str
    why: str = ""
    rung: int | None = None
    base: str = ""
    technique: str = ""
    pool: dict[str, int] = Field(default_factory=dict)
    stocks: tuple[Stock, ...] = ()
    dataset: int | None = None
    work: tuple[Work, ...] = ()
    releases: tuple[Placed, ...] = ()
    previous: str = ""
    verdict: LastVerdict | None = None
    paused: str = ""
    waits: tuple[str, ...] = ()

    @property
    def answers(self) -> str:
        """Return who answers the agent; empty where it is the base model."""
        return next((one.name for one in self.releases if one.state == ReleaseState.ACTIVE.value), "")

    @property
    def base_share(self) -> float:
        """Return the share of the traffic that the base model answers."""
        answering = {ReleaseState.ACTIVE.value, ReleaseState.CANARY.value}
        return max(0.0, 1 - sum(one.share for one in self.releases if one.state in answering))


class Standing(Frozen):
    """The whole house: whether a daemon is at work, for how long it has been silent, what it said last, every line."""

    daemon: bool
    silent: float = 0.0
    at: datetime | None = None
    sentence: str = ""
    problem: str = ""
    lines: tuple[LineStanding, ...] = ()


def why_idle(line: LineStanding, *, daemon: bool, looked: bool = True) -> str:
    """Return the one sentence that says why nothing more happens on a line now."""
    if line.paused:
        return line.paused
    said = "; ".join(dict.fromkeys(line.waits))
    if not daemon:
        return "no daemon is running: start it with `flywheel run`" + (f" (last it was: {said})" if said else "")
    if said:
        return said
    if line.work:
        return "it is at work"
    return "nothing is asked of it: no source has brought anything new" if looked else "the daemon has not looked yet"


def gather(
    session: Session, names: Sequence[str], declared: Mapping[str, Line], now: datetime, *, daemon: bool
) -> Standing:
    """Take the readings of the lines of these names, as far as policies declare them."""
    said: dict[str, Any] = cursor(session, STATUS)
    known = {name: on_its_rung(session, declared[name]) for name in names if name in declared}
    pools = {here.line.name: here for here in gather_pools(session, known, now).lines}
    jobs, paused = open_jobs(session), paused_lines(session)
    lines = []
    for name in names:
        about = _about(pools[name]) if name in pools else {}
        told = {"paused": paused[name].sentence} if name in paused else {}
        waits = tuple(said.get("waits", {}).get(name, ()))
        lines.append(LineStanding(line=name, waits=waits, **about, **told, **_of_line(session, name, jobs)))
    at = parse_time(said["at"]) if said.get("at") else None
    return Standing(daemon=daemon, at=at, sentence=str(said.get("sentence", "")), lines=tuple(lines))


def _about(here: LineSituation) -> dict[str, Any]:
    line, trigger = here.line, here.line.trigger.fresh_examples
    return {
        "why": line.why,
        "rung": line.rung,
        "base": line.base,
        "technique": line.train.technique,
        "dataset": here.last.number if here.last else None,
        "stocks": tuple(Stock(**stock._asdict(), trigger=trigger) for stock in stocks_of(here)),
    }


def _of_line(session: Session, name: str, jobs: Sequence[Job]) -> dict[str, Any]:
    held = releases(session, name)
    previous = previous_of(held)
    return {
        "pool": counters(session, f"line:{name}"),
        "work": tuple(work_of(job) for job in jobs if job.line == name),
        "releases": _placed(held),
        "previous": previous.name if previous else "",
        "verdict": _verdict(session, name, held),
    }


def work_of(job: Job) -> Work:
    """Return long work as people look at it; what it told about its speed is of no use while it waits."""
    told = {key: value for key, value in job.progress.items() if key != "eta_seconds" or job.state is JobState.RUNNING}
    done, of = told.get("step", told.get("done")), told.get("of")
    return Work(job=job.id, kind=job.kind, subject=job.subject, state=job.state.value, attempts=job.attempts,
                ending=job.unwanted, done=_whole(done), of=_whole(of), told=told)  # fmt: skip


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _placed(held: Sequence[Release]) -> tuple[Placed, ...]:
    """Return who answers, who is tried and who waits; the active one answers what the canary does not."""
    tried = sum(release.share for release in held if release.state is ReleaseState.CANARY)
    shares = {ReleaseState.ACTIVE: 1 - tried}
    order = [ReleaseState.ACTIVE, ReleaseState.CANARY, ReleaseState.SHADOW, ReleaseState.REGISTERED]
    shown = sorted((release for release in held if release.state in _SHOWN), key=lambda one: order.index(one.state))
    return tuple(
        Placed(name=one.name, state=one.state.value, share=shares.get(one.state, one.share),
               since=one.canary_since or one.changed_at, approved=one.approved, overridden=one.overridden)
        for one in shown
    )  # fmt: skip


def _verdict(session: Session, line: str, held: Sequence[Release]) -> LastVerdict | None:
    newest = newest_report(session, line)
    if newest is None:
        return None
    report = newest.report
    name = next((one.name for one in held if one.adapter == report.adapter), "")
    return LastVerdict(adapter=name, report=newest.id, verdict=report.verdict.value, sentence=report.sentence,
                       at=newest.at)  # fmt: skip
