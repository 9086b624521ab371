"""Does what the gate decided: freezes suites, queues measurements, records verdicts."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from sqlmodel import Session

from flywheel.core.attempts import Attempt, Done, Failed, Retry
from flywheel.core.clocks import Clock
from flywheel.core.errors import FlywheelError, PermanentError, TemporaryError, UnavailableError
from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.core.intents import Intent
from flywheel.core.jobs import Job, JobState
from flywheel.core.lines import Gate, Line
from flywheel.core.releases import Release
from flywheel.core.rooms import Plan
from flywheel.core.verdicts import Report, Verdict
from flywheel.gate import facts
from flywheel.gate.containments import obstacles
from flywheel.gate.evidence import Role
from flywheel.gate.identities import identities
from flywheel.gate.pages import render
from flywheel.gate.plan import plan
from flywheel.gate.results import read_result
from flywheel.gate.situations import ServerView, Situation
from flywheel.gate.specs import ATTEMPTS, KIND, MeasureSpec, job_id
from flywheel.gate.statistics import alpha_for
from flywheel.gate.suite_shelves import Shelves
from flywheel.gate.verdicts import Subject, without_numbers
from flywheel.proc.files import write_file, write_json
from flywheel.store import jobs, ledger, releases, reports, suites
from flywheel.store.runs import adapter_by_name
from flywheel.store.stores import Store

_DISK_PAUSE = 30


class Folders(Frozen):
    """Where the gate finds datasets and keeps suites, measurements and reports.

    `executor` is the socket of the executor, `workers` how many programs it runs at once.
    """

    datasets: Path
    suites: Path
    measurements: Path
    reports: Path
    executor: Path | None = None
    workers: int = 2


class GateRoom:
    """The room that proves adapters before they may meet the agent."""

    name = "gate"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        lines: Callable[[], Mapping[str, Line]],
        gates: Callable[[], Mapping[str, Gate]],
        folders: Folders,
        server: Callable[[], ServerView],
    ) -> None:
        """Work on a store, for these lines and gates, in these folders, against the server of the moment."""
        self._store = store
        self._clock = clock
        self._lines = lines
        self._gates = gates
        self._folders = folders
        self._server = server
        self._shelves = Shelves(store, clock, lines, gates, (folders.datasets, folders.suites))

    async def propose(self) -> Plan:
        """Gather facts and return what should be done; changes nothing."""
        here = await asyncio.to_thread(self._gather)
        unrun = await obstacles(here, self._folders.suites, self._folders.executor)
        return plan(here.model_copy(update={"unrun": unrun}))

    def _gather(self) -> Situation:
        with self._store.read() as session:
            return facts.gather(session, self._lines(), self._gates(), self._server())

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Do one allowed thing; doing it twice is the same as doing it once."""
        deeds = {
            "gate.freeze_suite": self._shelves.freeze,
            "gate.import_suite": self._shelves.take_in,
            "gate.adopt_suite": self._shelves.adopt,
            "gate.call_successor": self._shelves.call_successor,
            "gate.rotate_suite": self._shelves.rotate,
            "operator.refuse_request": self._shelves.refuse,
            "gate.measure_adapter": self._measure_adapter,
            "gate.judge_adapter": self._judge_adapter,
        }
        try:
            return await asyncio.to_thread(deeds[intent.kind], intent, cause)
        except TemporaryError as error:
            return Retry(at=self._clock.now() + timedelta(seconds=error.delay), reason=str(error))
        except FlywheelError as error:
            return Failed(reason=error.message, mend=error.mend)
        except OSError as error:
            at = self._clock.now() + timedelta(seconds=_DISK_PAUSE)
            return Retry(at=at, reason=f"cannot write: {error.strerror or error}")

    def _measure_adapter(self, intent: Intent, cause: int | None) -> Attempt:
        attempt, digest = int(intent.params["attempt"]), str(intent.params["suite"])
        job = job_id(intent.subject, digest, attempt)
        folder = (self._folders.measurements / job).absolute()
        with self._store.read() as session:
            if jobs.job_by_id(session, job) is not None:
                return Done(sentence=f"{intent.subject} is being measured already", changed=False)
            live = suites.live_suite(session, intent.line)
            if live is None or live.hash != digest:
                return Done(sentence=f"{intent.line} is measured on another suite by now", changed=False)
            spec = self._spec(session, intent, folder)
        body = spec.model_dump(mode="json")
        write_json(folder / "spec.json", body)
        argv = [sys.executable, "-m", "flywheel.gate.measuring", str(folder / "spec.json")]
        row = Job(id=job, kind=KIND, line=intent.line, subject=intent.subject, state=JobState.QUEUED,
                  folder=str(folder), cause=cause,
                  spec={**body, "argv": argv, "result": "out/result.json"})  # fmt: skip
        told = {"job": job, "suite": digest, "attempt": attempt, "alpha": spec.alpha, "models": dict(spec.models)}
        with self._store.write() as session:
            event = self._event("gate.measurement_started", intent.line, intent.subject, cause, told)
            seq = ledger.append(session, event, key=f"started:{job}")
            jobs.enqueue(session, row.model_copy(update={"cause": seq}))
        return Done(sentence=f"began to measure {intent.subject} (attempt {attempt} of {ATTEMPTS})")

    def _spec(self, session: Session, intent: Intent, folder: Path) -> MeasureSpec:
        server, digest = self._server(), str(intent.params["suite"])
        release = self._release(session, intent.subject)
        base, original = self._bases(session, intent.line, release, server)
        active = facts.active_release(session, intent.line, base)
        models: dict[Role, str] = {"base": server.bases[original], "candidate": release.name}
        if active is not None:
            models["active"] = active.name
        gate, index = self._gate(intent.line), reports.spent_on(session, digest)[0] + 1
        return MeasureSpec(
            line=intent.line, adapter=release.adapter, suite=digest, models=models, gate=gate,
            server=server.url_of(base),
            base_server=server.url_of(original) if server.url_of(original) != server.url_of(base) else "",
            suite_path=str((self._folders.suites / digest).absolute()), alpha=alpha_for(index, gate.alpha),
            attempt=int(intent.params["attempt"]), out=str(folder / "out"),
            who=identities(session, models, original), earlier=str(self._folders.measurements.absolute()),
            executor=str(self._folders.executor or ""), executions=self._folders.workers,
        )  # fmt: skip

    def _judge_adapter(self, intent: Intent, cause: int | None) -> Attempt:
        with self._store.read() as session:
            job = jobs.job_by_id(session, str(intent.params["job"]))
        if job is None or job.handled or job.state not in {JobState.FINISHED, JobState.FAILED}:
            return Done(sentence=f"{intent.subject} has no measurement to judge", changed=False)
        spec = MeasureSpec.model_validate(
            {key: value for key, value in job.spec.items() if key in MeasureSpec.model_fields}
        )
        if job.state is JobState.FAILED:
            return self._see_to_failure(job, spec, job.error, cause)
        try:
            report, page = read_result(Path(spec.out))
        except PermanentError as error:
            return self._see_to_failure(job, spec, str(error), cause)
        name = reports.report_id(report.adapter, report.suite)
        write_file(self._folders.reports / f"{name}.html", page)
        with self._store.write() as session:
            body = {"job": job.id, "suite": spec.suite, "numbers": report.numbers}
            measured = self._event("gate.adapter_measured", job.line, job.subject, cause, body)
            seq = ledger.append(session, measured, key=f"measured:{job.id}")
            self._record_verdict(session, job, report, seq)
            jobs.handle(session, job.id)
        return Done(sentence=f"{job.subject}: {report.sentence}")

    def _see_to_failure(self, job: Job, spec: MeasureSpec, error: str, cause: int | None) -> Attempt:
        """Record that a measurement failed; after the last attempt there is no evidence, and that is the verdict."""
        last = spec.attempt >= ATTEMPTS
        reason = f"{spec.attempt} attempts at measuring failed, the last one: {error}"
        subject = Subject(adapter=spec.adapter, suite=spec.suite, alpha=spec.alpha)
        report = without_numbers(spec.gate, subject, reason)
        if last:
            name = reports.report_id(report.adapter, report.suite)
            write_file(self._folders.reports / f"{name}.html", render(report, job.subject).encode("utf-8", "replace"))
        with self._store.write() as session:
            body = {"job": job.id, "attempt": spec.attempt, "of": ATTEMPTS, "error": error}
            failed = self._event("gate.measurement_failed", job.line, job.subject, cause, body)
            seq = ledger.append(session, failed, key=f"unmeasured:{job.id}")
            if last:
                self._record_verdict(session, job, report, seq)
            jobs.handle(session, job.id)
        return Done(sentence=f"measuring {job.subject} failed (attempt {spec.attempt} of {ATTEMPTS}): {error}")

    def _record_verdict(self, session: Session, job: Job, report: Report, cause: int) -> None:
        name = reports.report_id(report.adapter, report.suite)
        kind = "gate.adapter_passed" if report.verdict is Verdict.PASS else "gate.adapter_failed"
        body = {"report": name, **report.model_dump(mode="json", exclude={"categories", "sampling"})}
        seq = ledger.append(session, self._event(kind, job.line, job.subject, cause, body), key=f"verdict:{name}")
        stored = reports.StoredReport(id=name, line=job.line, at=self._clock.now(), seq=seq, report=report)
        reports.record_report(session, stored)

    def _event(self, kind: str, line: str, subject: str, cause: int | None, body: Mapping[str, object]) -> Event:
        return Event(kind=kind, at=self._clock.now(), line=line, subject=subject, cause=cause, body=dict(body))

    def _gate(self, line: str) -> Gate:
        try:
            return self._gates()[self._lines()[line].gate]
        except KeyError as error:
            raise PermanentError(f"line {line} or its gate {error} is not among the policies") from error

    def _bases(self, session: Session, line: str, release: Release, server: ServerView) -> tuple[str, str]:
        """Return the line's base and the base to compare with: below all layers it is one that never was trained."""
        known = self._lines().get(line)
        base = known.base if known else ""
        original = server.original(base)
        if original not in server.bases:
            raise UnavailableError(f"no model server serves the base of line {line}", "see `flywheel doctor`", delay=60)
        adapter = adapter_by_name(session, release.name)
        if adapter is not None and adapter.manifest.base_name != base:
            own = adapter.manifest.base_name
            raise PermanentError(f"{release.name} was trained on base {own!r}, and {line} is on {base!r} now")
        return base, original

    def _release(self, session: Session, name: str) -> Release:
        release = releases.release_by_name(session, name)
        if release is None:
            raise PermanentError(f"there is no release {name}")
        return release
