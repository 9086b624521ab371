"""Does what training decided: starts runs, publishes what they leave, records how they failed."""

import asyncio
from datetime import timedelta
from pathlib import Path

from flywheel.core.attempts import Attempt, Done, Failed, Retry
from flywheel.core.bases import what_changed
from flywheel.core.clocks import Clock
from flywheel.core.errors import CorruptError, FlywheelError, PermanentError, UnavailableError
from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.core.intents import Intent
from flywheel.core.jobs import Job, JobLimits, JobState
from flywheel.core.lines import Line
from flywheel.core.rooms import Plan
from flywheel.core.trainers import TRAINERS
from flywheel.core.training import AdapterManifest, Base, TrainSpec
from flywheel.proc.files import file_hash, write_json
from flywheel.store import jobs as job_rows
from flywheel.store import runs as run_rows
from flywheel.store.datasets import dataset_by_hash
from flywheel.store.ledger import append
from flywheel.store.requests import answer_request
from flywheel.store.stores import Store
from flywheel.train.adapters import describe, publish, read_result, refuse_unsound
from flywheel.train.backends.registry import BACKENDS
from flywheel.train.backends.seams import RESULT, Places
from flywheel.train.closings import Closings
from flywheel.train.facts import Situation, spec_for, wanted_spec
from flywheel.train.fingerprints import Prints, prints
from flywheel.train.pins import pin
from flywheel.train.plan import plan
from flywheel.train.preflight_looks import Asked, Preflights, asked_for
from flywheel.train.readings import Readings, settle_ablation

KIND = "train"


class TrainPlaces(Frozen):
    """Where training finds and leaves things."""

    datasets: Path
    runs: Path
    adapters: Path
    python: Path
    others: dict[str, Path] = {}  # noqa: RUF012 - a field of a frozen model, copied for each

    def interpreter(self, backend: str) -> Path:
        """Return the interpreter of a trainer's environment; raises PermanentError when that is not built."""
        name = TRAINERS[backend].environment
        python = self.python if name == "train" else self.others.get(name)
        if python is None or not python.exists():
            raise PermanentError(f"the {name} environment is not there", f"run `flywheel env create {name}`")
        return python


