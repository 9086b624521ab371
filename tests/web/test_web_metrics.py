"""`/metrics`, `/healthz` and `/readyz` of the dashboard's process: true to the store, also while it is away."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, update

from flywheel.core.clocks import ManualClock
from flywheel.core.events import EVENTS, Event
from flywheel.core.jobs import Job, JobState
from flywheel.core.metrics import METRICS, MetricPage
from flywheel.core.requests import Request
from flywheel.core.verdicts import Report, Verdict
from flywheel.daemon.heartbeats import SILENT_SECONDS, beat, last_beat
from flywheel.daemon.locks import daemon_runs, only_daemon
from flywheel.daemon.settings import load_settings
from flywheel.store.counters import add_to_counter, move_cursor
from flywheel.store.jobs import enqueue
from flywheel.store.ledger import append
from flywheel.store.reports import StoredReport, record_report
from flywheel.store.requests import make_request
from flywheel.store.stores import Store, open_store, sqlite_url
from flywheel.store.tables import DatasetRow, JobRow, LoadedRow, ReleaseRow, RunRow
from flywheel.web.apps import build_app
from flywheel.web.metrics import Gatherer
from flywheel.web.tallies import EventCounts

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SERVER = "http://127.0.0.1:1"
Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "flywheel.toml"
    path.write_text(
        f'home = "{tmp_path / "home"}"\nlines = ["code", "plan"]\n[[servers]]\nurl = "{SERVER}"\n'
        f'[[sources]]\nname = "agent"\npath = "{tmp_path / "agent.db"}"\n'
    )
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    with open_store(sqlite_url(tmp_path / "home" / "flywheel.db")) as opened:
        yield opened


def happen(store: Store, kind: str, line: str = "", subject: str = "", minutes: int = 0) -> int:
    with store.write() as session:
        return append(session, Event(kind=kind, at=NOON + timedelta(minutes=minutes), line=line, subject=subject))


def fill(store: Store) -> None:
    """One of everything that is told, on a line of the settings, and some of a line that was once set."""
    happen(store, "sources.outcomes_ingested")
    happen(store, "gate.adapter_passed", "code", "code@1", 5)
    happen(store, "gate.adapter_passed", "yesterday", "yesterday@1", 7)
    happen(store, "sources.source_failed", subject="agent")
    happen(store, "serve.server_failed", subject=SERVER)
    numbers = {"candidate.score": 0.61, "base.score": 0.5}
    report = Report(adapter="h1", suite="s", gate="g", verdict=Verdict.PASS, sentence="pass", checks=(),
                    numbers=numbers, categories={}, alpha_spent=0.01)  # fmt: skip
    job = Job(id="train-1", kind="train", line="code", subject="r", state=JobState.QUEUED)
    with store.write() as session:
        add_to_counter(session, "line:code", "examples", 42)
        add_to_counter(session, "source:agent", "outcomes", 7)
        add_to_counter(session, "source:agent", "quarantined", 2)
        record_report(session, StoredReport(id="report-1", line="code", at=NOON, seq=2, report=report))
        session.add(DatasetRow(hash="d", line="code", number=1, watermark=1, seq=1, body={"examples": 40}))
        session.add(RunRow(id="r", line="code", dataset="d", state="running", started_at=NOON, seq=1))
        session.add(RunRow(id="q", line="yesterday", dataset="e", state="failed", started_at=NOON, seq=1))
        for number, state, share in ((1, "active", 1.0), (2, "canary", 0.1)):
            session.add(ReleaseRow(name=f"code@{number}", line="code", number=number, adapter=f"h{number}",
                                   state=state, share=share, changed_at=NOON, seq=1))  # fmt: skip
        session.add(LoadedRow(server=SERVER, name="code@1", path="p", warmed_at=NOON))
        make_request(session, Request(id="q1", kind="approve", line="code", subject="code@2", by="me", at=NOON))
        enqueue(session, job)
        enqueue(session, job.model_copy(update={"id": "export-1", "kind": "export", "line": ""}))
        move_cursor(session, "daemon:status", {"waits": {"code": ["needs 3 more", "held: a person"]}})
    with store.write() as session:
        progress = {"step": 25, "of": 100, "loss": 0.75}
        session.connection().execute(update(JobRow).values(state="running", progress=progress))


@asynccontextmanager
async def visiting(config: Path, clock: ManualClock | None = None) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(build_app(load_settings(config), clock=clock))) as client:
        yield client


async def numbers(client: TestClient) -> Numbers:
    response = await client.get("/metrics")
    assert response.status == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(await response.text())
        for sample in family.samples
    }


def of(found: Numbers, name: str, **labels: str) -> float | None:
    return found.get((f"flywheel_{name}", tuple(sorted(labels.items()))))


@pytest.mark.asyncio
async def test_the_page_is_true_to_the_store(config: Path, store: Store) -> None:
    """Each number is the projection's, by its line; lines that are not set any more are one."""
    fill(store)
    async with visiting(config) as client:
        found = await numbers(client)
    assert of(found, "events_total", line="code", kind="gate.adapter_passed") == 1
    assert of(found, "events_total", line="other", kind="gate.adapter_passed") == 1
    assert of(found, "events_total", line="plan", kind="gate.adapter_passed") == 0
    last = of(found, "event_last_timestamp_seconds", kind="gate.adapter_passed")
    assert last == (NOON + timedelta(minutes=7)).timestamp()
    assert of(found, "event_last_timestamp_seconds", kind="rollout.adapter_promoted") == 0, "never"
    told = {
        ("pool", ("line", "code"), ("what", "examples")): 42,
        ("outcomes_total", ("source", "agent")): 7,
        ("quarantined_rows_total", ("source", "agent")): 2,
        ("source_failing", ("source", "agent")): 1,
        ("server_failing", ("server", SERVER)): 1,
        ("adapters_loaded", ("server", SERVER)): 1,
        ("datasets", ("line", "code")): 1,
        ("datasets", ("line", "plan")): 0,
        ("dataset_examples", ("line", "code")): 40,
        ("runs", ("line", "code"), ("state", "running")): 1,
        ("runs", ("line", "other"), ("state", "failed")): 1,
        ("jobs", ("line", "code"), ("kind", "train"), ("state", "running")): 1,
        ("jobs", ("line", "other"), ("kind", "export"), ("state", "running")): 1,
        ("job_progress_ratio", ("line", "code"), ("kind", "train")): 0.25,
        ("job_loss", ("line", "code")): 0.75,
        ("verdicts", ("line", "code"), ("verdict", "pass")): 1,
        ("verdicts", ("line", "plan"), ("verdict", "fail")): 0,
        ("report_score", ("line", "code"), ("arm", "candidate")): 0.61,
        ("report_score", ("line", "code"), ("arm", "base")): 0.5,
        ("releases", ("line", "code"), ("state", "canary")): 1,
        ("active_release", ("line", "code")): 1,
        ("active_release", ("line", "plan")): 0,
        ("canary_share", ("line", "code")): 0.1,
        ("requests_open",): 1,
        ("line_waits", ("line", "code")): 2,
        ("line_waits", ("line", "plan")): 0,
        ("daemon_up",): 0,
    }
    assert {key: of(found, key[0], **dict(key[1:])) for key in told} == told


