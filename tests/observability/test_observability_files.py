"""The dashboard for Grafana and the alert rules ask only for metrics, labels and events that there are."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.cli.emitted_observability import FOLDER
from flywheel.core.events import EVENTS
from flywheel.core.metrics import METRICS
from flywheel.daemon.places import shipped

GRAFANA, ALERTS = shipped(FOLDER) / "grafana.json", shipped(FOLDER) / "alerts.yml"
CASES = Path(__file__).parents[1] / "data" / "observability" / "alert_cases.yml"
_USE = re.compile(r"\b((?:flywheel|process)_\w+)(?:\{([^}]*)\})?")
_BY = re.compile(r"\b(?:by|on|without) \(([^)]*)\)")
_OF_PROMETHEUS = {"le", "instance", "job"}
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="Prometheus' promtool is not installed on this machine")


def board() -> dict[str, object]:
    return json.loads(GRAFANA.read_text(encoding="utf-8"))


def panel_queries() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard, with what it stands in."""
    for panel in board()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for note in board()["annotations"]["list"]:
        yield note["name"], note["expr"]
    for variable in board()["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"]


def alert_queries() -> Iterator[tuple[str, str]]:
    """Every rule's expression, on one line or on several."""
    for rule in ALERTS.read_text(encoding="utf-8").split("- alert: ")[1:]:
        name, _, rest = rule.partition("\n")
        yield name, rest.partition("expr:")[2].partition("labels:")[0].partition("for:")[0].strip(" |\n")


QUERIES = [*panel_queries(), *alert_queries()]


def _metric(name: str) -> str:
    bare = re.sub(r"_(bucket|sum|count)$", "", name)
    return bare if bare in METRICS and METRICS[bare].type == "histogram" else name


def test_there_are_queries() -> None:
    """The tests below look at something, and most of what there is to see is shown."""
    assert len(QUERIES) > 50
    shown = {_metric(name) for _, query in QUERIES for name, _ in _USE.findall(query)}
    assert len(shown & METRICS.keys()) / len(METRICS) > 0.6


@pytest.mark.parametrize(("where", "query"), QUERIES)
def test_every_metric_and_label_is_there(where: str, query: str) -> None:
    """Each name stands in the registry; each label it is asked by, or summed by, is one of its own."""
    used = [(_metric(name), labels) for name, labels in _USE.findall(query)]
    assert used or "up{" in query, f"{where} asks for nothing"
    for name, labels in used:
        asked = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", labels or ""))
        assert name in METRICS
        assert asked <= {*METRICS[name].labels, *_OF_PROMETHEUS}
    for names in _BY.findall(query):
        known = {*(label for name, _ in used for label in METRICS[name].labels), *_OF_PROMETHEUS}
        assert {label.strip() for label in names.split(",")} <= known


@pytest.mark.parametrize(("where", "query"), [pair for pair in QUERIES if "kind" in pair[1]])
def test_every_event_asked_for_is_one(where: str, query: str) -> None:
    """A kind that is named, or described by a pattern, is in the registry of events."""
    for pattern in re.findall(r'\bkind=~?"([^"]*)"', query):
        assert any(re.fullmatch(pattern, kind) for kind in EVENTS), f"{where}: {pattern}"


def test_the_dashboard_is_whole() -> None:
    """Panels have ids of their own, do not overlap, and say what they show; nothing names a data source of ours."""
    panels = board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert all(panel["description"] for panel in panels if panel["type"] != "row")
    assert set(re.findall(r'"uid": "([^"]*)"', GRAFANA.read_text())) == {"flywheel", "${datasource}"}


def test_every_alert_says_what_to_do() -> None:
    """Each rule has a severity, what is wrong in one sentence, and the next step."""
    for rule in ALERTS.read_text(encoding="utf-8").split("- alert: ")[1:]:
        name = rule.partition("\n")[0]
        assert re.fullmatch(r"Flywheel[A-Za-z]+", name)
        assert re.search(r"severity: (critical|warning|info)", rule), name
        assert "summary: " in rule, name
        assert "description: " in rule, name


def _promtool(*arguments: str) -> None:
    done = subprocess.run([str(PROMTOOL), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_takes_rules_and_queries(tmp_path: Path) -> None:
    """Prometheus' own checker takes the alerts, and every query of the dashboard as a rule."""
    _promtool("check", "rules", str(ALERTS))
    variables = {"$line": "code", "$__rate_interval": "1m", "$__interval": "1m"}
    rules = ["groups:", "- name: panels", "  rules:"]
    for number, (_, query) in enumerate(panel_queries()):
        if query.startswith("label_values"):
            continue
        for variable, value in variables.items():
            query = query.replace(variable, value)  # noqa: PLW2901 - one after the other
        rules += [f"  - record: panel:{number}", f"    expr: {json.dumps(query)}"]
    (tmp_path / "panels.yml").write_text("\n".join(rules) + "\n")
    _promtool("check", "rules", str(tmp_path / "panels.yml"))


@needs_promtool
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """On made-up series each of the less plain rules speaks when it should, and is silent when not."""
    for file in (ALERTS, CASES):
        shutil.copy(file, tmp_path)
    _promtool("test", "rules", str(tmp_path / CASES.name))
