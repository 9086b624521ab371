"""Whose turn it is on a GPU that serving and training share. Pure.

serving -> yielding -> resting -> returning -> waking -> checking -> serving

`yielding`: the gateway holds new calls, those on their way end. `resting`: the model servers sleep or were stopped, and
only now may a training process be at work. `returning`: it may not any more. `waking`: none is at work, the servers
were told to wake. `checking`: they have answered a real request; adapters are loaded. The gateway holds calls in every
phase but `serving`. From every phase the way on leads back to `serving`, whatever was interrupted.
"""

from datetime import datetime
from typing import Literal

from flywheel.core.frozen import Frozen

Sharing = Literal["none", "sleep", "partition", "stop"]
Way = Literal["sleep", "stop"]
Phase = Literal["serving", "yielding", "resting", "returning", "waking", "checking"]


class Turn(Frozen):
    """Where the turn stands, for which run it began, how the servers rest, and before when no other may begin."""

    phase: Phase = "serving"
    way: Way = "sleep"
    run: str = ""
    line: str = ""
    since: datetime | None = None
    away_since: datetime | None = None
    not_before: datetime | None = None
    cause: int | None = None

    @property
    def is_training(self) -> bool:
        """Tell whether the GPU is a training run's."""
        return self.phase == "resting"

    @property
    def is_serving(self) -> bool:
        """Tell whether the GPU is the model servers', as it usually is."""
        return self.phase == "serving"


def may_work(kind: str, turn: Turn, *, takes_turns: bool) -> bool:
    """Tell whether a kind of work may be at work now: training in its turn, a measurement while the servers serve."""
    if kind == "train":
        return turn.is_training or (turn.is_serving and not takes_turns)
    return turn.is_serving or kind != "measure"
