"""How runs end without an adapter: failed, out of memory, or ended because a person asked."""

from sqlmodel import Session

from flywheel.core.attempts import Attempt, Done
from flywheel.core.clocks import Clock
from flywheel.core.events import Event
from flywheel.core.intents import Intent
from flywheel.core.jobs import Ending, Job
from flywheel.core.training import TrainSpec
from flywheel.store import jobs as job_rows
from flywheel.store import runs as run_rows
from flywheel.store.ledger import append
from flywheel.store.requests import answer_request, open_requests, request_by_id
from flywheel.store.stores import Store
from flywheel.train.batches import halved, why_starved


class Closings:
    """Writes down how runs ended; doing it twice is doing it once."""

    def __init__(self, store: Store, clock: Clock, job_id: str) -> None:
        """Work on this store; `job_id` says how a run's job is called."""
        self._store = store
        self._clock = clock
        self._job_id = job_id

    def close(self, spec: TrainSpec, cause: int | None) -> Attempt:
        """Record the end of a run whose job failed."""
        with self._store.read() as session:
            job = job_rows.job_by_id(session, self._job_id.format(run=spec.run_id))
        if job is not None and job.ending is Ending.CANCELLED:
            return self._cancelled(spec, cause, job)
        if job is not None and job.ending is Ending.MEMORY:
            return self._starved(spec, cause, job)
        return self.failed(spec, cause, job.error if job else "the run was lost")

    def failed(self, spec: TrainSpec, cause: int | None, error: str) -> Attempt:
        """Record that a run failed."""
        with self._store.write() as session:
            self._fail(session, spec, cause, error, {})
        return Done(sentence=f"{spec.run_id} failed: {error}")

    def ask_end(self, intent: Intent) -> Attempt:
        """Let a run's job end because a person asked; who follows it ends its processes."""
        with self._store.write() as session:
            request = request_by_id(session, intent.params["request"])
            by = (
                f"{request.by or 'a person'} ended it{f': {request.reason}' if request.reason else ''}"
                if request
                else ""
            )
            asked = job_rows.ask_end(session, self._job_id.format(run=intent.subject), by or "a person ended it")
        return Done(sentence=f"{intent.subject} is being ended", changed=asked)

    def refuse(self, intent: Intent) -> Attempt:
        """Answer a request that cannot be satisfied, and record that."""
        answer = str(intent.params["answer"])
        with self._store.write() as session:
            request = request_by_id(session, intent.subject)
            told = Event(kind="operator.request_refused", at=self._clock.now(), line=intent.line,
                         subject=intent.subject, cause=request.cause if request else None,
                         body={"request": request.kind if request else "", "answer": answer})  # fmt: skip
            append(session, told, key=f"refused/{intent.subject}")
            answer_request(session, intent.subject, satisfied=False, answer=answer)
        return Done(sentence=answer)

    def _cancelled(self, spec: TrainSpec, cause: int | None, job: Job) -> Attempt:
        step = job.progress.get("step")
        where = f" at step {step} of {job.progress.get('of')}" if step else " before its first step"
        with self._store.write() as session:
            asked = [one for one in open_requests(session, "cancel") if one.subject == spec.run_id]
            by = asked[0].cause if asked else cause
            body = {"reason": job.error, "step": step}
            event = self._event("train.run_cancelled", spec, by, body)
            append(session, event, key=f"run_cancelled:{spec.run_id}")
            run_rows.end_run(session, spec.run_id, self._clock.now(), {}, job.error, state="cancelled")
            job_rows.handle(session, job.id)
            for request in asked:
                answer_request(session, request.id, satisfied=True, answer=f"{spec.run_id} was ended{where}")
        return Done(sentence=f"{spec.run_id} was cancelled{where}")

    def _starved(self, spec: TrainSpec, cause: int | None, job: Job) -> Attempt:
        error, smaller = why_starved(spec, job.error), halved(spec)
        with self._store.write() as session:
            failed = self._fail(session, spec, cause, error, {"ended": Ending.MEMORY.value})
            if smaller is not None:
                before, after = spec.hyperparameters, smaller.hyperparameters
                body: dict[str, object] = {
                    "batch_size": [before.batch_size, after.batch_size],
                    "accumulation": [before.accumulation, after.accumulation],
                    "next": smaller.run_id,
                }
                event = self._event("train.batch_halved", spec, failed, body)
                append(session, event, key=f"batch_halved:{spec.run_id}")
        return Done(sentence=f"{spec.run_id} failed: {error}")

    def _fail(self, session: Session, spec: TrainSpec, cause: int | None, error: str, result: dict[str, str]) -> int:
        event = self._event("train.run_failed", spec, cause, {"error": error})
        seq = append(session, event, key=f"run_failed:{spec.run_id}")
        run_rows.end_run(session, spec.run_id, self._clock.now(), result, error)
        job_rows.handle(session, self._job_id.format(run=spec.run_id))
        return seq

    def _event(self, kind: str, spec: TrainSpec, cause: int | None, body: dict[str, object]) -> Event:
        return Event(kind=kind, at=self._clock.now(), line=spec.line, subject=spec.run_id, cause=cause, body=body)
