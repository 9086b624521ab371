"""Takes training's readings: the impure half of `facts`."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from sqlmodel import Session

from flywheel.core.clocks import Clock
from flywheel.core.errors import UnavailableError
from flywheel.core.examples import DatasetManifest
from flywheel.core.facts import FACTS, Value, check_facts
from flywheel.core.lines import Line
from flywheel.core.training import Base, TrainSpec
from flywheel.store import runs as run_rows
from flywheel.store.datasets import dataset_seq, last_dataset
from flywheel.store.jobs import unhandled_jobs
from flywheel.store.ledger import event_by_seq
from flywheel.store.purges import is_purged
from flywheel.store.requests import open_requests
from flywheel.store.stores import Store
from flywheel.store.suites import live_suite
from flywheel.train.facts import LineSituation, Situation, spec_for
from flywheel.train.fingerprints import fingerprint, holds_adapter, signature

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
    ) -> None:
        """Read these lines and bases, on this machine."""
        self.lines = lines
        self.bases = bases
        self._store = store
        self._clock = clock
        self._machine = machine
        self._known: dict[str, tuple[str, str]] = {}

    def situation(self) -> Situation:
        """Return how things stand now."""
        with self._store.read() as session:
            jobs = tuple(unhandled_jobs(session, "train"))
        return Situation(lines=tuple(self._line(line) for line in self.lines().values()), jobs=jobs)

    def spec(self, line: str) -> TrainSpec | None:
        """Return the run the line's newest dataset asks for; the base's bytes are read anew."""
        self._known.clear()
        return spec_for(self._line(self.lines()[line]))

    def _line(self, line: Line) -> LineSituation:
        base = self.bases.get(line.base)
        with self._store.read() as session:
            dataset = last_dataset(session, line.name)
            if dataset is not None and is_purged(session, dataset.hash):
                dataset = None  # its files were deleted: the next one is waited for
            here = self._of_dataset_and_run(session, LineSituation(line=line, base=base, dataset=dataset))
        if dataset is None or here.run_state is not None or base is None:
            return here
        return self._with_base(here, base, dataset)

    def _of_dataset_and_run(self, session: Session, here: LineSituation) -> LineSituation:
        if here.dataset is None:
            return here
        digest = here.dataset.hash
        run, cause = run_rows.run_of_dataset(session, digest), dataset_seq(session, digest)
        here = here.model_copy(update={"dataset_cause": cause})
        if run is None:
            return here
        request = next((one for one in open_requests(session, "train") if one.line == here.line.name), None)
        if run.state == "failed" and request is not None:
            attempt = run_rows.failed_runs_of(session, digest) + 1
            return here.model_copy(update={"attempt": attempt, "request": request})
        return here.model_copy(update={"run_state": run.state, "failure": run.error})

    def _with_base(self, here: LineSituation, base: Base, dataset: DatasetManifest) -> LineSituation:
        try:
            found = self._fingerprint(Path(base.path))
        except UnavailableError as error:
            return here.model_copy(update={"busy": str(error)})
        facts = self._facts(here.line, base, dataset, found)
        return here.model_copy(update={"fingerprint": found, "facts": facts})

    def _fingerprint(self, base: Path) -> str:
        # A run may be held for hours: while the files look the same, their bytes are not read in every cycle.
        looks = signature(base)
        if self._known.get(str(base), ("", ""))[0] != looks or not looks:
            self._known[str(base)] = (looks, fingerprint(base))
        return self._known[str(base)][1]

    def _facts(self, line: Line, base: Base, dataset: DatasetManifest, found: str) -> dict[str, Value]:
        facts = {
            **self._of_base(base, found),
            **self._of_line(line),
            **self._of_dataset(line, dataset),
            **self._machine(),
        }
        check_facts(facts)
        return facts

    def _of_base(self, base: Base, found: str) -> dict[str, Value]:
        with self._store.read() as session:
            pinned = run_rows.pinned_base(session, base.name) or base.fingerprint
        return {
            "base.fingerprint_is_frozen": pinned in {None, found} and base.fingerprint in {None, found},
            "base.is_adapter": holds_adapter(Path(base.path)),
            "base.parameters_billion": base.parameters,
        }

    def _of_line(self, line: Line) -> dict[str, Value]:
        others = [other.rung for other in self.lines().values() if not other.planning]
        day = self._clock.now() - timedelta(hours=24)
        with self._store.read() as session:
            return {
                "line.is_planning": line.planning,
                "line.rung": line.rung,
                "line.minimum_examples": line.dataset.minimum_examples,
                "line.runs_per_day": line.train.runs_per_day,
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
        return {
            **{name: value for name, value in told.items() if name in FACTS},
            "dataset.examples": dataset.examples,
            "dataset.fresh": dataset.fresh,
            "dataset.replay_share": round(dataset.replay_share, 4),
            "parent.exists": dataset.parent is not None,
            "suite.exists": suite is not None,
            "suite.problems": suite.problems if suite else 0,
        }
