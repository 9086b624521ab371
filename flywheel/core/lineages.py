"""Where an example comes from: the outcome it rests on, and the row of a source behind that."""

from datetime import datetime

from flywheel.core.frozen import Frozen

UNKNOWN = "unknown"


class Lineage(Frozen):
    """An example's way into the pool; of one that was forgotten only its name and its line are left."""

    example: str
    line: str
    outcome: str = ""
    source: str = UNKNOWN
    task: str = ""
    session: str = ""
    group: str = ""
    call_type: str = ""
    model: str = ""
    at: datetime | None = None
    origin: str = UNKNOWN
    category: str = ""
    form: str = "as_logged"
    tags: tuple[str, ...] = ()
    label: str = UNKNOWN
    confidence: float = 0.0
    licence: str = UNKNOWN
    foreign: bool = False
    withdrawn: bool = False
    forgotten: bool = False
