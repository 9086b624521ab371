"""The registry of metrics and the page that is made of it: nothing unknown is told, and Prometheus reads it all."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from flywheel.core.metrics import METRICS, Histogram, MetricPage

_BASE_UNITS = ("_seconds", "_bytes", "_ratio", "_total", "_info", "_seconds_total")


@pytest.mark.parametrize("name", METRICS)
def test_names_are_as_prometheus_wants_them(name: str) -> None:
    """Small letters, a prefix, `_total` on what only rises and on nothing else, and times in seconds."""
    spec = METRICS[name]
    assert re.fullmatch(r"(flywheel|flywheel_gateway|process)_[a-z_]+", name)
    assert name.endswith("_total") == (spec.type == "counter")
    assert all(re.fullmatch(r"[a-z_]+", label) and label not in {"le", "job", "instance"} for label in spec.labels)
    assert not re.search(r"(_ms|_minutes|_hours|_mib|_percent)$", name)
    if "timestamp" in name or spec.type == "histogram":
        assert name.endswith("_seconds")


def test_nothing_unknown_is_told() -> None:
    """A name that is not registered, a label too many or too few, and another process's number are refused."""
    page = MetricPage("web")
    with pytest.raises(KeyError):
        page.add("flywheel_nonsense", 1)
    with pytest.raises(ValueError, match="labels"):
        page.add("flywheel_datasets", 1)
    with pytest.raises(ValueError, match="labels"):
        page.add("flywheel_datasets", 1, line="code", other="x")
    with pytest.raises(ValueError, match="told by gateway"):
        page.add("flywheel_gateway_calls_held", 1)
    assert page.text() == "\n"


@given(
    line=st.text(),
    kind=st.text(),
    value=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
)
@settings(deadline=None)
def test_every_label_and_number_comes_back(line: str, kind: str, value: float) -> None:
    """Quotes, line breaks, backslashes and whatever a name may hold: Prometheus' own library reads what was told."""
    page = MetricPage("web")
    page.add("flywheel_events_total", value, line=line, kind=kind)
    (family,) = text_string_to_metric_families(page.text())
    (sample,) = family.samples
    shown = {name: text.encode("utf-8", "replace").decode() for name, text in (("line", line), ("kind", kind))}
    assert (sample.labels, sample.value) == (shown, float(value))


@given(st.lists(st.floats(0, 1000), max_size=50))
@settings(deadline=None)
def test_a_histogram_counts_every_value_once(values: list[float]) -> None:
    """Each bucket holds all that is not above its bound, the last holds all, and the sum is the sum."""
    found = Histogram((0.1, 1.0, 10.0))
    for value in values:
        found.observe(value)
    page = MetricPage("gateway")
    page.add_histogram("flywheel_gateway_call_held_seconds", found)
    (family,) = text_string_to_metric_families(page.text())
    told = {(sample.name.rpartition("_")[2], sample.labels.get("le")): sample.value for sample in family.samples}
    for bound in (0.1, 1.0, 10.0):
        shown = next(le for name, le in told if name == "bucket" and le and le != "+Inf" and float(le) == bound)
        assert told["bucket", shown] == sum(value <= bound for value in values)
    assert told["bucket", "+Inf"] == told["count", None] == len(values)
    assert told["sum", None] == pytest.approx(sum(values))