@pytest.mark.asyncio
async def test_every_metric_of_the_dashboard_is_told(config: Path, store: Store) -> None:
    """With one of everything in the store nothing of the registry is missing, and nothing else is there."""
    fill(store)
    home = load_settings(config).home
    with only_daemon(home):
        async with visiting(config) as client:
            found = await numbers(client)
    assert {name for name, _ in found} == {spec.name for spec in METRICS.values() if spec.teller in {"web", "both"}}
    assert of(found, "daemon_up") == 1


@pytest.mark.asyncio
async def test_what_can_be_told_without_a_store_is_told(config: Path) -> None:
    """Before the daemon's first start, and while the store is away, the page still stands: nobody is up."""
    async with visiting(config) as client:
        found = await numbers(client)
        assert of(found, "daemon_up") == 0
        assert of(found, "events_total", line="", kind="daemon.started") is None
        health, ready = await client.get("/healthz"), await client.get("/readyz")
        assert (health.status, ready.status) == (200, 503)
        assert "flywheel run" in (await ready.json())["checks"]["daemon"]


def test_the_ledger_is_counted_once(store: Store) -> None:
    """A second reading adds what is new and nothing twice; another ledger, as after a restore, is counted afresh."""
    counts = EventCounts()
    for round_ in range(1, 4):
        happen(store, "curate.dataset_frozen", "code", minutes=round_)
        with store.read() as session:
            counts.read(session)
            counts.read(session)
        assert counts.by_line(["code"])["code", "curate.dataset_frozen"] == round_
        assert counts.last["curate.dataset_frozen"] == NOON + timedelta(minutes=round_)
    counts._seq = 10_000
    with store.read() as session:
        counts.read(session)
    assert counts.by_line(["code"])["code", "curate.dataset_frozen"] == 3


