"""`flywheel adapters list | show | prune`, as a person types them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cli_house import write_settings

from flywheel.cli.registries import success_row, success_words
from flywheel.core.events import Event
from flywheel.core.releases import ReleaseState
from flywheel.core.training import AdapterManifest
from flywheel.store.attributions import Successes
from flywheel.store.gateway_calls import GatewayCall, attribute
from flywheel.store.ledger import append
from flywheel.store.prunings import give_up, leftovers
from flywheel.store.releases import move, register, start_canary
from flywheel.store.requests import open_requests
from flywheel.store.runs import adapter_by_name, record_adapter
from flywheel.store.stores import Store, insert_new, open_store, sqlite_url
from flywheel.store.tables import OutcomeRow, ReportRow

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LINE = "tool-calling"


def publish(store: Store, home: Path, number: int) -> str:
    name = f"{LINE}@{number}"
    folder = home / "adapters" / LINE / f"{number}-abcd"
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"x" * 2048)
    manifest = AdapterManifest(hash=f"h{number}", line=LINE, number=number, run=f"run-{number}", dataset="d",
                               base_name="main", base_fingerprint="f" * 64, rank=16, target_modules=(),
                               files={})  # fmt: skip
    with store.write() as session:
        seq = append(session, Event(kind="train.adapter_published", at=NOON, line=LINE, subject=name))
        record_adapter(session, manifest, str(folder), seq)
        adapter = adapter_by_name(session, name)
        assert adapter is not None
        register(session, adapter, NOON, seq)
    return name


def serve(store: Store, name: str, successes: int, failures: int) -> None:
    """Let an adapter answer tasks that end."""
    number = int(name.partition("@")[2]) * 1000
    ends = ["positive"] * successes + ["negative"] * failures
    calls = [GatewayCall(call=f"c{number + n}", line=LINE, name=name, arm="active", task=f"t{number + n}", session="s",
                         at=NOON, status=200, complete=True, fallback=False, latency_ms=1200.0, first_token_ms=80.0,
                         prompt_tokens=10, completion_tokens=20) for n in range(len(ends))]  # fmt: skip
    rows = [{"key": f"o{number + n}", "source": "agent", "task": f"t{number + n}", "session": "s", "repo": "r",
             "call_type": "x", "at": NOON, "model": LINE, "line": LINE, "label": label, "confidence": 1.0,
             "prompt_key": "p", "revision": 1, "considered": True, "body": {}}
            for n, label in enumerate(ends)]  # fmt: skip
    with store.write() as session:
        attribute(session, calls)
        insert_new(session, OutcomeRow, rows)


def promote(store: Store, name: str) -> None:
    with store.write() as session:
        start_canary(session, name, 0.1, NOON, 1)
        move(session, name, ReleaseState.ACTIVE, NOON, 2)
        body = {"sentence": "it gained 12 points", "numbers": {"gain": 0.12}}
        row = {"id": "report-1", "line": LINE, "adapter": "h1", "suite": "s", "verdict": "pass", "alpha_spent": 0.01,
               "at": NOON, "seq": 3, "body": body}  # fmt: skip
        insert_new(session, ReportRow, [row])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the settings of a home with an active version that was used, and one that was rejected."""
    config = write_settings(tmp_path)
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store:
        first, second = publish(store, tmp_path, 1), publish(store, tmp_path, 2)
        promote(store, first)
        serve(store, first, 30, 10)
        serve(store, second, 5, 5)
        with store.write() as session:
            move(session, second, ReleaseState.REJECTED, NOON, 4)
    return config


def test_the_list_tells_each_version_apart(say: Any) -> None:
    """Newest first: state, verdict, success with its interval, requests, errors, speed, when it was last used."""
    second, first = json.loads(say("adapters", "list", "--json").out)
    assert (second["name"], first["name"]) == (f"{LINE}@2", f"{LINE}@1")
    assert (first["state"], first["active"], first["previous"], second["previous"]) == (
        "active", True, None, f"{LINE}@1",
    )  # fmt: skip
    assert (first["requests"], first["errors"], first["arms"]) == (40, 0, {"active": 40})
    assert (first["latency_ms"]["p50"], first["first_token_ms"]["p95"]) == (1200.0, 80.0)
    assert first["success"]["rate"] == 0.75
    assert 0.58 < first["success"]["low"] < 0.6
    assert 0.86 < first["success"]["high"] < 0.88
    assert first["validation"]["verdict"] == "pass"
    table = say("adapters", "list", "--line", LINE).out
    for word in ("active", "rejected", "pass", "75 % of 40 (59 to 87)", "1200", "2026-01-01 12:00", f"{LINE}@1"):
        assert word in table


