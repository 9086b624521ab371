"""Does what training decided: starts runs, publishes what they leave, records how they failed."""

import asyncio
from datetime import timedelta
from pathlib import Path

from flywheel.core.attempts import Attempt, Done, Failed, Retry
from flywheel.core.clocks import Clock
from flywheel.core.errors import CorruptError, FlywheelError, UnavailableError
from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.core.intents import Intent
from flywheel.core.jobs import Job, JobState
from flywheel.core.lines import Line
from flywheel.core.rooms import Plan
from flywheel.core.training import AdapterManifest, Base, TrainSpec
from flywheel.proc.files import file_hash, write_json
from flywheel.store import jobs as job_rows
from flywheel.store import runs as run_rows
from flywheel.store.datasets import dataset_by_hash
from flywheel.store.ledger import append
from flywheel.store.requests import answer_request
from flywheel.store.stores import Store
from flywheel.train.adapters import describe, publish, read_result
from flywheel.train.backends.registry import BACKENDS
from flywheel.train.backends.seams import RESULT, Places
from flywheel.train.facts import Situation
from flywheel.train.fingerprints import fingerprint
from flywheel.train.plan import plan
from flywheel.train.readings import Readings

KIND = "train"


class TrainPlaces(Frozen):
    """Where training finds and leaves things."""

    datasets: Path
    runs: Path
    adapters: Path
    python: Path


