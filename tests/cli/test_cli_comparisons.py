"""`flywheel reports compare` and `flywheel train --ablate`, as a person types them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cli_house import write_settings

from flywheel.core.training import AdapterManifest, Hyperparameters, TrainSpec
from flywheel.core.verdicts import Report, Verdict
from flywheel.store.reports import StoredReport, record_report
from flywheel.store.requests import open_requests
from flywheel.store.runs import record_adapter, start_run
from flywheel.store.stores import Store, open_store, sqlite_url

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def add(store: Store, number: int, rank: int, gain: float | None) -> None:
    """Record a run with its adapter, and its report when it was measured."""
    spec = TrainSpec(line="tool-calling", dataset="d", base_name="b", base_fingerprint="f",
                     hyperparameters=Hyperparameters(rank=rank, alpha=2 * rank))  # fmt: skip
    manifest = AdapterManifest(hash=f"h{number}", line="tool-calling", number=number, run=spec.run_id, dataset="d",
                               base_name="b", base_fingerprint="f", rank=rank, target_modules=(), files={})  # fmt: skip
    with store.write() as session:
        start_run(session, spec, NOON, number)
        record_adapter(session, manifest, "/adapters", number)
        if gain is not None:
            numbers = {"problems": 100.0, "base.score": 0.5, "candidate.score": 0.5 + gain, "gain": gain}
            report = Report(adapter=manifest.hash, suite="s" * 12, gate="g", verdict=Verdict.PASS, sentence="",
                            checks=(), numbers=dict(numbers), alpha_spent=0.01)  # fmt: skip
            record_report(
                session, StoredReport(id=f"r{number}", line="tool-calling", at=NOON, seq=number, report=report)
            )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the settings of a home with two runs that differ in their rank, one of them measured."""
    config = write_settings(tmp_path)
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store:
        add(store, 1, 32, 0.1234567)
        add(store, 2, 64, None)
    return config


def test_adapters_stand_beside_each_other(say: Any) -> None:
    """The numbers in which the runs differ and nothing else of them, and what was measured of each."""
    said = say("reports", "compare", "tool-calling@1", "tool-calling@2", "--json")
    one, other = json.loads(said.out)
    assert (one["adapter"], one["rank"], one["alpha"], one["gain"]) == ("tool-calling@1", 32, 64, 0.1235)
    assert (one["verdict"], one["base"], one["candidate"], one["suite"]) == ("pass", 0.5, 0.6235, "ssssssss")
    assert (other["adapter"], other["rank"], other["verdict"]) == ("tool-calling@2", 64, "not measured")
    assert "learning_rate" not in one
    table = say("reports", "compare", "tool-calling@1", "tool-calling@2").out
    assert all(word in table for word in ("tool-calling@1", "rank", "64", "not measured"))


def test_an_adapter_nobody_trained_here_is_misuse(say: Any) -> None:
    """One line that says which, and where the right names are."""
    said = say("reports", "compare", "tool-calling@1", "tool-calling@9")
    assert said.status == 2
    assert "tool-calling@9" in said.err
    assert "flywheel adapters list" in said.err


def test_an_ablation_is_written_down_as_it_was_asked(say: Any, home: Path) -> None:
    """The request holds the number and its values; a misspelt number is refused before anything is written."""
    assert say("train", "tool-calling", "--ablate", "rnak=32,64").status == 2
    said = say("train", "tool-calling", "--ablate", "rank=32,64", "--wait", "0", "--json")
    assert json.loads(said.out)["body"] == {"key": "rank", "values": [32, 64]}
    with open_store(sqlite_url(home.parent / "flywheel.db")) as store, store.read() as session:
        (request,) = open_requests(session)
    assert (request.kind, request.line, request.body) == ("ablate", "tool-calling", {"key": "rank", "values": [32, 64]})
