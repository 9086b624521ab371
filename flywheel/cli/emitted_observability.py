"""`flywheel emit grafana | alerts`: what Grafana and Prometheus are given; the files ship with flywheel."""

import json

from flywheel.cli.contexts import AsJson
from flywheel.cli.outputs import Force, Output, tell, write
from flywheel.daemon.places import shipped

FOLDER = "observability"


def grafana(output: Output = None, force: Force = False, as_json: AsJson = False) -> None:
    """Show the dashboard for Grafana, to be imported there; it asks which Prometheus to use."""
    text = _text("grafana.json")
    if output is not None:
        write(output, text, force=force)
    tell(json.loads(text), text, as_json=as_json, written=output)


def alerts(output: Output = None, force: Force = False, as_json: AsJson = False) -> None:
    """Show the alert rules for Prometheus, to be named under its rule_files."""
    text = _text("alerts.yml")
    if output is not None:
        write(output, text, force=force)
    tell({"rules": text}, text, as_json=as_json, written=output)


def _text(name: str) -> str:
    return (shipped(FOLDER) / name).read_text(encoding="utf-8")
