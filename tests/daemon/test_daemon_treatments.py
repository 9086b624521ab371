"""Reports in the store change a line's next run, and only for as long as they say so."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flywheel.core.verdicts import Report, Verdict
from flywheel.daemon.treatments import Treatments
from flywheel.policy.loading import load_policies
from flywheel.store.reports import StoredReport, record_report
from flywheel.store.stores import Store, open_store, sqlite_url

POLICIES = load_policies(Path(__file__).parents[2] / "policies")
LINES = {"tool-calling": POLICIES.lines["tool-calling"]}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return an empty store."""
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as opened:
        yield opened


def measure(store: Store, number: int, in_format: float) -> None:
    """Record that an adapter was measured."""
    report = Report(adapter=f"h{number}", suite="s", gate="g", verdict=Verdict.FAIL, sentence="", checks=(),
                    numbers={"candidate.in_format": in_format}, alpha_spent=0.0)  # fmt: skip
    at = datetime(2026, 1, number, tzinfo=UTC)
    with store.write() as session:
        record_report(session, StoredReport(id=f"r{number}", line="tool-calling", at=at, seq=number, report=report))


def test_the_last_report_decides(store: Store) -> None:
    """Nothing before the first report, escalated after one without the format, as declared after a good one."""
    treatments = Treatments(store, LINES, POLICIES.remedies)
    assert (treatments.lines(), treatments.applied("tool-calling")) == (LINES, ())
    measure(store, 1, 0.3)
    escalated = treatments.lines()["tool-calling"].train.hyperparameters
    assert (escalated.rank, escalated.max_steps, escalated.learning_rate) == (32, 200, 2e-5)
    assert treatments.applied("tool-calling") == ("format-not-learned",)
    measure(store, 2, 0.97)
    assert (treatments.lines(), treatments.applied("tool-calling")) == (LINES, ())


def test_without_remedies_lines_are_as_declared(tmp_path: Path) -> None:
    """Who removes the remedies gets exactly what the lines declare."""
    store = open_store(sqlite_url(tmp_path / "closed.db"))
    store.close()
    treatments = Treatments(store, LINES, {})
    assert (treatments.lines(), treatments.applied("tool-calling")) == (LINES, ())
