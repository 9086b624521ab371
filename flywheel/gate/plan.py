"""Decides what the gate does next: judge what was measured, see to the line's suite, measure the next adapter. Pure."""

from flywheel.core.intents import Intent
from flywheel.core.jobs import Job, JobState
from flywheel.core.releases import Release
from flywheel.core.rooms import Plan, Proposal
from flywheel.core.suites import Suite
from flywheel.gate.situations import LineSituation, Situation
from flywheel.gate.successions import facts_of, imports, succeed


def plan(here: Situation) -> Plan:
    """Propose at most one step for each line: one measurement at a time, so that each knows what it may spend."""
    busy = {job.line: job for job in here.jobs}
    judging = Plan(proposals=tuple(proposal for job in here.jobs if (proposal := _judge(job, here)) is not None))
    return sum((_line(line, here, busy.get(line.line.name)) for line in here.lines), judging + imports(here))


def _judge(job: Job, here: Situation) -> Proposal | None:
    if job.state not in {JobState.FINISHED, JobState.FAILED}:
        return None
    why = "the measurement finished" if job.state is JobState.FINISHED else f"the measurement failed: {job.error}"
    line = next((line for line in here.lines if line.line.name == job.line), None)
    intent = Intent(kind="gate.judge_adapter", line=job.line, subject=job.subject, why=why, params={"job": job.id})
    return Proposal(intent=intent, facts=facts_of(line) if line else {}, cause=job.cause)


def _line(here: LineSituation, whole: Situation, job: Job | None) -> Plan:
    if here.gate is None:
        return _wait(here, f"gate {here.line.gate!r} is not among the policies")
    if job is not None:
        return _wait(here, _progress(job))
    suites = succeed(here, here.gate)
    if here.suite is None:
        return suites or _wait(here, "waits for a dataset with rows held out")
    measured = _measure(here, whole, here.candidates[0], here.suite) if here.candidates else Plan()
    return suites + measured if suites else measured


def _measure(here: LineSituation, whole: Situation, candidate: Release, suite: Suite) -> Plan:
    base = whole.originals.get(here.line.base, here.line.base)
    if base not in whole.bases:
        return _wait(here, f"no model server serves base {base!r}")
    missing = [one.name for one in (candidate, here.active) if one is not None and one.name not in whole.warmed]
    if missing:
        return _wait(here, f"waits for {' and '.join(missing)} to be loaded and warmed up")
    if suite.hash in whole.unrun:
        return _wait(here, f"{candidate.name} waits for the executor: {whole.unrun[suite.hash]}")
    why = f"{candidate.name} is loaded and was not judged on the line's suite of {suite.problems} problems"
    params = {"suite": suite.hash, "attempt": here.attempts + 1}
    intent = Intent(kind="gate.measure_adapter", line=here.line.name, subject=candidate.name, why=why, params=params)
    return Plan(proposals=(Proposal(intent=intent, facts=facts_of(here), cause=here.registered),))


def _wait(here: LineSituation, sentence: str) -> Plan:
    return Plan(waits={here.line.name: sentence})


def _progress(job: Job) -> str:
    done, of, eta = (job.progress.get(name) for name in ("done", "of", "eta_seconds"))
    if job.state is JobState.QUEUED or not done or not of:
        return f"{job.subject} is about to be measured"
    left = f", about {max(1, round(eta / 60))} min left" if isinstance(eta, int | float) else ""
    run, programs, warning = (job.progress.get(name) for name in ("programs_run", "programs", "warning"))
    asked = f"{done} of {of} answers{left}" if not programs else f"{run} of {programs} programs run"
    return f"{job.subject} is being measured, {asked}{f': {warning}' if warning else ''}"
