"""A contest: two adapters of a line share its traffic for a while, because a person wants to compare them. Pure."""

from datetime import datetime
from typing import Self

from pydantic import Field

from flywheel.core.frozen import Frozen
from flywheel.core.requests import Request


class Contest(Frozen):
    """Who meets whom, at which share of the second one, for how long; `since` is None until it began.

    It is kept in the body of the request that asked for it, which stays open until the contest ends. `states` are those
    of both when it began: once one of them moves, what is compared is no longer what a person asked for. A request with
    `stop` asks for the end of the contest of the same two.
    """

    first: str
    second: str
    share: float = Field(default=0.5, gt=0, lt=1)
    hours: float = Field(default=72, gt=0)
    since: datetime | None = None
    states: tuple[str, str] = ("", "")
    stop: bool = False

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return the contest that a request is about; raises ValueError for what is none."""
        return cls.model_validate({"first": request.subject, **request.body})

    @property
    def names(self) -> tuple[str, str]:
        """Return both adapters."""
        return self.first, self.second

    def is_of(self, other: "Contest") -> bool:
        """Tell whether two contests are of the same adapters, whoever is named first."""
        return set(self.names) == set(other.names)


def contest_of(request: Request) -> Contest | None:
    """Return the contest a request is about, or None for one that cannot be read."""
    try:
        return Contest.of(request)
    except ValueError:
        return None
