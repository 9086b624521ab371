"""A command that only looks begins at once: it imports nothing that it does not need."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from standing_house import CANARY, World

from flywheel.sources.registries import KINDS
from flywheel.sources.settings import SOURCES
from flywheel.store.migrating import newest
from flywheel.store.revisions import head, is_current
from flywheel.store.stores import make_engine, sqlite_url

#: What trains, serves, watches, migrates or counts: none of it is needed to look.
HEAVY = (
    "aiohttp", "alembic", "apscheduler", "flywheel.daemon.houses", "flywheel.daemon.run", "flywheel.gateway.run",
    "flywheel.sources.opencodes", "flywheel.train.run", "numpy", "openai", "scipy", "structlog", "watchdog",
)  # fmt: skip
_PROGRAM = """
import json, sys
from flywheel.cli.main import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["flywheel", *words]
    try:
        main()
    except SystemExit as left:
        assert not left.code, words
    print(json.dumps([words[0], sorted(sys.modules)]), file=sys.stderr)
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a home in which much has happened."""
    return World(tmp_path)


def test_looking_imports_nothing_heavy(world: World) -> None:
    """The version, the help, the status, the decisions and an explanation need neither rooms nor migrations."""
    at = ["--config", str(world.config)]
    asked = [["--version"], ["--help"], ["status", *at], ["decisions", *at], ["explain", CANARY, *at],
             ["adapters", "list", *at], ["policy", "check"]]  # fmt: skip
    ended = subprocess.run([sys.executable, "-c", _PROGRAM, json.dumps(asked)], capture_output=True, text=True,
                           timeout=120, check=False)  # fmt: skip
    told = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [word for word, _ in told] == [words[0] for words in asked], ended.stderr
    for word, modules in told[:6]:
        assert [name for name in HEAVY if name in modules] == [], word
    for word, modules in told[:2]:
        assert not {"pydantic", "sqlmodel", "sqlalchemy"} & set(modules), word


def test_a_store_is_current_without_the_tool_that_changes_it(world: World, tmp_path: Path) -> None:
    """The newest revision is read from the files, is the one that the tool knows, and not an empty store's."""
    assert head() == newest()
    engine = make_engine(sqlite_url(world.config.parent / "flywheel.db"))
    empty = make_engine(sqlite_url(tmp_path / "empty.db"))
    assert (is_current(engine), is_current(empty)) == (True, False)
    engine.dispose()
    empty.dispose()


def test_settings_know_every_kind_of_source() -> None:
    """The kinds that settings take are the kinds that have a reader."""
    assert set(SOURCES) == set(KINDS)
