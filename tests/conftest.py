"""What every test may lean on: where the environments are; and how tests share two cores where they run in parallel."""

import os
from pathlib import Path

import pytest

from flywheel.proc.environments import environment

PYTHONS = {"train": "FLYWHEEL_TRAIN_PYTHON", "serve": "FLYWHEEL_SERVE_PYTHON"}


def pytest_configure() -> None:
    """Tell the tests which interpreters to use; `make envs` has built them."""
    for kind, variable in PYTHONS.items():
        env = environment(kind, "cpu")
        if env.whole:
            os.environ.setdefault(variable, str(env.python))


#: Folders and files whose tests share what is dear to start or to train: they stay with one worker.
TOGETHER = {
    "contract/model_server": "model-servers",
    "contract/trainers": "trainers",
    "acceptance/test_gate_command.py": "known-adapters",
    "acceptance/test_gate_proofs.py": "known-adapters",
}
_HEAVY = ("train", "vllm", "slow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep a file's tests together where several workers run them, and begin with the long ones."""
    groups = [_group(item) for item in items]
    for item, group in zip(items, groups, strict=True):
        item.add_marker(pytest.mark.xdist_group(group))
    if not hasattr(config, "workerinput"):
        return
    heavy = {group for item, group in zip(items, groups, strict=True) if any(map(item.get_closest_marker, _HEAVY))}
    order = sorted(range(len(items)), key=lambda number: groups[number] not in heavy)  # stable: files stay whole
    items[:] = [items[number] for number in order]


def _group(item: pytest.Item) -> str:
    file = item.path.relative_to(Path(__file__).parent).as_posix()
    return next((group for place, group in TOGETHER.items() if file.startswith(place)), file)
