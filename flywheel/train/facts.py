"""What training looks at: each line's newest dataset, its run, its base, its day."""

from pydantic import Field

from flywheel.core.examples import DatasetManifest
from flywheel.core.facts import Value
from flywheel.core.frozen import Frozen
from flywheel.core.jobs import Job
from flywheel.core.lines import Line
from flywheel.core.requests import Request
from flywheel.core.training import Base, TrainSpec


class LineSituation(Frozen):
    """Everything a line's next training step depends on."""

    line: Line
    base: Base | None
    dataset: DatasetManifest | None
    dataset_cause: int | None = None
    fingerprint: str | None = None
    run_state: str | None = None
    failure: str = ""
    attempt: int = 1
    request: Request | None = None
    busy: str = ""
    facts: dict[str, Value] = Field(default_factory=dict)


class Situation(Frozen):
    """All lines, and the training jobs that nobody has seen to."""

    lines: tuple[LineSituation, ...]
    jobs: tuple[Job, ...] = ()


def spec_for(here: LineSituation) -> TrainSpec | None:
    """Return the run a line's newest dataset asks for, when base and dataset are known."""
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
        ordered=bool(here.dataset.settings.get("dataset", {}).get("curriculum", False)),
    )
