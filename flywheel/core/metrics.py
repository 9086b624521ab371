"""The closed registry of metrics, and the text in which Prometheus reads them. Pure.

Every label has few values, and a number of them that does not grow with time: lines of the settings, kinds of the
registries, states. What has many (sessions, adapters, tasks) is no label; it stands in the ledger.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from flywheel.core.frozen import Frozen

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Teller = Literal["web", "gateway", "both"]


class MetricSpec(Frozen):
    """What a metric is called, what it counts, by what, and which process tells it."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    teller: Teller = "web"


def _spec(
    name: str, kind: Literal["counter", "gauge", "histogram"], meaning: str, *labels: str, teller: Teller = "web"
) -> MetricSpec:
    return MetricSpec(name=name, type=kind, meaning=meaning, labels=labels, teller=teller)


def _of_store() -> Iterable[MetricSpec]:
    yield _spec("flywheel_daemon_up", "gauge", "1 while a daemon holds the home")
    yield _spec("flywheel_daemon_beat_timestamp_seconds", "gauge", "when the daemon's loop last turned")
    yield _spec("flywheel_events_total", "counter", "events in the ledger", "line", "kind")
    yield _spec("flywheel_event_last_timestamp_seconds", "gauge", "when such an event last was; 0 is never", "kind")
    yield _spec("flywheel_outcomes_total", "counter", "outcomes stored", "source")
    yield _spec("flywheel_quarantined_rows_total", "counter", "rows that could not be taken", "source")
    yield _spec("flywheel_source_failing", "gauge", "1 while a source cannot be read", "source")
    yield _spec("flywheel_pool", "gauge", "what the pool of a line holds", "line", "what")
    yield _spec("flywheel_datasets", "gauge", "frozen datasets", "line")
    yield _spec("flywheel_dataset_examples", "gauge", "examples in the line's newest dataset", "line")
    yield _spec("flywheel_runs", "gauge", "training runs by how they stand", "line", "state")
    yield _spec("flywheel_jobs", "gauge", "long work that is queued or running", "line", "kind", "state")
    yield _spec("flywheel_job_progress_ratio", "gauge", "how much of running work is done, 0 to 1", "line", "kind")
    yield _spec("flywheel_job_loss", "gauge", "the training loss of the run in progress", "line")
    yield _spec("flywheel_verdicts", "gauge", "judged measurements by verdict", "line", "verdict")
    yield _spec("flywheel_report_score", "gauge", "the line's last report: score of candidate and base", "line", "arm")
    yield _spec("flywheel_report_timestamp_seconds", "gauge", "when the line's last report was made", "line")
    yield _spec("flywheel_releases", "gauge", "adapters by their place in front of the agent", "line", "state")
    yield _spec("flywheel_active_release", "gauge", "number of the active adapter; 0 is the base model", "line")
    yield _spec("flywheel_canary_share", "gauge", "share of the traffic that the canary has", "line")
    yield _spec("flywheel_line_waits", "gauge", "what a line waits for, or is held by: how many things", "line")
    yield _spec("flywheel_requests_open", "gauge", "what people asked for and nobody answered yet")
    yield _spec("flywheel_server_failing", "gauge", "1 while a model server does not answer as it should", "server")
    yield _spec("flywheel_adapters_loaded", "gauge", "adapters that a model server held when last seen", "server")
    yield _spec("flywheel_routing_version", "gauge", "version of the routing the daemon published last")
    yield _spec("flywheel_home_free_bytes", "gauge", "bytes that are free where the home lies")
    yield _spec("flywheel_home_bytes", "gauge", "size of the databases in the home", "file")
    yield _spec("flywheel_scrape_seconds", "gauge", "how long it took to gather these numbers")


