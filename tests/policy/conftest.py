"""A small policies folder that is sound, for tests to spoil."""

from collections.abc import Callable
from pathlib import Path

import pytest

GUARDRAIL = """
why     = "Rehearse."
guards  = "train.start_run"
when    = [{ kind = "equals", fact = "parent.exists", value = true }]
require = [{ kind = "between", fact = "dataset.replay_share", low = 0.1, high = 0.2 }]
"""
LINE = 'why = "It gets better."\nbase = "main"\ngate = "exam"\nrollout = "slow"\n'
GATE = 'why = "It proves something."\n'
ROLLOUT = 'why = "A few first."\n'


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    root = tmp_path / "policies"
    files = {"guardrails/replay": GUARDRAIL, "lines/tools": LINE, "gates/exam": GATE, "rollouts/slow": ROLLOUT}
    for name, text in files.items():
        path = root / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def spoil(policies: Path) -> Callable[[str, str, str], None]:
    """Replace words in one file."""

    def replace(file: str, old: str, new: str) -> None:
        path = policies / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return replace
