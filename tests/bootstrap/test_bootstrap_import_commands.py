"""`flywheel bootstrap import | datasets` as people type them, with a real executor."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the shared fixtures lie beside the rooms of the tests

import json

import pytest
from datasets_house import SUBTRACTS, apps_function, apps_row, code_contests, train_python, write_lines, write_parquet
from fixtures.executors import need_bubblewrap, running_executor
from typer.testing import CliRunner

from flywheel.cli.main import app
from flywheel.core.errors import FlywheelError, MisuseError, PermanentError, UnavailableError


@pytest.fixture(scope="module")
def executor(tmp_path_factory):
    """An executor that contains what it runs."""
    need_bubblewrap()
    with running_executor(tmp_path_factory.mktemp("executor")) as running:
        yield running.socket


@pytest.fixture
def run(home, monkeypatch):
    """Type a command in a home of its own; return what it said, or the error that it ended with."""

    def call(*words, more=""):
        config = home / "flywheel.toml"
        config.write_text(f'home = "{home / "home"}"\n{more}')
        where = [] if words[0] == "datasets" else ["--config", str(config)]
        result = CliRunner().invoke(app, ["bootstrap", *map(str, words), *where])
        if isinstance(result.exception, FlywheelError):
            return result.exception
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout

    return call


def test_problems_are_proved_in_the_box(run, executor, tmp_path):
    """Programs and functions run in the executor's boxes; what they came to is told by reason, and again the same."""
    python = train_python()
    rows = [code_contests(number) for number in range(3)]
    more = f'train_python = "{python}"\n[executor]\nsocket = "{executor}"\n'
    file = write_parquet(tmp_path / "train.parquet", rows)
    told = json.loads(run("import", "codecontests", file, "--json", more=more))
    assert (told["rows"], told["kept"], told["makings"], told["licences"]) == (3, 3, 6, {"CC-BY-4.0": 6})
    rows = [apps_function(), apps_row(2, solutions=json.dumps([SUBTRACTS])), "{"]
    words = ("import", "apps", write_lines(tmp_path / "a.jsonl", rows), "--licence", "MIT")
    said = run(*words, more=more)
    assert "apps: 1 of 3 rows teach, in 1 examples (MIT: 1)" in said
    assert "its program fails a test" in said
    assert "a.jsonl:2" in said
    assert run(*words) == said  # nobody is asked any more


def test_what_cannot_be_done_is_said(run, tmp_path):
    """No executor, no such dataset, line or file, and files of which nothing teaches."""
    file = write_lines(tmp_path / "a.jsonl", [apps_row()])
    broken = write_lines(tmp_path / "b.jsonl", ["{", "["])
    for words, kind, part in (
        (("import", "apps", file), UnavailableError, "executor"),
        (("import", "nothing", file), MisuseError, "no reader"),
        (("import", "livecodebench", file), MisuseError, "examine"),
        (("import", "apps", file, "--line", "nobody"), MisuseError, "no line"),
        (("import", "apps", tmp_path / "c.jsonl"), MisuseError, "cannot be read"),
    ):
        error = run(*words)
        assert isinstance(error, kind)
        assert part in str(error)
    assert broken.exists()


def test_a_file_of_nothing_ends_badly(run, executor, tmp_path):
    """When no row teaches, the reasons are shown and the command fails."""
    broken = write_lines(tmp_path / "b.jsonl", ["{", '{"a": 1}', "{}"])
    error = run("import", "apps", broken, more=f'[executor]\nsocket = "{executor}"\n')
    assert isinstance(error, PermanentError)


def test_datasets_are_listed(run):
    """Each dataset that is read, with its licence and whether it is proved."""
    listed = {one["name"]: one for one in json.loads(run("datasets", "--json"))}
    assert listed["taco"]["licence"] == "Apache-2.0"
    assert listed["apps"]["proved"] is True
    assert "codecontests" in run("datasets")
