"""What every test may lean on: where the environments are; and how tests share two cores where they run in parallel."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import settings
from sqlalchemy import Engine
from xdist.scheduler import LoadScopeScheduling

from flywheel.proc.environments import environment
from flywheel.store import migrating

#: Property tests draw the same examples in every run of `make test`, so that a red run means a changed line;
#: `make fuzz` draws new ones, this many times as many.
FUZZ = int(os.environ.get("FLYWHEEL_FUZZ", "0"))

PYTHONS = {"train": "FLYWHEEL_TRAIN_PYTHON", "serve": "FLYWHEEL_SERVE_PYTHON"}


def pytest_configure(config: pytest.Config) -> None:
    """Tell the tests which interpreters to use; `make envs` has built them."""
    settings.register_profile("flywheel", derandomize=not FUZZ, deadline=None)  # machines are busy at times
    settings.load_profile("flywheel")
    for kind, variable in PYTHONS.items():
        env = environment(kind, "cpu")
        if env.whole:
            os.environ.setdefault(variable, str(env.python))
    # Daemons of tests run side by side; who tests the dashboard gives it a port of its own.
    os.environ.setdefault("FLYWHEEL_WEB__ENABLED", "false")
    # vLLM leaves its sockets behind, and they want a short path.
    sockets = tempfile.TemporaryDirectory(prefix="flywheel-")
    config.add_cleanup(sockets.cleanup)
    os.environ["VLLM_RPC_BASE_PATH"] = sockets.name


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """Let no test log to the standard error of one before it: a command run in-process has said where it logs to."""
    yield
    structlog.reset_defaults()


_migrate = migrating.migrate
_new_stores: list[sqlite3.Connection] = []  # at most one: a store as all migrations leave it


@pytest.fixture(autouse=True)
def _copied_stores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stores of a test's own process begin as copies of the first one; tests/store migrates for real."""
    if "/tests/store/" not in str(request.path):
        monkeypatch.setattr(migrating, "migrate", _copy)


def _copy(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return _migrate(engine)
    borrowed = engine.raw_connection()
    try:
        store: Any = borrowed.driver_connection
        if store.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return _migrate(engine)
        if _new_stores:
            return _new_stores[0].backup(store)
        _migrate(engine)
        _new_stores.append(sqlite3.connect(":memory:", check_same_thread=False))
        return store.backup(_new_stores[0])
    finally:
        borrowed.close()


#: Folders and files whose tests share what is dear to start or to train: they stay with one worker.
TOGETHER = {
    "tests/contract/model_server": "model-servers",
    "tests/contract/trainers": "trainers",
    "tests/acceptance/test_gate_command.py": "known-adapters",
    "tests/acceptance/test_gate_proofs.py": "known-adapters",
}
_HEAVY = ("train", "vllm", "slow")


class FilesWhole(LoadScopeScheduling):
    """Gives a worker one file at a time, or the files that belong together."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Return how tests are given to several workers."""
    return FilesWhole(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let several workers begin with the long files; the order within a file stays."""
    if FUZZ:
        items[:] = [_fuzzed(item) for item in items if hasattr(getattr(item, "obj", None), "hypothesis")]
    if not hasattr(config, "workerinput"):
        return
    groups = [_group(item.nodeid) for item in items]
    heavy = {group for item, group in zip(items, groups, strict=True) if any(map(item.get_closest_marker, _HEAVY))}
    order = sorted(range(len(items)), key=lambda number: groups[number] not in heavy)
    items[:] = [items[number] for number in order]


def _fuzzed(item: Any) -> Any:
    """Return a property test that draws many more examples than it says, whatever time they take."""
    # Hypothesis has no public way to change a test that is decorated already.
    told = item.obj._hypothesis_internal_use_settings
    item.obj._hypothesis_internal_use_settings = settings(told, max_examples=told.max_examples * FUZZ, deadline=None)
    return item


def _group(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    return next((group for place, group in TOGETHER.items() if file.startswith(place)), file)
