"""What the gate looks at before it decides: plain values, gathered by `facts.py`, judged by `plan.py`."""

from pydantic import Field

from flywheel.core.frozen import Frozen
from flywheel.core.jobs import Job
from flywheel.core.lines import Gate, Line
from flywheel.core.releases import Release
from flywheel.core.requests import Request
from flywheel.core.suites import HeldOut, Suite


class ServerView(Frozen):
    """The model server that measurements ask: its address, and the name each base is served under.

    `originals` name the base below the layers of each base that has some; `servers` where a base is asked elsewhere.
    """

    url: str
    bases: dict[str, str]
    originals: dict[str, str] = Field(default_factory=dict)
    servers: dict[str, str] = Field(default_factory=dict)

    def original(self, base: str) -> str:
        """Return what an adapter on a base is compared with: that base, or the one below all its layers."""
        return self.originals.get(base, base)

    def url_of(self, base: str) -> str:
        """Return the server that is asked for a base and the adapters on it."""
        return self.servers.get(base, self.url)

    @property
    def urls(self) -> tuple[str, ...]:
        """Return every server that is asked."""
        return tuple(dict.fromkeys([self.url, *self.servers.values()]))


class LineSituation(Frozen):
    """Everything the next step of a line depends on; `attempts` were made at measuring the first candidate.

    `held_out` and `waiting` are what the next suite could be: rows set aside since the last one, and one that was
    imported and not used yet.
    """

    line: Line
    gate: Gate | None
    suite: Suite | None = None
    held_out: HeldOut | None = None
    waiting: Suite | None = None
    requests: tuple[Request, ...] = ()
    candidates: tuple[Release, ...] = ()
    active: Release | None = None
    alpha_spent: float = 0.0
    judged: int = 0
    attempts: int = 0
    registered: int | None = None

    @property
    def alpha_left(self) -> float:
        """Return which part of the false-promotion budget the suite still holds."""
        return max(0.0, 1 - self.alpha_spent / self.gate.alpha) if self.gate else 0.0


class Situation(Frozen):
    """All lines, the measuring jobs nobody has seen to, what people ask, and what the model server holds.

    `unrun` says of suites whose answers have to be run why they cannot be.
    """

    lines: tuple[LineSituation, ...]
    requests: tuple[Request, ...] = ()
    jobs: tuple[Job, ...] = ()
    warmed: frozenset[str] = frozenset()
    unrun: dict[str, str] = Field(default_factory=dict)
    bases: dict[str, str] = Field(default_factory=dict)
    originals: dict[str, str] = Field(default_factory=dict)