class TrainRoom:
    """From a frozen dataset to a published adapter."""

    name = "train"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        readings: Readings,
        places: TrainPlaces,
        preflights: Preflights | None = None,
    ) -> None:
        """Work on this store, with these places; with `preflights`, no run starts before its check."""
        self.preflights = preflights
        self._store = store
        self._clock = clock
        self._readings = readings
        self._places = places
        self._closings = Closings(store, clock, f"{KIND}-{{run}}")

    async def propose(self) -> Plan:
        """Return what training should do now."""
        return await asyncio.to_thread(self._plan)

    def _plan(self) -> Plan:
        situation: Situation = self._readings.situation()
        planned = plan(situation)
        return self.preflights.sift(planned, situation) if self.preflights else planned

    async def perform(self, intent: Intent, cause: int | None) -> Attempt:
        """Do one allowed thing."""
        action = {
            "train.check_run": self._preflight,
            "train.record_check": self._preflight,
            "train.start_run": self._start,
            "train.publish_adapter": self._publish,
            "train.close_run": self._close,
            "train.cancel_run": lambda intent, _: self._closings.ask_end(intent),
            "operator.refuse_request": lambda intent, _: self._closings.refuse(intent),
        }[intent.kind]
        try:
            return await asyncio.to_thread(action, intent, cause)
        except UnavailableError as error:
            return Retry(at=self._clock.now() + timedelta(seconds=error.delay), reason=str(error))
        except FlywheelError as error:
            return Failed(reason=error.message, mend=error.mend)

    def asked(self, intent: Intent) -> Asked | None:
        """Return the run that a wish to start means, with what its line asks for; None when nobody wants it."""
        return asked_for(self._readings.situation(), intent)

    def next_run(self, line: str) -> str | None:
        """Return the name of the run that a line's newest dataset waits for."""
        here = self._readings.wanted(line)
        spec = spec_for(here) if here.run_state is None else None
        return spec.run_id if spec else None

    def _preflight(self, intent: Intent, cause: int | None) -> Attempt:
        asked = self.asked(intent)
        if asked is None or self.preflights is None:
            return Done(sentence=f"{intent.subject} is no longer wanted", changed=False)
        if intent.kind == "train.record_check":
            return self.preflights.record(asked, cause)
        self._check_dataset(asked.question.spec)
        return self.preflights.start(asked, cause)

    def _start(self, intent: Intent, cause: int | None) -> Attempt:
        line = self._line(intent.line)
        base = self._base(line)
        here = self._readings.wanted(intent.line)
        spec = wanted_spec(here, intent.subject)
        if spec is None:
            return Done(sentence=f"{intent.subject} is no longer wanted", changed=False)
        self._check_dataset(spec)
        job = self._job(spec, base, cause)
        found = self._readings.bytes_of(base)
        with self._store.write() as session:
            now = self._clock.now()
            pin(session, base, found, Event(kind="train.base_pinned", at=now, line=line.name, cause=cause))
            seq = append(
                session,
                Event(
                    kind="train.run_started",
                    at=now,
                    line=line.name,
                    subject=spec.run_id,
                    cause=cause,
                    body={"dataset": spec.dataset, "technique": spec.technique, "remedies": list(spec.remedies)},
                ),
                key=f"run_started:{spec.run_id}",
            )
            run_rows.start_run(session, spec, now, seq)
            job_rows.enqueue(session, job.model_copy(update={"cause": seq}))
            settle_ablation(session, here)
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
        with self._store.read() as session:
            stored = dataset_by_hash(session, spec.dataset)
        places = Places(
            python=self._places.interpreter(spec.backend),
            base=Path(base.path).resolve(),
            dataset=self._places.datasets / spec.dataset,
            folder=folder,
            splits=frozenset(name for name, part in (stored.splits if stored else {}).items() if part.rows),
        )
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
            spec={
                "argv": list(command.argv),
                "env": command.env,
                "result": RESULT,
                "limits": _limits(self._line(spec.line)).model_dump(exclude_none=True),
            },
        )

    def _publish(self, intent: Intent, cause: int | None) -> Attempt:
        folder = self._places.runs / intent.subject
        spec = self._spec(intent.subject)
        try:
            result = read_result(folder)
            base = self._check_base(spec)
            with self._store.read() as session:
                known = run_rows.adapter_of_run(session, spec.run_id)
                number = known.number if known else run_rows.next_number(session, spec.line)
            manifest = describe(spec, number, folder / "out" / "adapter")
            manifest = manifest.model_copy(update={"base_parts": base.parts, "private": self._is_private(spec)})
            refuse_unsound(manifest, folder / "out" / "adapter", Path(self._readings.bases[spec.base_name].path))
            path = publish(manifest, folder / "out" / "adapter", self._places.adapters)
        except CorruptError as error:
            return self._closings.failed(spec, cause, str(error))
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

    def _is_private(self, spec: TrainSpec) -> bool:
        """Tell whether a run learned from what may not be passed on, or began at a base that had."""
        lineage = self._readings.bases[spec.base_name].lineage
        with self._store.read() as session:
            dataset = dataset_by_hash(session, spec.dataset)
            below = [run_rows.adapter_by_name(session, layer.adapter) for layer in (lineage.layers if lineage else ())]
        return bool(dataset and dataset.private) or any(one is not None and one.manifest.private for one in below)

    def _check_base(self, spec: TrainSpec) -> Prints:
        base = self._readings.bases.get(spec.base_name)
        if base is None:
            raise UnavailableError(
                f"{spec.run_id} was trained on base {spec.base_name!r}, which the settings no longer define",
                f"add [bases.{spec.base_name}] again",
                delay=60,
            )
        found = prints(Path(base.path))
        if found.whole != spec.base_fingerprint:
            with self._store.read() as session:
                changed = what_changed(base.name, run_rows.pinned_parts(session, base.name), found.parts)
            raise CorruptError(f"{changed} while {spec.run_id} trained on it", "restore the base's files")
        return found

    def _close(self, intent: Intent, cause: int | None) -> Attempt:
        return self._closings.close(self._spec(intent.subject), cause)

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


def _limits(line: Line) -> JobLimits:
    plan = line.train
    return JobLimits(
        where=f"[train] of line {line.name}",
        longest_hours=plan.longest_hours,
        most_memory_gib=plan.most_memory_gib,
        most_disk_gib=plan.most_disk_gib,
    )
