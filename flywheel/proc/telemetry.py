"""Traces by OpenTelemetry's own library, which is imported only where the settings ask for it.

Spans wait in a bounded queue and are sent by a thread of the library's. A collector that is away costs the spans that
no longer fit, and one line of log a minute; nobody waits for it.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from flywheel import __version__
from flywheel.core.errors import SettingsError
from flywheel.core.traces import NO_TRACER, NOTHING, Said, Span, TelemetrySection, Tracer

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

log = structlog.get_logger(__name__)

_PATH = "/v1/traces"  # where OTLP over HTTP is received, when only a host is named
_SEND_SECONDS = 2.0
_CLOSE_SECONDS = 2.5
_SECONDS_BETWEEN_COMPLAINTS = 60.0


def open_tracer(section: TelemetrySection, service: str, exporter: "SpanExporter | None" = None) -> Tracer:
    """Return what sends this service's spans; without an endpoint, what sends none.

    Raises SettingsError when an endpoint is named and OpenTelemetry is not installed.
    """
    if section.endpoint is None and exporter is None:
        return NO_TRACER
    try:
        exporter = exporter or _exporter(section.endpoint or "")
        return _OpenTelemetry(_provider(section, service, exporter), exporter)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"telemetry.endpoint is set and {error.name} is not installed", "pip install 'flywheel[telemetry]'"
        ) from error


def _provider(section: TelemetrySection, service: str, exporter: "SpanExporter") -> "TracerProvider":
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    _hear_complaints()
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(section.share)),
        resource=Resource.create({"service.name": service, "service.version": __version__}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _exporter(endpoint: str) -> "SpanExporter":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    whole = endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + _PATH
    return OTLPSpanExporter(endpoint=whole, timeout=_SEND_SECONDS)


class _OpenTelemetry:
    """A tracer of our kind over one of theirs."""

    def __init__(self, provider: "TracerProvider", exporter: "SpanExporter") -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._exporter = exporter
        self._tracer = provider.get_tracer("flywheel", __version__)
        self._words = TraceContextTextMapPropagator()

    @contextmanager
    def within(self, name: str, said: Said = NOTHING) -> Iterator[Span]:
        """Give a span for the block; an error that leaves it is told and goes on."""
        with self._tracer.start_as_current_span(name, attributes=_told(said)) as span:
            yield _Span(span, self._words)

    def begin(self, name: str, headers: Mapping[str, str]) -> Span:
        """Begin a span of the trace that the headers carry."""
        from opentelemetry.context import Context

        around = self._words.extract({key.lower(): value for key, value in headers.items()}, context=Context())
        return _Span(self._tracer.start_span(name, context=around), self._words)

    def close(self) -> None:
        """Send what is left; where nobody takes it, an end is not held up for long."""
        last = threading.Thread(target=self._provider.shutdown, name="telemetry", daemon=True)
        last.start()
        last.join(_CLOSE_SECONDS)
        if last.is_alive():
            self._exporter.shutdown()  # else it would try for half a minute to send what still waits
            last.join(_CLOSE_SECONDS)


class _Span:
    def __init__(self, span: Any, words: Any) -> None:
        self._span = span
        self._words = words

    def note(self, said: Said) -> None:
        self._span.set_attributes(_told(said))

    def fail(self, reason: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_status(Status(StatusCode.ERROR, reason))

    def carry(self, headers: MutableMapping[str, str]) -> None:
        from opentelemetry.trace import set_span_in_context

        found: dict[str, str] = {}
        self._words.inject(found, context=set_span_in_context(self._span))
        headers.update(found)

    def end(self) -> None:
        self._span.end()


def _told(said: Said) -> dict[str, str | bool | int | float]:
    return {name: value for name, value in said.items() if value is not None}


class _Complaints(logging.Handler):
    """Tells what the library complains of, once a minute: a collector that is away would fill the log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        if time.monotonic() - self._last < _SECONDS_BETWEEN_COMPLAINTS:
            return
        self._last = time.monotonic()
        log.warning("telemetry.not_sent", reason=record.getMessage()[:300])


def _hear_complaints() -> None:
    theirs = logging.getLogger("opentelemetry")
    theirs.propagate = False
    if not any(isinstance(handler, _Complaints) for handler in theirs.handlers):
        theirs.addHandler(_Complaints())
