"""Takes training's readings: the impure half of `facts`."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from sqlmodel import Session

from flywheel.core.clocks import Clock
from flywheel.core.errors import UnavailableError
from flywheel.core.examples import DatasetManifest
from flywheel.core.facts import FACTS, Value, check_facts
from flywheel.core.jobs import Ending
from flywheel.core.lines import Line
from flywheel.core.training import Base, TrainSpec
from flywheel.store import runs as run_rows
from flywheel.store.datasets import dataset_seq, last_dataset
from flywheel.store.jobs import unhandled_jobs
from flywheel.store.ledger import event_by_seq, last_event
from flywheel.store.purges import is_purged
from flywheel.store.requests import open_requests, rewrite_request
from flywheel.store.stores import Store
from flywheel.store.suites import live_suite
from flywheel.train.batches import halved
from flywheel.train.facts import LineSituation, Situation, variants_of
from flywheel.train.fingerprints import Prints
from flywheel.train.pins import Looked, Standing, base_facts, standing

Lines = Callable[[], Mapping[str, Line]]


class Readings:
    """Reads the store, the bases and the clock into a `Situation`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        lines: Lines,
        bases: Mapping[str, Base],
        machine: Callable[[], dict[str, Value]],
        remedies: Callable[[str], tuple[str, ...]] = lambda _line: (),
    ) -> None:
        """Read these lines and bases, on this machine."""
        self.lines = lines
        self.bases = bases
        self._store = store
        self._clock = clock
        self._machine = machine
        self._remedies = remedies
        self._looked = Looked()

    def situation(self) -> Situation:
        """Return how things stand now."""
        with self._store.read() as session:
            jobs = tuple(unhandled_jobs(session, "train"))
            cancels = tuple((one, _state_of(session, one.subject)) for one in open_requests(session, "cancel"))
        lines = tuple(self._line(line) for line in self.lines().values())
        return Situation(lines=lines, jobs=jobs, cancels=cancels)

    def wanted(self, line: str) -> LineSituation:
        """Return how a line stands; the base's bytes are read anew."""
        self._looked.forget()
        return self._line(self.lines()[line])

    def _line(self, line: Line) -> LineSituation:
        base = self.bases.get(line.base)
        with self._store.read() as session:
            dataset = last_dataset(session, line.name)
            if dataset is not None and (is_purged(session, dataset.hash) or not dataset.suits(line.train.technique)):
                dataset = None  # its files were deleted, or hold something else: the next one is waited for
            here = self._of_dataset_and_run(session, self._begun(session, line, base, dataset))
        if dataset is None or base is None or (here.run_state is not None and here.ablation is None):
            return here
        return self._with_known_runs(self._with_base(here, base, dataset))

    def _begun(self, session: Session, line: Line, base: Base | None, dataset: DatasetManifest | None) -> LineSituation:
        asked = next((one for one in open_requests(session, "ablate") if one.line == line.name), None)
        remedies = self._remedies(line.name)
        return LineSituation(line=line, base=base, dataset=dataset, remedies=remedies, ablation=asked)

    def _with_known_runs(self, here: LineSituation) -> LineSituation:
        variants = [spec.run_id for spec in variants_of(here)]
        with self._store.read() as session:
            known = frozenset(run for run in variants if run_rows.run_by_id(session, run) is not None)
        return here.model_copy(update={"known_runs": known})

    def _of_dataset_and_run(self, session: Session, here: LineSituation) -> LineSituation:
        if here.dataset is None:
            return here
        digest = here.dataset.hash
        run, cause = run_rows.run_of_dataset(session, digest), dataset_seq(session, digest)
        here = here.model_copy(update={"dataset_cause": cause})
        if run is None:
            return here
        request = next((one for one in open_requests(session, "train") if one.line == here.line.name), None)
        if retry := _retry(run):
            told = last_event(session, kinds=["train.batch_halved"], subject=run.id)
            cause = told.seq if told else cause
            return here.model_copy(update={"retry": retry, "request": request, "dataset_cause": cause})
        if run.state in {"failed", "cancelled"} and request is not None:
            attempt = run_rows.failed_runs_of(session, digest) + 1
            return here.model_copy(update={"attempt": attempt, "request": request})
        return here.model_copy(update={"run_state": run.state, "failure": run.error})

    def _with_base(self, here: LineSituation, base: Base, dataset: DatasetManifest) -> LineSituation:
        try:
            found = self.bytes_of(base)
        except UnavailableError as error:
            return here.model_copy(update={"busy": str(error)})
        with self._store.read() as session:
            pinned = standing(session, base, found)
        facts = self._facts(here.line, base, dataset, pinned)
        if here.retry is not None:  # the smaller batch stands for the run that ran out of memory, which was counted
            facts["line.runs_today"] = max(0, int(facts["line.runs_today"] or 0) - 1)
        return here.model_copy(update={"fingerprint": found.whole, "changed": pinned.changed, "facts": facts})

    def bytes_of(self, base: Base) -> Prints:
        """Return what a base's bytes are; they are read again when its files look changed."""
        return self._looked.at(Path(base.path))

    def _facts(self, line: Line, base: Base, dataset: DatasetManifest, pinned: Standing) -> dict[str, Value]:
        facts = {
            **base_facts(base, pinned),
            **self._of_line(line),
            **self._of_dataset(line, dataset),
            **self._machine(),
        }
        check_facts(facts)
        return facts

    def _of_line(self, line: Line) -> dict[str, Value]:
        others = [other.rung for other in self.lines().values() if not other.planning]
        day = self._clock.now() - timedelta(hours=24)
        with self._store.read() as session:
            return {
                "line.is_planning": line.planning,
                "line.rung": line.rung,
                "line.minimum_examples": line.least_examples,
                "line.minimum_judgements": line.dataset.minimum_judgements,
                "line.minimum_pairs": line.dataset.minimum_pairs,
                "line.technique": line.train.technique,
                "line.runs_per_day": line.train.runs_per_day,
                "line.spare_disk_gib": max(line.train.spare_disk_gib, line.train.most_disk_gib or 0.0),
                "line.failed_runs": run_rows.failures_in_a_row(session, line.name),
                "line.runs_today": run_rows.runs_since(session, line.name, day),
                "line.rounds_without_gain": run_rows.rounds_without_gain(session, line.name),
                "ladder.lowest_other_rung": min(others) if others else None,
            }

    def _of_dataset(self, line: Line, dataset: DatasetManifest) -> dict[str, Value]:
        with self._store.read() as session:
            event = event_by_seq(session, dataset_seq(session, dataset.hash) or 0)
            suite = live_suite(session, line.name)
        told = {f"dataset.{key}": value for key, value in (event.body if event else {}).items()}
        # A line that is about chosen domains has no others: that one of them dominates is its purpose.
        of_domains = any(tag.startswith("domain:") for tag in line.select.tags)
        return {
            **{name: value for name, value in told.items() if name in FACTS},
            **({"dataset.largest_domain_share": None} if of_domains else {}),
            "dataset.is_of_base": dataset.base == line.base if dataset.base else None,
            "dataset.examples": dataset.examples,
            "dataset.fresh": dataset.fresh,
            "dataset.replay_share": round(dataset.replay_share, 4),
            "parent.exists": dataset.parent is not None,
            "suite.exists": suite is not None,
            "suite.problems": suite.problems if suite else 0,
        }


def _state_of(session: Session, run: str) -> str | None:
    found = run_rows.run_by_id(session, run)
    return found.state if found else None


def _retry(run: run_rows.Run) -> TrainSpec | None:
    starved = run.state == "failed" and run.result.get("ended") == Ending.MEMORY.value
    return halved(TrainSpec.model_validate(run.spec)) if starved else None


def settle_ablation(session: Session, here: LineSituation) -> None:
    """Write down which runs are compared, as soon as the first of them starts."""
    if here.ablation is not None and "specs" not in here.ablation.body:
        specs = [spec.model_dump(mode="json") for spec in variants_of(here)]
        rewrite_request(session, here.ablation.id, {**here.ablation.body, "specs": specs})
