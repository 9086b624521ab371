"""`/metrics`: the store's projections as Prometheus reads them. Gathered anew at each visit, changed by none."""

import asyncio
import shutil
import time
from contextlib import suppress
from pathlib import Path

from aiohttp import web
from sqlmodel import Session

from flywheel import __version__
from flywheel.core.errors import FlywheelError
from flywheel.core.events import EVENTS
from flywheel.core.metrics import CONTENT_TYPE, MetricPage
from flywheel.core.releases import ReleaseState
from flywheel.core.verdicts import Verdict
from flywheel.daemon.heartbeats import last_beat
from flywheel.daemon.locks import daemon_runs
from flywheel.daemon.settings import Settings
from flywheel.proc.own_measures import own_measures
from flywheel.store import tallies as rows
from flywheel.store.counters import counters, cursor
from flywheel.store.ledger import last_event
from flywheel.web.desks import desk_of
from flywheel.web.tallies import OTHER, EventCounts

PATH = "/metrics"

_FILES = ("flywheel.db", "flywheel.db-wal", "capture.db", "capture.db-wal")
_STATUS = "daemon:status"  # where the daemon leaves its last word
_SOURCE_HEALTH = ("sources.source_failed", "sources.source_recovered")
_SERVER_HEALTH = ("serve.server_failed", "serve.server_recovered")


def add_to(router: web.UrlDispatcher) -> None:
    """Answer at Prometheus' usual path."""
    router.add_get(PATH, Gatherer().show)