def _of_gateway() -> Iterable[MetricSpec]:
    def spec(name: str, kind: Literal["counter", "gauge", "histogram"], meaning: str, *labels: str) -> MetricSpec:
        return _spec(f"flywheel_gateway_{name}", kind, meaning, *labels, teller="gateway")

    yield spec("requests_total", "counter", "requests that were let in, by path and how they ended", "route", "status")
    yield spec("requests_refused_total", "counter", "requests that the door did not let in", "status")
    yield spec("requests_in_flight", "gauge", "requests on their way")
    yield spec("calls_total", "counter", "calls for a model's work", "line", "arm", "result")
    yield spec("call_duration_seconds", "histogram", "how long a call took, held time left out", "line", "arm")
    yield spec("call_first_byte_seconds", "histogram", "time to the first byte of an answer", "line", "arm")
    yield spec("call_held_seconds", "histogram", "how long a call that was held waited")
    yield spec("base_fallbacks_total", "counter", "calls that the base answered because the adapter was away", "line")
    yield spec("calls_held", "gauge", "calls that wait while the model servers rest")
    yield spec("calls_overdue", "gauge", "held calls that wait longer than they should")
    yield spec("calls_at_servers", "gauge", "calls at the model servers")
    yield spec("hold_fallbacks_total", "counter", "held calls that went to the fallback server")
    yield spec("server_answers", "gauge", "1 while a model server answers, as requests and looks tell", "server")
    yield spec("routing_version", "gauge", "version of the routing in force")
    yield spec("draining", "gauge", "1 while the process lets its last requests end")
    yield spec("capture_calls_total", "counter", "what became of calls to keep", "fate")
    yield spec("capture_waiting", "gauge", "calls that wait to be written")
    yield spec("capture_trouble", "gauge", "1 while the capture cannot be written")
    yield spec("mirrors_total", "counter", "calls repeated for comparison, and those left out", "fate")


def _of_process() -> Iterable[MetricSpec]:
    yield _spec("flywheel_build_info", "gauge", "1, with the version", "version", teller="both")
    yield _spec("process_resident_memory_bytes", "gauge", "memory the process holds", teller="both")
    yield _spec("process_cpu_seconds_total", "counter", "processor time the process used", teller="both")
    yield _spec("process_start_time_seconds", "gauge", "when the process started", teller="both")
    yield _spec("process_open_fds", "gauge", "files and connections the process has open", teller="both")


METRICS: Mapping[str, MetricSpec] = MappingProxyType(
    {spec.name: spec for spec in (*_of_store(), *_of_gateway(), *_of_process())}
)


class Histogram:
    """Counts durations by bounds that never change; nothing is kept of a single one."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Begin with nothing counted; `bounds` rise."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class MetricPage:
    """A page of metrics: every name is of the registry, with exactly its labels, and told by whom it says."""

    def __init__(self, teller: Literal["web", "gateway"]) -> None:
        """Begin an empty page of one process."""
        self._teller = teller
        self._samples: dict[str, list[str]] = {}

    def add(self, name: str, value: float, **labels: str) -> None:
        """Add one number."""
        self._begin(name, labels).append(f"{name}{_labels(labels)} {_number(value)}")

    def add_histogram(self, name: str, found: Histogram, **labels: str) -> None:
        """Add a histogram, its counts summed up as Prometheus wants them."""
        lines, seen = self._begin(name, labels), 0
        for bound, count in zip((*found.bounds, float("inf")), found.counts, strict=True):
            seen += count
            lines.append(f"{name}_bucket{_labels({**labels, 'le': _number(bound)})} {seen}")
        lines.append(f"{name}_sum{_labels(labels)} {_number(found.total)}")
        lines.append(f"{name}_count{_labels(labels)} {seen}")

    def text(self) -> str:
        """Return the page in the order of the registry, each metric with what it means."""
        lines = []
        for name, spec in METRICS.items():
            if name in self._samples:
                lines += [f"# HELP {name} {_help(spec.meaning)}", f"# TYPE {name} {spec.type}", *self._samples[name]]
        return "\n".join(lines) + "\n"

    def _begin(self, name: str, labels: Mapping[str, str]) -> list[str]:
        spec = METRICS[name]
        if set(labels) != set(spec.labels) or spec.teller not in {self._teller, "both"}:
            msg = f"{name} is told by {spec.teller} with labels {spec.labels}, not by {self._teller} with {labels}"
            raise ValueError(msg)
        return self._samples.setdefault(name, [])


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(value: str) -> str:
    whole = value.encode("utf-8", "replace").decode()  # a lone surrogate would make the page unreadable
    return whole.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if float(value).is_integer() else repr(float(value))