def test_labels_are_bounded_by_the_settings(store: Store) -> None:
    """A hundred lines that came and went add one label, not a hundred."""
    with store.write() as session:
        for number in range(100):
            append(session, Event(kind="curate.dataset_frozen", at=NOON, line=f"line-{number}"))
    counts = EventCounts()
    with store.read() as session:
        counts.read(session)
    found = counts.by_line(["code"])
    assert len(found) == 2 * len(EVENTS) + 1
    assert found["other", "curate.dataset_frozen"] == 100


@pytest.mark.asyncio
async def test_readiness_needs_store_and_daemon(config: Path, store: Store) -> None:
    """Both there: ready. The daemon gone, or its loop silent: not, and the answer says which."""
    clock, home = ManualClock(datetime.now(UTC)), load_settings(config).home
    async with visiting(config, clock) as client:
        with only_daemon(home):
            response = await client.get("/readyz")
            assert (response.status, await response.json()) == (
                200, {"status": "ready", "checks": {"store": "ok", "daemon": "ok"}}
            )  # fmt: skip
            long_ago = time.time() - SILENT_SECONDS - 60
            os.utime(home / "daemon.lock", (long_ago, long_ago))
            silent = await client.get("/readyz")
            assert silent.status == 503
            assert "no sign of life" in (await silent.json())["checks"]["daemon"]
            beat(home)
            assert (await client.get("/readyz")).status == 200
        gone = await client.get("/readyz")
        assert (gone.status, (await gone.json())["checks"]["store"]) == (503, "ok")


@pytest.mark.asyncio
async def test_cycles_that_keep_failing_are_not_ready(config: Path, store: Store) -> None:
    """A daemon whose cycles fail again and again is there and does not work; once they recover it is ready."""
    async with visiting(config) as client:
        with only_daemon(load_settings(config).home):
            with store.write() as session:
                failed = Event(kind="daemon.cycles_failed", at=NOON, body={"reason": "the disk is full"})
                append(session, failed)
            response = await client.get("/readyz")
            assert response.status == 503
            assert (await response.json())["checks"]["daemon"] == "its cycles keep failing: the disk is full"
            happen(store, "daemon.cycles_recovered")
            assert (await client.get("/readyz")).status == 200


def test_looking_leaves_no_beat(tmp_path: Path) -> None:
    """Who asks whether a daemon runs must not look like one; where none ever ran there is no beat."""
    assert last_beat(tmp_path) is None
    with only_daemon(tmp_path):
        os.utime(tmp_path / "daemon.lock", (1000, 1000))
        assert daemon_runs(tmp_path)
        assert last_beat(tmp_path) == datetime.fromtimestamp(1000, UTC)


@pytest.mark.asyncio
async def test_a_scraper_without_the_token_is_told_so(config: Path, store: Store) -> None:
    """Where reading asks for the token the numbers do, too: by 401, not by a form; health and readiness stay open."""
    config.write_text(config.read_text() + "[web]\nsign_in = true\n")
    async with visiting(config) as client:
        refused = await client.get("/metrics", allow_redirects=False)
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
        token = (load_settings(config).home / "web.token").read_text().strip()
        assert (await client.get("/metrics", headers={"authorization": f"Bearer {token}"})).status == 200
        assert (await client.get("/healthz")).status == 200
        assert (await client.get("/readyz")).status == 503


@pytest.mark.asyncio
async def test_many_visits_at_once_tell_the_same(config: Path, store: Store) -> None:
    """Two scrapers at the same moment count nothing twice."""
    fill(store)
    async with visiting(config) as client:
        pages = await asyncio.gather(*(numbers(client) for _ in range(8)))
    assert {of(page, "events_total", line="code", kind="gate.adapter_passed") for page in pages} == {1.0}


def test_a_visit_costs_what_is_new(config: Path, store: Store) -> None:
    """After the first count no statement reads the ledger through: its plan is a search, however long the ledger is."""
    fill(store)
    gatherer, settings, asked = Gatherer(), load_settings(config), []
    with store.read() as session:
        gatherer._of_store(session, MetricPage("web"), settings)
    happen(store, "daemon.started")

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        asked.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    with store.read() as session:
        gatherer._of_store(session, MetricPage("web"), settings)
    event.remove(store.engine, "before_cursor_execute", note)
    plans = []
    with store.engine.connect() as connection:
        for statement, parameters in asked:
            found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans += [row[-1] for row in found if "ledger" in row[-1]]
    assert plans
    scans = [plan for plan in plans if plan.startswith("SCAN")]
    newest = "SCAN ledger"  # of which one row is read: `ORDER BY seq DESC LIMIT 1`
    assert scans in ([], [newest])
