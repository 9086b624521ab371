"""A small world to look at: one line that improved twice and went back once, with runs, reports and curves."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import insert
from sqlmodel import Session

from flywheel.core.clocks import ManualClock
from flywheel.core.events import Event
from flywheel.core.jobs import Job, JobState
from flywheel.core.releases import ReleaseState
from flywheel.core.training import AdapterManifest, Hyperparameters, TrainSpec
from flywheel.core.verdicts import Check, Report, Verdict
from flywheel.daemon.settings import Settings, load_settings
from flywheel.gate.pages import render
from flywheel.store import tables as t
from flywheel.store.counters import add_to_counter, move_cursor
from flywheel.store.jobs import enqueue
from flywheel.store.ledger import append
from flywheel.store.releases import move, register
from flywheel.store.reports import StoredReport, record_report, report_id
from flywheel.store.runs import adapter_by_name, end_run, record_adapter, start_run
from flywheel.store.stores import Store, open_store
from flywheel.web.apps import build_app

LINE = "tool-calling"
BEGAN = datetime(2026, 3, 1, 8, tzinfo=UTC)
TOKEN = "a-token-of-enough-letters"  # noqa: S105 - made up
#: What a model may have written: it must be shown and do nothing.
HOSTILE = "<script>alert(1)</script>\"'&\u202e"


def settings_in(home: Path, **web: Any) -> Settings:
    """Return the settings of a home, as a file says them."""
    home.mkdir(parents=True, exist_ok=True)
    said = "".join(f"{name} = {_toml(value)}\n" for name, value in {"port": 0, **web}.items())
    file = home / "flywheel.toml"
    file.write_text(
        f'home = "{home}"\nlines = ["{LINE}"]\n[bases.main]\npath = "/base"\nserved_as = "base"\n[web]\n{said}'
    )
    return load_settings(file)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else f'"{value}"'


@asynccontextmanager
async def browser(settings: Settings) -> AsyncIterator[TestClient[Any, Any]]:
    """Give a client of the dashboard that follows no redirection by itself."""
    client = TestClient(TestServer(build_app(settings, clock=ManualClock(at(20)))))
    async with client:
        yield client


def at(days: float) -> datetime:
    """Return a moment of the story."""
    return BEGAN + timedelta(days=days)


def tell(session: Session, kind: str, days: float, subject: str = "", **body: Any) -> int:
    """Append an event of the line."""
    return append(session, Event(kind=kind, at=at(days), line=LINE, subject=subject, body=body))


def make_world(settings: Settings) -> None:
    """Write the whole story into the store and the home."""
    with open_store(settings.store_url) as store:
        with store.write() as session:
            _grow(session)
            for number, verdict in enumerate((Verdict.PASS, Verdict.INSUFFICIENT, Verdict.PASS, Verdict.FAIL), 1):
                _version(session, settings.home, number, verdict)
            _release(session)
            _at_work(session)
        _serve(store)
    _draw(settings.home / "runs" / run_name(4))


def run_name(number: int) -> str:
    """Return the name of the run that made a version."""
    return _spec(number).run_id


def _spec(number: int) -> TrainSpec:
    return TrainSpec(line=LINE, dataset=_hash(number), base_name="main", base_fingerprint="f" * 64,
                     hyperparameters=Hyperparameters(rank=16), seed=number)  # fmt: skip


def _hash(number: int) -> str:
    return f"{number:x}" * 64


def _grow(session: Session) -> None:
    for day in range(12):
        tell(session, "curate.examples_admitted", day, LINE, considered=60, new=50 - day, withdrawn=day % 3)
        add_to_counter(session, f"line:{LINE}", "examples", 50 - day - day % 3)
    add_to_counter(session, f"line:{LINE}", "examples_fresh", 20)


def _version(session: Session, home: Path, number: int, verdict: Verdict) -> None:
    day, spec = 3.0 * number, _spec(number)
    tell(session, "curate.dataset_frozen", day, _hash(number), number=number, examples=200)
    start_run(session, spec, at(day + 0.1), tell(session, "train.run_started", day + 0.1, spec.run_id))
    end_run(session, spec.run_id, at(day + 0.2), {"loss": 0.5 / number, "steps": 60})
    name = f"{LINE}@{number}"
    seq = tell(session, "train.adapter_published", day + 0.2, name)
    digest = _hash(number + 8)
    manifest = AdapterManifest(hash=digest, line=LINE, number=number, run=spec.run_id, dataset=spec.dataset,
                               base_name="main", base_fingerprint="f" * 64, rank=16, target_modules=("q_proj",),
                               files={})  # fmt: skip
    record_adapter(session, manifest, str(home / "adapters" / name), seq)
    adapter = adapter_by_name(session, name)
    assert adapter is not None
    register(session, adapter, at(day + 0.2), seq)
    _report(session, home, (name, digest), day + 0.4, verdict)


def _report(session: Session, home: Path, adapter: tuple[str, str], day: float, verdict: Verdict) -> None:
    name, digest = adapter
    report = Report(
        adapter=digest, suite="a" * 64, gate=LINE, verdict=verdict, alpha_spent=0.01,
        sentence=f"{name} {verdict.value}: points gained 12.5 (needs 5.0) {HOSTILE}",
        checks=(Check(name="gain", verdict=verdict, seen=0.125, needs="0.05", sentence=HOSTILE),),
        numbers={"base.score": 0.4, "candidate.score": 0.525, "gain": 0.125, "gain.low": 0.04, "gain.high": 0.2},
        categories={HOSTILE: {"problems": 12.0, "base": 0.4, "candidate": 0.5, "difference": 0.1, "shrunk": 0.08}},
    )  # fmt: skip
    key = report_id(digest, report.suite)
    kind = "gate.adapter_passed" if verdict is Verdict.PASS else "gate.adapter_failed"
    seq = tell(session, kind, day, name, report=key, verdict=verdict.value, sentence=report.sentence)
    record_report(session, StoredReport(id=key, line=LINE, at=at(day), seq=seq, report=report))
    (home / "reports").mkdir(exist_ok=True)
    (home / "reports" / f"{key}.html").write_text(render(report, name))


def _release(session: Session) -> None:
    def go(kind: str, day: float, number: int, state: ReleaseState | None) -> None:
        name = f"{LINE}@{number}"
        seq = tell(session, f"rollout.{kind}", day, name, why="because")
        if state is not None:
            move(session, name, state, at(day), seq)

    go("canary_started", 3.5, 1, ReleaseState.CANARY)
    go("adapter_promoted", 4, 1, ReleaseState.ACTIVE)
    go("canary_started", 9.5, 3, ReleaseState.CANARY)
    go("adapter_superseded", 10, 1, ReleaseState.SUPERSEDED)
    go("adapter_promoted", 10, 3, ReleaseState.ACTIVE)
    go("adapter_rolled_back", 13, 3, ReleaseState.ROLLED_BACK)
    go("adapter_promoted", 13, 1, ReleaseState.ACTIVE)
    go("adapter_rejected", 13.5, 4, ReleaseState.REJECTED)


def _at_work(session: Session) -> None:
    spec = _spec(5)
    start_run(session, spec, at(14), tell(session, "train.run_started", 14, spec.run_id))
    told = {"step": 30, "of": 120, "loss": 0.42, "eta_seconds": 600}
    enqueue(session, Job(id=f"train-{spec.run_id}", kind="train", line=LINE, subject=spec.run_id,
                         state=JobState.RUNNING, progress=told))  # fmt: skip
    status = {"at": at(14).isoformat(), "sentence": "trained nothing new", "waits": {LINE: ["needs 80 more examples"]}}
    move_cursor(session, "daemon:status", status)


def _serve(store: Store) -> None:
    """Let each model answer tasks: the base before the first version, then each version in its time."""
    outcomes, calls = [], []
    for number, (name, rate, begin, end) in enumerate(
        (("base", 0.4, 0, 4), (f"{LINE}@1", 0.6, 4, 10), (f"{LINE}@3", 0.75, 10, 13), (f"{LINE}@1", 0.62, 13, 14))
    ):
        for task in range(60):
            when, key = at(begin + (end - begin) * task / 60), f"{number}-{task}"
            label = "positive" if task % 20 < 20 * rate else "negative"
            outcomes.append({"key": f"o{key}", "source": "agent", "task": key, "session": "s", "repo": "r",
                             "call_type": "c", "at": when, "model": "m", "line": LINE, "label": label,
                             "confidence": 0.9, "prompt_key": key, "body": {}, "considered": True})  # fmt: skip
            calls.append({"call": f"c{key}", "line": LINE, "name": name, "arm": "active", "task": key, "session": "s",
                          "at": when, "status": 200})  # fmt: skip
    with store.write() as session:
        session.connection().execute(insert(t.OutcomeRow), outcomes)
        session.connection().execute(insert(t.AttributionRow), calls)
        tell(session, "sources.calls_attributed", 14, "agent", calls=len(calls))


def _draw(run: Path) -> None:
    """Leave the curves of a run that was resumed once."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "flywheel" / "jobs"))
    try:
        from charts import Charts
    finally:
        sys.path.pop(0)
    for begin, end in ((1, 50), (41, 121)):
        chart = Charts(run / "out" / "tensorboard", begin)
        for step in range(begin, end):
            chart.add(step, {"train/loss": 2.0 / step**0.5, "train/learning_rate": 2e-4 * (1 - step / 120)})
            if step % 10 == 0:
                chart.add(step, {"eval/loss": 2.2 / step**0.5})
        chart.close()
