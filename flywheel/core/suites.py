"""Suites as rooms speak of them: what was frozen, what it was built from, where its rows come from."""

from datetime import datetime
from typing import Any, Literal

from flywheel.core.examples import DatasetManifest
from flywheel.core.frozen import Frozen

SuiteOrigin = Literal["held_out", "imported", "starter"]


class Suite(Frozen):
    """A frozen suite as the store knows it; `seq` is the event that announced it.

    A live one is what its line is measured on; a due one is that until its successor is there; a retired one is not
    measured on any more. One that is neither live nor retired was imported and waits to be used.
    """

    hash: str
    line: str
    dataset: str
    problems: int
    groups: int
    live: bool = True
    seq: int
    name: str = ""
    origin: SuiteOrigin = "held_out"
    due: bool = False
    retired: bool = False


class HeldOut(Frozen):
    """A frozen dataset with rows held out, and the event that announced it."""

    manifest: DatasetManifest
    seq: int


class Provenance(Frozen):
    """What a held-out row's example says about it; `tests` are those that its outcome came with, if any."""

    group: str
    category: str
    prompt_key: str
    at: datetime | None = None
    tools: tuple[dict[str, Any], ...] = ()
    tests: dict[str, Any] | None = None
