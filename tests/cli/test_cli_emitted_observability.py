"""`flywheel emit grafana | alerts`: the shipped files, whole, to the screen or to a file that nobody has yet."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_house import Said

from flywheel.cli.emitted_observability import FOLDER
from flywheel.daemon.places import shipped


@pytest.mark.parametrize(("what", "file"), [("grafana", "grafana.json"), ("alerts", "alerts.yml")])
def test_what_ships_is_emitted(what: str, file: str, typed: Callable[..., Said], tmp_path: Path) -> None:
    """Shown as it is, as JSON, or written; never over something without being told to."""
    text = (shipped(FOLDER) / file).read_text(encoding="utf-8")
    assert typed("emit", what).out == text
    assert json.loads(typed("emit", what, "--json").out) == (json.loads(text) if what == "grafana" else {"rules": text})
    target = tmp_path / file
    assert typed("emit", what, "--output", str(target)).status == 0
    assert target.read_text() == text
    assert typed("emit", what, "--output", str(target)).status == 2
    assert typed("emit", what, "--output", str(target), "--force").status == 0
