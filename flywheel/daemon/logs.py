"""Logs: JSON lines where a machine reads them, words where a person does. An event's name is its ledger kind."""

import logging
import sys
from asyncio import CancelledError
from typing import TextIO

import structlog


def configure_logs(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send every log line to `stream` (standard error by default) in the form that fits it."""
    out = stream or sys.stderr
    person = out.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    ends: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if person
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(sort_keys=True)]
    )
    structlog.configure(
        processors=[*shared, *ends],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Libraries()], level=max(level, logging.WARNING), force=True)


class _Libraries(logging.Handler):
    """Sends what a library logs the way our own lines go: one document a line, whoever speaks."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it under one event name, with the library's; what is called off as the daemon ends is no fault."""
        if record.exc_info and isinstance(record.exc_info[1], CancelledError):
            return
        said = structlog.get_logger().bind(library=record.name, message=record.getMessage())
        said.log(record.levelno, "daemon.library_spoke", exc_info=record.exc_info)
