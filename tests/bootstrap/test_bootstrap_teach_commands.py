"""`flywheel bootstrap teach`: what it does, tells and refuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from task_house import making, prompts_file, saying
from teacher_house import double_beside
from typer.testing import CliRunner

from flywheel.bootstrap.shelves import Shelf
from flywheel.bootstrap.task_registries import TASKS
from flywheel.bootstrap.teacher_doubles import TeacherDouble
from flywheel.cli.main import app
from flywheel.core.errors import MisuseError
from flywheel.core.outcomes import Signal

TEACHER = """[[teachers]]
name = "{0}"
base_url = "{1}"
model = "{0}"
roles = ["{0}"]
price_in = 2.5
price_out = 10
budget_month = 1
"""
GUESS = (Signal(name="guess", points=1, strength=0.6),)


@pytest.fixture
def run(home: Path) -> Any:
    """Run `flywheel bootstrap teach …` on a home of its own with these teachers."""

    def call(base_url: str, *words: str, roles: tuple[str, ...] = ("primary",)) -> Any:
        config = home / "flywheel.toml"
        teachers = "".join(TEACHER.format(role, base_url) for role in roles)
        config.write_text(f'home = "{home / "home"}"\nlines = ["scope"]\n{teachers}')
        result = CliRunner().invoke(app, ["bootstrap", "teach", *words, "--config", str(config)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0
        return result

    return call


def shelve(home: Path) -> None:
    """Put three questions on the shelf, to two of which nobody knows a good answer."""
    with Shelf(home / "home" / "bootstrap.db") as shelf:
        given: dict[str, Any] = {"call_type": "scope", "response": "yes"}
        shelf.put({"mine/a/1": [making("a", "Does it?", signals=GUESS, **given), making("b", "Is it?", **given),
                                making("c", "Was it?", signals=GUESS, **given)]})  # fmt: skip


def test_a_line_is_taught(run: Any, home: Path) -> None:
    """What was asked, believed, left over and paid is told; a second run asks nothing."""
    shelve(home)
    says = saying(
        {"primary": "Yes.", "cross": lambda body: "No." if "Was" in body["messages"][-1]["content"] else "yes"}
    )
    with double_beside(TeacherDouble(answer=says)) as double:
        roles = ("primary", "cross")
        told = json.loads(run(double.base_url, "scope", "--task", "answers", "--json", roles=roles).stdout)
        assert told["tasks"] == {"answers": {"believed": 1, "waiting": {"two teachers disagree": 1}, "refused": {},
                                             "left": {}, "settled_before": {}, "makings": 2, "notes": {}}}  # fmt: skip
        assert (told["line"], told["asked"], told["cached"], told["stopped"]) == ("scope", 4, 0, False)
        assert told["cost"] > 0
        shown = run(double.base_url, "scope", "--task", "answers", roles=roles).stdout
        assert "2 subjects were settled before (1 of them wait)" in shown
        assert "0 questions asked" in shown
        assert len(double.asked) == 4
    with Shelf(home / "home" / "bootstrap.db") as shelf:
        assert shelf.counts()["teach"] == 2


def test_a_dry_run_asks_nothing(run: Any, home: Path) -> None:
    """It tells how much would be asked and what that costs; the shelf stays as it is."""
    shelve(home)
    path = prompts_file(home, 3)
    with double_beside(TeacherDouble()) as double:
        told = json.loads(
            run(double.base_url, "scope", "--task", "answers", "--from", str(path), "--dry-run", "--json").stdout
        )
        assert (told["to_ask"], told["cached"]) == (5, 0)
        assert 0 < told["likely"] <= told["at_most"]
        assert "5 to ask" in run(double.base_url, "scope", "--task", "answers", "--from", str(path), "--dry-run").stdout
        assert not double.asked
    assert not (home / "home" / "teachers.db").exists()


def test_bounds_hold(run: Any, home: Path) -> None:
    """At most so many subjects, and no more than this may cost; what is left is told with its reason."""
    shelve(home)
    path = prompts_file(home, 9)
    with double_beside(TeacherDouble(answer=saying({"primary": "Yes."}))) as double:
        told = json.loads(
            run(double.base_url, "scope", "--task", "answers", "--from", str(path), "--limit", "2", "--json").stdout
        )
        assert (told["tasks"]["answers"]["believed"], len(double.asked)) == (2, 2)
        result = run(double.base_url, "scope", "--task", "answers", "--from", str(path), "--budget", "0.000001")
        assert "no budget left" in result.stdout
        assert "left for another time" in result.stderr
        assert len(double.asked) == 2


def test_a_line_that_is_off_is_told(run: Any, home: Path) -> None:
    """It may be taught ahead of time, but nobody learns from that before it is switched on."""
    path = prompts_file(home, 1)
    with double_beside(TeacherDouble(answer=saying({"primary": "Yes."}))) as double:
        assert "switched off" in run(double.base_url, "precision", "--from", str(path)).stderr


@pytest.mark.parametrize(
    ("words", "roles", "said"),
    [
        (("scoop",), ("primary",), "there is no line 'scoop'.*did you mean 'scope'"),
        (("scope", "--task", "cooking"), ("primary",), "there is no task 'cooking'.*answers"),
        (("scope",), (), "nobody teaches scope"),
        (("scope", "--budget", "much"), ("primary",), "'much' is no amount"),
        (("scope", "--budget", "-1"), ("primary",), "'-1' is no amount"),
        (("scope", "--budget", "inf"), ("primary",), "'inf' is no amount"),
        (("scope", "--task", "answers", "--from", "/nowhere"), ("primary",), "/nowhere: No such file"),
    ],
)
def test_what_cannot_be_is_refused_with_a_way_out(run: Any, words: Any, roles: Any, said: str) -> None:
    """Before anything is asked."""
    with pytest.raises(MisuseError, match=said):
        run("http://127.0.0.1:9/v1", *words, roles=roles)


def test_each_task_says_what_it_is_for_and_stands_in_the_document() -> None:
    """The registry is closed; docs/bootstrap.md has a row for each task."""
    text = (Path(__file__).parents[2] / "docs" / "bootstrap.md").read_text(encoding="utf-8")
    for name, task in TASKS.items():
        assert task.name == name
        assert task.why.endswith(".")
        assert re.search(rf"^\| \[?`{name}`", text, re.MULTILINE), name
