"""Traces: nothing is imported where nobody asked; sent by OTLP over HTTP where somebody did; and nobody ever waits."""

import http.server
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import ValidationError

from flywheel.core.errors import SettingsError
from flywheel.core.traces import NO_TRACER, TelemetrySection
from flywheel.proc import telemetry
from flywheel.proc.telemetry import open_tracer


class Collector:
    """What takes traces by OTLP over HTTP: it reads them with the protocol's own definition."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, ExportTraceServiceRequest]] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                collector.requests.append((self.path, ExportTraceServiceRequest.FromString(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def spans(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Service, name and attributes of every span."""
        return [
            (
                next(one.value.string_value for one in group.resource.attributes if one.key == "service.name"),
                span.name,
                {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes},
            )
            for _, request in self.requests
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.close()


def test_nobody_asked_nothing_is_imported() -> None:
    """Daemon and gateway without an endpoint never load OpenTelemetry."""
    script = (
        "import sys, flywheel.daemon.houses, flywheel.gateway.apps\n"
        "from flywheel.core.traces import NO_TRACER, TelemetrySection\n"
        "from flywheel.proc.telemetry import open_tracer\n"
        "assert open_tracer(TelemetrySection(), 'x') is NO_TRACER\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_spans_reach_a_collector(collector: Collector) -> None:
    """What was said of each arrives under the service's name, at OTLP's own path; inner spans are parts of outer."""
    tracer = open_tracer(TelemetrySection(endpoint=collector.origin), "flywheel-test")
    with tracer.within("cycle", {"flywheel.dry_run": False}), tracer.within("train.start_run") as span:
        span.note({"flywheel.line": "code", "flywheel.cause": 7, "flywheel.nothing": None})
        span.fail("Retry")
    tracer.close()
    assert {path for path, _ in collector.requests} == {"/v1/traces"}
    assert sorted(collector.spans()) == [
        ("flywheel-test", "cycle", {"flywheel.dry_run": False}),
        ("flywheel-test", "train.start_run", {"flywheel.line": "code", "flywheel.cause": 7}),
    ]
    inner, outer = (span for _, request in collector.requests for group in request.resource_spans
                    for scope in group.scope_spans for span in scope.spans)  # fmt: skip
    assert (inner.parent_span_id, inner.trace_id) == (outer.span_id, outer.trace_id)
    assert (inner.status.code, inner.status.message) == (2, "Retry")


def test_a_trace_goes_on_through_headers() -> None:
    """What an agent's request carries is the parent, what goes to the server carries this span; else no change."""
    exporter = InMemorySpanExporter()
    tracer = open_tracer(TelemetrySection(), "x", exporter)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    span = tracer.begin("gateway.call", {"TraceParent": parent})
    headers = {"traceparent": parent, "other": "kept"}
    span.carry(headers)
    span.end()
    tracer.close()
    (done,) = exporter.get_finished_spans()
    assert format(done.context.trace_id, "032x") == "0af7651916cd43dd8448eb211c80319c"
    assert format(done.parent.span_id, "016x") == "b7ad6b7169203331"
    assert headers == {
        "traceparent": f"00-0af7651916cd43dd8448eb211c80319c-{done.context.span_id:016x}-01", "other": "kept"
    }  # fmt: skip
    unchanged = {"traceparent": parent}
    NO_TRACER.begin("gateway.call", unchanged).carry(unchanged)
    assert unchanged == {"traceparent": parent}


def test_a_share_of_traces_is_kept_whole() -> None:
    """Of a trace that is kept every span is, of one that is not none is; about so many are as was asked."""
    exporter = InMemorySpanExporter()
    tracer = open_tracer(TelemetrySection(share=0.25), "x", exporter)
    for _ in range(400):
        with tracer.within("cycle"), tracer.within("part"):
            pass
    tracer.close()
    names = [span.name for span in exporter.get_finished_spans()]
    assert names.count("cycle") == names.count("part")
    assert 40 < names.count("cycle") < 160


def test_a_collector_that_is_away_holds_nobody_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Spans are taken at once, the end comes soon and is one, and the log says it once, not once a span."""
    import socket

    with socket.socket() as taken:  # bound and never listening: a connection is refused
        taken.bind(("127.0.0.1", 0))
        tracer = open_tracer(TelemetrySection(endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}"), "x")
        began = time.monotonic()
        for _ in range(5000):  # more than the queue holds
            tracer.begin("gateway.call", {}).end()
        taken_in = time.monotonic() - began
        tracer.close()
        assert taken_in < 10
        assert time.monotonic() - began < taken_in + 8
    assert not [thread.name for thread in threading.enumerate() if "telemetry" in thread.name or "Otel" in thread.name]
    assert capsys.readouterr().out.count("telemetry.not_sent") <= 1


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint without the library is one line that says how to get it; an address that is none is refused."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(SettingsError, match=r"not installed.*flywheel\[telemetry\]"):
        open_tracer(TelemetrySection(endpoint="http://127.0.0.1:4318"), "x")
    for wrong in ("127.0.0.1:4318", "grpc://host", "http://", "http://a b"):
        with pytest.raises(ValidationError):
            TelemetrySection(endpoint=wrong)
    assert telemetry._PATH == "/v1/traces"