def test_one_version_is_told_whole(say: Any) -> None:
    """Where it stands, what made it, what the gate found, what the agent got from it, and what others did beside it."""
    told = say("adapters", "show", f"{LINE}@1").out
    for words in (
        "active since 2026-01-01 12:00", "by run-1, rank 16, on base main (ffffffff)", "the first of its line",
        "pass, 2026-01-01 12:00, in report-1: it gained 12 points", "75.0 % of 40 tasks (95 % sure: 58.8 to 87.3 %)",
        f"{LINE}@2 50 % of 10 (19 to 81)", "40: 40 as active; 0 errors (0.0 %); 0 not ended",
        "half within 1.20 s, 95 of 100 within 1.20 s, of 40 answers", "400 asked, 800 answered", "no server",
    ):  # fmt: skip
        assert words in told
    found = json.loads(say("adapters", "show", f"{LINE}@2", "--json").out)
    assert found["beside"] == {f"{LINE}@1": success_row(Successes(tasks=40, successes=30))}
    assert found["body"]["rank"] == found["rank"] == 16
    assert found["domains"] == []


def test_a_name_nobody_has_is_misuse(say: Any) -> None:
    """One line that says where the right names are."""
    said = say("adapters", "show", f"{LINE}@9")
    assert said.status == 2
    assert "flywheel adapters list" in said.err


def test_no_success_is_no_number() -> None:
    """Without a task that ended there is no rate, and none is made up."""
    assert success_row(Successes())["rate"] is None
    assert "%" not in success_words(Successes())


def test_a_dry_run_says_what_would_go(say: Any, home: Path) -> None:
    """Name, size and reason of what is over, and nothing is asked or deleted."""
    (row,) = json.loads(say("adapters", "prune", "--dry-run", "--json").out)
    assert (row["name"], row["state"], row["bytes"], row["kept"]) == (f"{LINE}@2", "rejected", 2048, "")
    assert "2 KiB" in say("adapters", "prune", "--dry-run").out
    with open_store(sqlite_url(home.parent / "flywheel.db")) as store, store.read() as session:
        assert open_requests(session) == []


def test_what_is_not_over_cannot_be_deleted(say: Any) -> None:
    """Who names the active one is told what would be needed."""
    said = say("adapters", "prune", f"{LINE}@1", "--yes")
    assert said.status == 2
    assert "retired or rejected" in said.err


def test_what_was_deleted_is_said_to_be(say: Any, home: Path) -> None:
    """Whoever would take it out or measure it is told when it went; its record stays."""
    with open_store(sqlite_url(home.parent / "flywheel.db")) as store, store.write() as session:
        (one,) = leftovers(session)
        give_up(session, one, NOON, 5)
    for command in (("adapters", "export", f"{LINE}@2", "--to", "adapter", "--out", "x"), ("gate", f"{LINE}@2")):
        said = say(*command)
        assert said.status == 2
        assert "was deleted on 2026-01-01" in said.err
    assert "deleted 2026-01-01" in say("adapters", "show", f"{LINE}@2").out
    assert json.loads(say("adapters", "prune", "--dry-run", "--json").out) == []


def test_deleting_is_asked_of_the_daemon(say: Any, home: Path) -> None:
    """Without --yes and without a person nothing is asked; with it the request names what is to go, and no more."""
    assert say("adapters", "prune").status == 2
    said = say("adapters", "prune", "--yes", "--reason", "full disk", "--wait", "0")
    assert said.status == 0
    assert "no answer yet" in said.out
    with open_store(sqlite_url(home.parent / "flywheel.db")) as store, store.read() as session:
        (request,) = open_requests(session)
    assert (request.kind, request.body, request.reason) == ("prune", {"names": [f"{LINE}@2"]}, "full disk")
    assert (home.parent / "adapters" / LINE / "2-abcd").exists()


def test_the_daemon_deletes_nothing_while_it_cannot_ask_a_server(say: Any, home: Path) -> None:
    """A cycle finds the request and a server that does not answer: it says so, and the folder stays."""
    assert say("adapters", "prune", "--yes", "--wait", "0").status == 0
    said = say("cycle")
    assert "nothing is deleted" in said.out + said.err
    assert (home.parent / "adapters" / LINE / "2-abcd").exists()
