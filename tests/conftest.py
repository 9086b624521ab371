"""What every test may lean on: where the environments are, and that nothing is left running."""

import os

from flywheel.proc.environments import environment

PYTHONS = {"train": "FLYWHEEL_TRAIN_PYTHON", "serve": "FLYWHEEL_SERVE_PYTHON"}


def pytest_configure() -> None:
    """Tell the tests which interpreters to use; `make envs` has built them."""
    for kind, variable in PYTHONS.items():
        env = environment(kind, "cpu")
        if env.whole:
            os.environ.setdefault(variable, str(env.python))
