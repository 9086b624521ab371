"""What training looks at: each line's newest dataset, its run, its base, its day."""

from pydantic import Field

from flywheel.core.ablations import Ablation
from flywheel.core.examples import DatasetManifest
from flywheel.core.facts import Value
from flywheel.core.frozen import Frozen
from flywheel.core.jobs import Job
from flywheel.core.lines import Line
from flywheel.core.requests import Request
from flywheel.core.training import Base, TrainSpec


class LineSituation(Frozen):
    """Everything a line's next training step depends on; `known_runs` are those there are.

    `retry` is the run with the next smaller batch that is due after one ran out of memory.
    """

    line: Line
    base: Base | None
    dataset: DatasetManifest | None
    dataset_cause: int | None = None
    fingerprint: str | None = None
    changed: str = ""
    run_state: str | None = None
    failure: str = ""
    attempt: int = 1
    request: Request | None = None
    remedies: tuple[str, ...] = ()
    ablation: Request | None = None
    known_runs: frozenset[str] = frozenset()
    retry: TrainSpec | None = None
    busy: str = ""
    facts: dict[str, Value] = Field(default_factory=dict)


class Situation(Frozen):
    """All lines, the training jobs that nobody has seen to, and what people want ended, with the runs' states."""

    lines: tuple[LineSituation, ...]
    jobs: tuple[Job, ...] = ()
    cancels: tuple[tuple[Request, str | None], ...] = ()


def spec_for(here: LineSituation) -> TrainSpec | None:
    """Return the run a line's newest dataset asks for, when base and dataset are known."""
    if here.retry is not None:
        return here.retry
    if here.dataset is None or here.base is None or here.fingerprint is None:
        return None
    train = here.line.train
    return TrainSpec(
        line=here.line.name,
        dataset=here.dataset.hash,
        base_name=here.base.name,
        base_fingerprint=here.fingerprint,
        technique=train.technique,
        backend=train.backend,
        seed=train.seed,
        attempt=here.attempt,
        hyperparameters=train.hyperparameters,
        remedies=here.remedies,
        ordered=bool(here.dataset.settings.get("dataset", {}).get("curriculum", False)),
    )


def variants_of(here: LineSituation) -> tuple[TrainSpec, ...]:
    """Return the runs that a person wants to compare, when base and dataset are known."""
    asked, spec = here.ablation, spec_for(here)
    if asked is None:
        return ()
    if "specs" in asked.body:  # settled with the first of them: what changes meanwhile changes none of the others
        return tuple(TrainSpec.model_validate(each) for each in asked.body["specs"])
    return Ablation(key=asked.body["key"], values=tuple(asked.body["values"])).variants(spec) if spec else ()


def wanted_spec(here: LineSituation, run: str) -> TrainSpec | None:
    """Return the spec of a run that is wanted now, or None when it is not."""
    specs = (spec_for(here), *variants_of(here))
    return next((spec for spec in specs if spec is not None and spec.run_id == run), None)
