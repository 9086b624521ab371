"""`flywheel executor --check`: what a person and a program are told."""

import json

import pytest
import structlog

from flywheel.cli import executors
from flywheel.core.errors import PermanentError
from flywheel.sandbox import run as lives


@pytest.fixture
def checked(monkeypatch, tmp_path):
    """The command, over a machine that says what it is told to say."""
    config = tmp_path / "flywheel.toml"
    config.write_text(f'home = "{tmp_path}"\n[executor]\nworkers = 7\n')

    def check(why: str, *, as_json: bool = False) -> None:
        async def found(plan):
            assert plan.workers == 1
            return why

        monkeypatch.setattr(lives, "check_executor", found)
        executors.executor(check=True, as_json=as_json, config=config)

    yield check
    structlog.reset_defaults()  # the command logs to this test's own standard error


def test_a_box_that_holds_is_said_in_one_line(checked, capsys):
    """One line for people, one document for programs."""
    checked("")
    assert capsys.readouterr().out.startswith("the box holds (bubblewrap): no network")
    checked("", as_json=True)
    assert json.loads(capsys.readouterr().out) == {"containment": "bubblewrap", "holds": True, "why_not": ""}


def test_one_that_does_not_hold_is_an_error_with_its_mend(checked, capsys):
    """The command fails with the sentence and the mend; --json says both before."""
    why = "bubblewrap is not installed — install it: apt install bubblewrap"
    with pytest.raises(PermanentError) as caught:
        checked(why, as_json=True)
    assert (str(caught.value), caught.value.exit_code) == (why, 1)
    assert json.loads(capsys.readouterr().out)["why_not"] == why
