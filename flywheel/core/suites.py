"""Suites as rooms speak of them: what was frozen, what it was built from, where its rows come from."""

from flywheel.core.examples import DatasetManifest
from flywheel.core.frozen import Frozen


class Suite(Frozen):
    """A frozen suite as the store knows it; `seq` is the event that announced it."""

    hash: str
    line: str
    dataset: str
    problems: int
    groups: int
    live: bool = True
    seq: int


class HeldOut(Frozen):
    """A frozen dataset with rows held out, and the event that announced it."""

    manifest: DatasetManifest
    seq: int


class Provenance(Frozen):
    """What a held-out row's example says about it."""

    group: str
    category: str
    prompt_key: str
