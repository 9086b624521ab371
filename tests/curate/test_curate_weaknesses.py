"""A category that was measured as weak is a reason for a dataset, once a report."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flywheel.core.events import Event
from flywheel.core.examples import DatasetManifest, Split
from flywheel.core.lines import Line, Trigger
from flywheel.core.training import TrainSpec
from flywheel.core.verdicts import Report, Verdict
from flywheel.curate.facts import gather
from flywheel.store.datasets import record_dataset
from flywheel.store.ledger import append
from flywheel.store.reports import StoredReport, record_report
from flywheel.store.runs import end_run, start_run
from flywheel.store.stores import Store, open_store, sqlite_url

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LINE = Line(name="l", why="w", base="b", trigger=Trigger(weak_below=0.6))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return an empty store."""
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as opened:
        yield opened


def freeze(store: Store, number: int, *, trained: bool) -> None:
    """Record a dataset, and a run on it."""
    manifest = DatasetManifest(
        hash=f"d{number}", line="l", number=number, parent=None, splits={"train": Split(rows=1, sha256="s")},
        examples=1, fresh=1, replayed=0, created_at=NOON, base="b",
    )  # fmt: skip
    with store.write() as session:
        seq = append(session, Event(kind="curate.dataset_frozen", at=NOON, line="l", subject=manifest.hash))
        record_dataset(session, manifest, number, seq)
        if trained:
            spec = TrainSpec(line="l", dataset=manifest.hash, base_name="b", base_fingerprint="f")
            start_run(session, spec, NOON, seq)
            end_run(session, spec.run_id, NOON, {})


def measure(store: Store, number: int, score: float) -> None:
    """Record a report with two categories, one of them at this score."""
    scores: dict[str, dict[str, float | None]] = {"read": {"candidate": score}, "write": {"candidate": 0.9}}
    report = Report(adapter=f"h{number}", suite="s", gate="g", verdict=Verdict.PASS, sentence="", checks=(),
                    categories=scores, alpha_spent=0.0)  # fmt: skip
    with store.write() as session:
        seq = append(session, Event(kind="gate.adapter_passed", at=NOON, line="l", subject="a"))
        record_report(session, StoredReport(id=f"r{number}", line="l", at=NOON, seq=seq, report=report))


def reason(store: Store, line: Line = LINE) -> str:
    """Return why the line's last dataset is not enough."""
    with store.read() as session:
        (here,) = gather(session, {"l": line}, NOON).lines
    return here.outgrown


def test_a_weak_category_asks_for_a_dataset_once(store: Store) -> None:
    """From the report until the next dataset, and again after the next report that finds one."""
    freeze(store, 1, trained=True)
    assert reason(store) == ""
    measure(store, 1, 0.41)
    assert reason(store) == "a category scored 0.41, below 0.60"
    freeze(store, 2, trained=False)
    assert reason(store) == ""


@pytest.mark.parametrize("score", [0.6, 0.95])
def test_a_report_without_weak_categories_asks_for_nothing(store: Store, score: float) -> None:
    """The score itself is good enough."""
    freeze(store, 1, trained=True)
    measure(store, 1, score)
    assert reason(store) == ""


def test_only_a_line_that_asks_for_it_is_woken(store: Store) -> None:
    """By default weak spots trigger nothing, and what was not learned yet is learned first."""
    freeze(store, 1, trained=True)
    measure(store, 1, 0.1)
    assert reason(store, LINE.model_copy(update={"trigger": Trigger()})) == ""
    freeze(store, 2, trained=False)
    measure(store, 2, 0.1)
    assert reason(store) == ""