class Gatherer:
    """Gathers the numbers, one visit at a time, and remembers how far it has counted the ledger."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._events = EventCounts()
        self._one_at_a_time = asyncio.Lock()

    async def show(self, request: web.Request) -> web.Response:
        """Show the page; without a store yet, what can be told without one."""
        desk, began = desk_of(request), time.monotonic()
        page = MetricPage("web")
        async with self._one_at_a_time:
            await desk.apart(_of_machine, page, desk.settings)
            with suppress(FlywheelError):  # the daemon has made no store yet, or it is away: the rest is still true
                await desk.read(self._of_store, page, desk.settings)
        page.add("flywheel_scrape_seconds", time.monotonic() - began)
        return web.Response(body=page.text().encode(), headers={"Content-Type": CONTENT_TYPE})

    def _of_store(self, session: Session, page: MetricPage, settings: Settings) -> None:
        self._events.read(session)
        for (line, kind), count in sorted(self._events.by_line(settings.lines).items()):
            page.add("flywheel_events_total", count, line=line, kind=kind)
        for kind in EVENTS:
            at = self._events.last.get(kind)
            page.add("flywheel_event_last_timestamp_seconds", at.timestamp() if at else 0, kind=kind)
        _of_sources(session, page, settings)
        _of_lines(session, page, settings)
        _of_work(session, page, settings)
        _of_releases(session, page, settings)
        _of_servers(session, page, settings)


def _of_machine(page: MetricPage, settings: Settings) -> None:
    page.add("flywheel_build_info", 1, version=__version__)
    for name, value in own_measures():
        page.add(name, value)
    page.add("flywheel_daemon_up", daemon_runs(settings.home))
    if (beat := last_beat(settings.home)) is not None:
        page.add("flywheel_daemon_beat_timestamp_seconds", beat.timestamp())
    with suppress(OSError):
        page.add("flywheel_home_free_bytes", shutil.disk_usage(settings.home).free)
    for name in _FILES:
        with suppress(OSError):
            page.add("flywheel_home_bytes", (Path(settings.home) / name).stat().st_size, file=name)


def _of_sources(session: Session, page: MetricPage, settings: Settings) -> None:
    for source in settings.sources:
        found = counters(session, f"source:{source.name}")
        page.add("flywheel_outcomes_total", found.get("outcomes", 0), source=source.name)
        page.add("flywheel_quarantined_rows_total", found.get("quarantined", 0), source=source.name)
        last = last_event(session, kinds=_SOURCE_HEALTH, subject=source.name)
        page.add("flywheel_source_failing", last is not None and last.kind == _SOURCE_HEALTH[0], source=source.name)


def _of_lines(session: Session, page: MetricPage, settings: Settings) -> None:
    for line in settings.lines:
        for what, count in counters(session, f"line:{line}").items():
            page.add("flywheel_pool", count, line=line, what=what)
    datasets, waits = dict(rows.datasets_by_line(session)), waits_told(session)
    for line in settings.lines:
        page.add("flywheel_datasets", datasets.get(line, 0), line=line)
        page.add("flywheel_line_waits", len(waits.get(line, ())), line=line)
    for line, size in rows.newest_dataset_sizes(session, settings.lines):
        page.add("flywheel_dataset_examples", size, line=line)
    for report in rows.newest_reports(session, settings.lines):
        page.add("flywheel_report_timestamp_seconds", report.at.timestamp(), line=report.line)
        for arm in ("candidate", "base"):
            if (score := report.numbers.get(f"{arm}.score")) is not None:
                page.add("flywheel_report_score", score, line=report.line, arm=arm)


def waits_told(session: Session) -> dict[str, list[str]]:
    """Return what each line waits for, in the words of the last cycle."""
    found = cursor(session, _STATUS).get("waits")
    return found if isinstance(found, dict) else {}


def _of_work(session: Session, page: MetricPage, settings: Settings) -> None:
    _add_groups(page, "flywheel_runs", "state", rows.runs_by_state(session), settings)
    page.add("flywheel_requests_open", rows.open_request_count(session))
    counts: dict[tuple[str, str, str], int] = {}
    for of, kind, state, progress in rows.open_jobs_told(session):
        line = of if of in settings.lines else OTHER
        counts[line, kind, state] = counts.get((line, kind, state), 0) + 1
        if counts[line, kind, state] == 1 and state == "running":
            _add_progress(page, line, kind, progress)
    for (line, kind, state), count in counts.items():
        page.add("flywheel_jobs", count, line=line, kind=kind, state=state)


def _add_progress(page: MetricPage, line: str, kind: str, progress: dict[str, object]) -> None:
    """Tell how far the first piece of running work of a kind is; a line has one at a time but for comparisons."""
    done, of, loss = progress.get("step", progress.get("done")), progress.get("of"), progress.get("loss")
    if isinstance(done, int | float) and isinstance(of, int | float) and of > 0:
        page.add("flywheel_job_progress_ratio", min(done / of, 1.0), line=line, kind=kind)
    if kind == "train" and isinstance(loss, int | float):
        page.add("flywheel_job_loss", loss, line=line)


def _of_releases(session: Session, page: MetricPage, settings: Settings) -> None:
    empty = [(line, verdict.value, 0) for line in settings.lines for verdict in Verdict]
    _add_groups(page, "flywheel_verdicts", "verdict", [*empty, *rows.verdicts(session)], settings)
    none = [(line, state.value, 0) for line in settings.lines for state in ReleaseState]
    _add_groups(page, "flywheel_releases", "state", [*none, *rows.releases_by_state(session)], settings)
    active, share = dict.fromkeys(settings.lines, 0), dict.fromkeys(settings.lines, 0.0)
    for line, state, number, part in rows.in_front(session):
        if line in active and state == "active":
            active[line] = number
        elif line in share:
            share[line] = part
    for line in settings.lines:
        page.add("flywheel_active_release", active[line], line=line)
        page.add("flywheel_canary_share", share[line], line=line)


def _of_servers(session: Session, page: MetricPage, settings: Settings) -> None:
    loaded = dict(rows.loaded_by_server(session))
    for url in dict.fromkeys(server.url for server in settings.servers):
        last = last_event(session, kinds=_SERVER_HEALTH, subject=url)
        page.add("flywheel_server_failing", last is not None and last.kind == _SERVER_HEALTH[0], server=url)
        page.add("flywheel_adapters_loaded", loaded.get(url, 0), server=url)
    page.add("flywheel_routing_version", rows.last_routing_version(session))


def _add_groups(page: MetricPage, name: str, label: str, found: list[tuple[str, str, int]], settings: Settings) -> None:
    """Add counts by line and something; what belongs to lines that are not set any more is one."""
    sums: dict[tuple[str, str], int] = {}
    for line, value, count in found:
        key = (line if line in settings.lines else OTHER, value)
        sums[key] = sums.get(key, 0) + count
    for (line, value), count in sums.items():
        page.add(name, count, **{"line": line, label: value})
