"""What tidying decides by: what lies in a home that might go, how long it has lain, and what speaks for it."""

from datetime import datetime
from typing import Literal

from flywheel.core.frozen import Frozen
from flywheel.core.requests import Request

LeavingKind = Literal["checkpoints", "trial", "remains", "dataset", "adapter", "aside"]


class Retention(Frozen):
    """How many days each kind is kept; 0 is for ever."""

    run_days: float = 30
    trial_days: float = 30
    adapter_days: float = 90
    dataset_days: float = 0


class Leaving(Frozen):
    """Something that might go. `needed` says why it stays however old it is; nothing where nobody needs it."""

    kind: LeavingKind
    name: str
    line: str = ""
    places: tuple[str, ...]
    size: int
    since: datetime
    needed: str = ""


class Situation(Frozen):
    """What there is, and who asked."""

    now: datetime
    retention: Retention
    leavings: tuple[Leaving, ...] = ()
    asked: tuple[Request, ...] = ()
