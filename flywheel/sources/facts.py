"""What the room knows when it plans: for each source, whether it can be read and whether anything changed."""

from flywheel.core.frozen import Frozen


class SourceSituation(Frozen):
    """One source at this moment. `recorded` is the problem the ledger already tells of."""

    name: str
    kind: str
    changed: bool
    problem: str = ""
    recorded: str = ""
    full: bool = False
    lines: tuple[str, ...] = ()


class Situation(Frozen):
    """All sources at this moment."""

    sources: tuple[SourceSituation, ...] = ()
