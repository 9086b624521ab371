"""Finds lines that ask a trainer for what it does not do. Pure.

Only told by `flywheel policy check`: such a line starts no run and says why, and keeps no other line from working.
"""

from collections.abc import Iterable

from flywheel.core.lines import Line, TrainPlan
from flywheel.core.trainers import refusals
from flywheel.core.training import Hyperparameters
from flywheel.policy.meanings import meaning_of
from flywheel.policy.problems import Problem


def line_problems(lines: Iterable[Line]) -> list[Problem]:
    """Return what lines ask for and their trainers refuse, by file and key."""
    return [
        Problem(
            file=f"lines/{line.name}.toml",
            key=f"train.{refused.key}",
            meaning=_meaning(refused.key),
            wrong=refused.reason,
        )
        for line in lines
        for refused in refusals(
            line.train.backend,
            line.train.technique,
            line.train.hyperparameters,
            ordered=line.dataset.curriculum,
        )
    ]


def _meaning(key: str) -> str:
    owner, _, name = key.rpartition(".")
    return meaning_of(Hyperparameters if owner else TrainPlan, name)
