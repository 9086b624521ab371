"""The log and the ledger tell the same story."""

import asyncio
import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from flywheel.core.events import Event
from flywheel.daemon.echoes import Echo
from flywheel.daemon.logs import configure_logs
from flywheel.store.ledger import append
from flywheel.store.stores import Store, open_store, sqlite_url

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def write(store: Store, kind: str, **body: object) -> int:
    """Append one event, as any process may."""
    with store.write() as session:
        return append(session, Event(kind=kind, at=NOW, subject="s", cause=None, body=body))


def test_each_event_is_told_once_under_its_own_name(tmp_path: Path) -> None:
    """What was there before stays untold; what comes is told once, whoever wrote it, trouble as a warning."""
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store:
        write(store, "daemon.started")
        echo = Echo(store)
        first = write(store, "operator.request_made", request="r", facts={"too": "long"})
        second = write(store, "train.run_failed", error="boom")
        with capture_logs() as told:
            echo.tell()
            echo.tell()
    assert [(line["event"], line["log_level"], line["seq"]) for line in told] == [
        ("operator.request_made", "info", first),
        ("train.run_failed", "warning", second),
    ]
    assert told[0]["request"] == "r"
    assert "facts" not in told[0]
    assert told[1]["error"] == "boom"


def test_a_library_speaks_as_we_do(capfd: pytest.CaptureFixture[str]) -> None:
    """What a library logs is one JSON document a line like everything else, and says which library."""
    configure_logs()
    try:
        logging.getLogger("watchdog").warning("called when the thread is %s", "inactive")
        logging.getLogger("watchdog").info("chatter")
    finally:
        logging.getLogger().handlers.clear()
        structlog.reset_defaults()
    (line,) = capfd.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["library"], told["level"]) == ("daemon.library_spoke", "watchdog", "warning")
    assert told["message"] == "called when the thread is inactive"


def test_what_is_called_off_at_the_end_is_no_fault(capfd: pytest.CaptureFixture[str]) -> None:
    """A scheduled look that a stopping daemon cancels leaves no traceback in the log."""
    configure_logs()
    cancelled = asyncio.CancelledError()
    try:
        logging.getLogger("apscheduler").error("a look", exc_info=(type(cancelled), cancelled, None))
    finally:
        logging.getLogger().handlers.clear()
        structlog.reset_defaults()
    assert capfd.readouterr().err == ""
