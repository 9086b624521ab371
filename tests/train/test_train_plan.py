"""What training wants, from a situation alone: ended runs are seen to, then each line's newest dataset is learned."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.examples import DatasetManifest, Split
from flywheel.core.jobs import Job, JobState
from flywheel.core.lines import Line, TrainPlan
from flywheel.core.training import Base, Hyperparameters
from flywheel.train.facts import LineSituation, Situation, spec_for
from flywheel.train.plan import plan

LINE = Line(name="l", why="w", base="tiny")
BASE = Base(name="tiny", path="/b", served_as="t")
DATASET = DatasetManifest(
    hash="d1", line="l", number=4, parent=None, splits={"train": Split(rows=20, sha256="s")}, examples=17, fresh=9,
    replayed=3, created_at=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip
READY = LineSituation(line=LINE, base=BASE, dataset=DATASET, dataset_cause=5, fingerprint="f", facts={"line.rung": 3})


def job(state: JobState, **given: Any) -> Job:
    return Job(
        **{"id": "train-run-1", "kind": "train", "line": "l", "subject": "run-1", "state": state, "cause": 8} | given
    )


@pytest.mark.parametrize(
    ("here", "jobs", "wants", "waits"),
    [
        ({}, [], ["train.start_run"], {}),
        ({"dataset": None}, [], [], {}),
        ({"run_state": "finished"}, [], [], {}),
        (
            {"run_state": "failed", "failure": "boom"},
            [],
            [],
            {"l": "the last run failed (boom); `flywheel train l` tries again"},
        ),
        ({"run_state": "running"}, [job(JobState.QUEUED)], [], {"l": "run-1 waits for its turn"}),
        (
            {"run_state": "running"},
            [job(JobState.RUNNING, progress={"step": 3, "of": 9})],
            [],
            {"l": "run-1 is training, step 3 of 9"},
        ),
        ({"run_state": "running"}, [job(JobState.RUNNING, line="other")], [], {}),
        ({"base": None}, [], [], {"l": "base 'tiny' cannot be read"}),
        ({"fingerprint": None, "busy": "there is no model in /b"}, [], [], {"l": "there is no model in /b"}),
        ({"run_state": "running"}, [job(JobState.FINISHED)], ["train.publish_adapter"], {}),
        ({"run_state": "running"}, [job(JobState.FAILED, error="boom")], ["train.close_run"], {}),
        ({}, [job(JobState.FINISHED)], ["train.publish_adapter", "train.start_run"], {}),
    ],
)
def test_each_situation_has_its_plan(
    here: dict[str, Any], jobs: list[Job], wants: list[str], waits: dict[str, str]
) -> None:
    """What is wanted, in order, and what the line waits for."""
    found = plan(Situation(lines=(READY.model_copy(update=here),), jobs=tuple(jobs)))
    assert [each.intent.kind for each in found.proposals] == wants
    assert found.waits == waits


def test_a_start_carries_what_it_is_judged_by() -> None:
    """The run's name, the dataset, the facts and the event that led to it."""
    (start,) = plan(Situation(lines=(READY,))).proposals
    spec = spec_for(READY)
    assert spec is not None
    assert (start.intent.line, start.intent.subject, start.intent.params) == ("l", spec.run_id, {"dataset": "d1"})
    assert start.intent.why == "dataset 4 of 17 examples waits to be learned"
    assert (start.facts, start.cause) == ({"line.rung": 3}, 5)


def test_an_ended_run_carries_its_cause_and_reason() -> None:
    """Both ends of a run follow from the event that started it."""
    jobs = (job(JobState.FINISHED), job(JobState.FAILED, subject="run-2", error="boom"))
    publish, close = plan(Situation(lines=(), jobs=jobs)).proposals
    assert (publish.intent.subject, publish.cause, publish.intent.why) == ("run-1", 8, "the run finished")
    assert (close.intent.subject, close.cause, close.intent.why) == ("run-2", 8, "the run failed: boom")


@given(st.integers(0, 9), st.sampled_from(["f", "g"]), st.sampled_from(["d1", "d2"]), st.sampled_from([8, 16]))
def test_one_run_for_one_spec(seed: int, fingerprint: str, dataset: str, rank: int) -> None:
    """The run's name changes exactly with what its outcome depends on."""
    train = TrainPlan(seed=seed, hyperparameters=Hyperparameters(rank=rank))
    changed = {
        "line": LINE.model_copy(update={"train": train}),
        "fingerprint": fingerprint,
        "dataset": DATASET.model_copy(update={"hash": dataset}),
    }
    one, other = spec_for(READY.model_copy(update=changed)), spec_for(READY)
    assert one is not None
    assert other is not None
    same = (seed, fingerprint, dataset, rank) == (0, "f", "d1", 16)
    assert (one.run_id == other.run_id) == same


@pytest.mark.parametrize("missing", ["base", "dataset", "fingerprint"])
def test_a_run_needs_base_dataset_and_fingerprint(missing: str) -> None:
    """Without one of them there is no spec."""
    assert spec_for(READY.model_copy(update={missing: None})) is None


def test_a_curriculum_is_trained_in_its_order() -> None:
    """The order is the dataset's: what it was frozen with counts, not what the line says by now."""
    frozen = DATASET.model_copy(update={"settings": {"dataset": {"curriculum": True}}})
    one, other = spec_for(READY.model_copy(update={"dataset": frozen})), spec_for(READY)
    assert one is not None
    assert other is not None
    assert (one.ordered, other.ordered) == (True, False)
