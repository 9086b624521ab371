"""The life of an adapter in front of the agent."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from flywheel.core.frozen import Frozen
from flywheel.core.ids import served_name


class ReleaseState(StrEnum):
    """Registered, perhaps in the shadow, canary, active, then superseded, rolled back, rejected or retired."""

    REGISTERED = "registered"
    SHADOW = "shadow"
    CANARY = "canary"
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    ROLLED_BACK = "rolled back"
    REJECTED = "rejected"
    RETIRED = "retired"


#: Which states may follow which. What was rolled back, rejected or retired never comes back by itself.
MOVES: dict[ReleaseState, frozenset[ReleaseState]] = {
    ReleaseState.REGISTERED: frozenset(
        {ReleaseState.SHADOW, ReleaseState.CANARY, ReleaseState.REJECTED, ReleaseState.RETIRED}
    ),
    ReleaseState.SHADOW: frozenset(
        {ReleaseState.CANARY, ReleaseState.REJECTED, ReleaseState.ROLLED_BACK, ReleaseState.RETIRED}
    ),
    ReleaseState.CANARY: frozenset({ReleaseState.ACTIVE, ReleaseState.ROLLED_BACK, ReleaseState.RETIRED}),
    ReleaseState.ACTIVE: frozenset({ReleaseState.SUPERSEDED, ReleaseState.ROLLED_BACK, ReleaseState.RETIRED}),
    ReleaseState.SUPERSEDED: frozenset({ReleaseState.ACTIVE, ReleaseState.RETIRED}),
    ReleaseState.ROLLED_BACK: frozenset({ReleaseState.CANARY, ReleaseState.RETIRED}),
    ReleaseState.REJECTED: frozenset({ReleaseState.CANARY, ReleaseState.RETIRED}),
    ReleaseState.RETIRED: frozenset(),
}


class Release(Frozen):
    """One adapter's place in the rollout of its line; `seq` is the event that brought it there."""

    line: str
    number: int
    adapter: str
    state: ReleaseState
    share: float = 0.0
    overridden: bool = False
    approved: bool = False
    changed_at: datetime | None = None
    canary_since: datetime | None = None
    seq: int | None = None

    @property
    def name(self) -> str:
        """Return the served name."""
        return served_name(self.line, self.number)


def approval_words(name: str) -> str:
    """Return what is said of an adapter that waits for a person."""
    return f"{name} waits for a person: `flywheel adapters approve {name}`"


def in_state(releases: Iterable[Release], state: ReleaseState) -> Release | None:
    """Return the one release of a line in a state that only one may have."""
    return next((release for release in releases if release.state is state), None)


def previous_of(releases: Iterable[Release]) -> Release | None:
    """Return the release to go back to: of a line's superseded ones, the one that gave way last."""
    superseded = [release for release in releases if release.state is ReleaseState.SUPERSEDED]
    return max(superseded, key=lambda release: (release.seq or 0, release.number), default=None)