class TrainRoom:
    """From a frozen dataset to a published adapter."""

    name = "train"

    def __init__(self, store: Store, clock: Clock, readings: Readings, places: TrainPlaces) -> None:
        """Work on this store, with these places."""
        self._store = store
        self._clock = clock
        self._readings = readings
        self._places = places

    async def propose(self) -> Plan:
        """Return what training should do now."""
        situation: Situation = await asyncio.to_thread(self._readings.situation)
        return plan(situation)

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Do one allowed thing."""
        action = {
            "train.start_run": self._start,
            "train.publish_adapter": self._publish,
            "train.close_run": self._close,
        }[intent.kind]
        try:
            return await asyncio.to_thread(action, intent, cause)
        except UnavailableError as error:
            return Retry(at=self._clock.now() + timedelta(seconds=error.delay), reason=str(error))
        except FlywheelError as error:
            return Failed(reason=error.message, mend=error.mend)

    def _start(self, intent: Intent, cause: int | None) -> Attempt:
        line = self._line(intent.line)
        base = self._base(line)
        spec = self._readings.spec(intent.line)
        if spec is None or spec.run_id != intent.subject:
            return Done(sentence=f"{intent.subject} is no longer wanted", changed=False)
        if not self._places.python.exists():
            return Failed(reason="the train environment is not there", mend="run `flywheel env create train`")
        self._check_dataset(spec)
        job = self._job(spec, base, cause)
        with self._store.write() as session:
            now = self._clock.now()
            if run_rows.pinned_base(session, base.name) is None:
                seq = append(
                    session,
                    Event(
                        kind="train.base_pinned",
                        at=now,
                        line=line.name,
                        subject=base.name,
                        cause=cause,
                        body={"fingerprint": spec.base_fingerprint},
                    ),
                )
                run_rows.pin_base(session, base.name, base.path, spec.base_fingerprint, seq)
            seq = append(
                session,
                Event(
                    kind="train.run_started",
                    at=now,
                    line=line.name,
                    subject=spec.run_id,
                    cause=cause,
                    body={"dataset": spec.dataset, "technique": spec.technique},
                ),
                key=f"run_started:{spec.run_id}",
            )
            run_rows.start_run(session, spec, now, seq)
            job_rows.enqueue(session, job.model_copy(update={"cause": seq}))
            if "request" in intent.params:
                answer = f"started {spec.run_id}, attempt {spec.attempt}"
                answer_request(session, intent.params["request"], satisfied=True, answer=answer)
        return Done(sentence=f"started {spec.run_id} for {line.name}")

    def _check_dataset(self, spec: TrainSpec) -> None:
        folder = self._places.datasets / spec.dataset
        with self._store.read() as session:
            stored = dataset_by_hash(session, spec.dataset)
        for name, part in stored.splits.items() if stored else ():
            mend = f"restore {folder} from a backup"
            try:
                found = file_hash(folder / f"{name}.jsonl")
            except OSError as error:
                reason = f"{name}.jsonl of dataset {spec.dataset} cannot be read: {error.strerror}"
                raise CorruptError(reason, mend) from error
            if found != part.sha256:
                raise CorruptError(f"{name}.jsonl of dataset {spec.dataset} is not what was frozen", mend)

    def _job(self, spec: TrainSpec, base: Base, cause: int | None) -> Job:
        folder = self._places.runs / spec.run_id
        places = Places(
            python=self._places.python,
            base=Path(base.path).resolve(),
            dataset=self._places.datasets / spec.dataset,
            folder=folder,
        )
        with self._store.read() as session:
            stored = dataset_by_hash(session, spec.dataset)
        valid = stored.splits["valid"].rows if stored and "valid" in stored.splits else 0
        command = BACKENDS[spec.backend].command(spec, places, valid)
        write_json(places.orders, command.orders)
        return Job(
            id=f"{KIND}-{spec.run_id}",
            kind=KIND,
            line=spec.line,
            subject=spec.run_id,
            state=JobState.QUEUED,
            folder=str(folder),
            cause=cause,
            spec={"argv": list(command.argv), "env": command.env, "result": RESULT},
        )

    def _publish(self, intent: Intent, cause: int | None) -> Attempt:
        folder = self._places.runs / intent.subject
        spec = self._spec(intent.subject)
        try:
            result = read_result(folder)
            self._check_base(spec)
            with self._store.read() as session:
                known = run_rows.adapter_of_run(session, spec.run_id)
                number = known.number if known else run_rows.next_number(session, spec.line)
            manifest = describe(spec, number, folder / "out" / "adapter")
            path = publish(manifest, folder / "out" / "adapter", self._places.adapters)
        except CorruptError as error:
            return self._failed(spec, cause, str(error))
        return self._published(manifest, path, result, cause)

    def _published(
        self, manifest: AdapterManifest, path: Path, result: dict[str, object], cause: int | None
    ) -> Attempt:
        now = self._clock.now()
        with self._store.write() as session:
            finished = append(
                session,
                Event(
                    kind="train.run_finished",
                    at=now,
                    line=manifest.line,
                    subject=manifest.run,
                    cause=cause,
                    body=dict(result),
                ),
                key=f"run_finished:{manifest.run}",
            )
            seq = append(
                session,
                Event(
                    kind="train.adapter_published",
                    at=now,
                    line=manifest.line,
                    subject=manifest.name,
                    cause=finished,
                    body={"hash": manifest.hash, "run": manifest.run, "dataset": manifest.dataset},
                ),
                key=f"adapter_published:{manifest.run}",
            )
            run_rows.end_run(session, manifest.run, now, dict(result))
            run_rows.record_adapter(session, manifest, str(path), seq)
            job_rows.handle(session, f"{KIND}-{manifest.run}")
        return Done(sentence=f"published {manifest.name} ({path.name})")

    def _check_base(self, spec: TrainSpec) -> None:
        base = self._readings.bases.get(spec.base_name)
        if base is None:
            raise UnavailableError(
                f"{spec.run_id} was trained on base {spec.base_name!r}, which the settings no longer define",
                f"add [bases.{spec.base_name}] again",
                delay=60,
            )
        if fingerprint(Path(base.path)) != spec.base_fingerprint:
            raise CorruptError(
                f"base {base.name!r} changed while {spec.run_id} trained on it", "restore the base's files"
            )

    def _close(self, intent: Intent, cause: int | None) -> Attempt:
        with self._store.read() as session:
            job = job_rows.job_by_id(session, f"{KIND}-{intent.subject}")
        return self._failed(self._spec(intent.subject), cause, job.error if job else "the run was lost")

    def _failed(self, spec: TrainSpec, cause: int | None, error: str) -> Attempt:
        now = self._clock.now()
        with self._store.write() as session:
            append(
                session,
                Event(
                    kind="train.run_failed",
                    at=now,
                    line=spec.line,
                    subject=spec.run_id,
                    cause=cause,
                    body={"error": error},
                ),
                key=f"run_failed:{spec.run_id}",
            )
            run_rows.end_run(session, spec.run_id, now, {}, error)
            job_rows.handle(session, f"{KIND}-{spec.run_id}")
        return Done(sentence=f"{spec.run_id} failed: {error}")

    def _spec(self, run_id: str) -> TrainSpec:
        with self._store.read() as session:
            run = run_rows.run_by_id(session, run_id)
        if run is None:
            raise CorruptError(f"there is no run {run_id}")
        return TrainSpec.model_validate(run.spec)

    def _line(self, name: str) -> Line:
        return self._readings.lines()[name]

    def _base(self, line: Line) -> Base:
        return self._readings.bases[line.base]
