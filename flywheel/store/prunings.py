"""Which adapters' folders nobody needs any more, and which are gone."""

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session

from flywheel.core.errors import MisuseError
from flywheel.core.frozen import Frozen
from flywheel.core.releases import ReleaseState
from flywheel.store.jobs import open_jobs
from flywheel.store.loaded import last_routing, loaded
from flywheel.store.releases import move, releases
from flywheel.store.requests import open_requests
from flywheel.store.runs import Adapter, adapters
from flywheel.store.tables import AdapterRow

#: What the agent never meets again: what was turned down only comes back by a person's word.
OVER = frozenset({ReleaseState.RETIRED, ReleaseState.REJECTED})


class Leftover(Frozen):
    """An adapter that is retired or rejected, and why its folder stays all the same; nothing where it may go."""

    adapter: Adapter
    state: ReleaseState
    kept: str = ""

    @property
    def name(self) -> str:
        """Return the name it was served under."""
        return self.adapter.name


def leftovers(session: Session, line: str | None = None, fused: Collection[str] = ()) -> list[Leftover]:
    """Return the adapters whose life is over and whose folder was not deleted; `fused` are those that bases rest on."""
    over = {release.name: release for release in releases(session, line) if release.state in OVER}
    known = [one for one in adapters(session, line) if one.name in over and one.pruned_at is None]
    reasons = _reasons(session)
    reasons.update(dict.fromkeys(fused, "a base was made with it"))
    return [Leftover(adapter=one, state=over[one.name].state, kept=reasons.get(one.name, "")) for one in known]


def pruned(session: Session, names: Collection[str]) -> list[Adapter]:
    """Return those of these adapters whose folder is given up."""
    return [one for one in adapters(session) if one.name in names and one.pruned_at is not None]


def refuse_pruned(adapter: Adapter) -> None:
    """Raise MisuseError for an adapter whose folder was deleted."""
    if adapter.pruned_at is not None:
        raise MisuseError(
            f"the folder of {adapter.name} was deleted on {adapter.pruned_at:%Y-%m-%d}",
            f"what it was is told by `flywheel adapters show {adapter.name}`",
        )


def give_up(session: Session, leftover: Leftover, at: datetime, seq: int) -> None:
    """Record that an adapter's folder is gone, by the event that says so; it can never come back."""
    row = session.get(AdapterRow, leftover.name)
    if row is None or row.pruned_at is not None:
        return
    row.pruned_at = at
    session.add(row)
    if leftover.state is not ReleaseState.RETIRED:
        move(session, leftover.name, ReleaseState.RETIRED, at, seq)
    session.flush()


def _reasons(session: Session) -> dict[str, str]:
    """Return by name what stands against deleting a folder, as the store knows it."""
    reasons = {
        request.subject: "a request about it is open" for request in open_requests(session) if request.kind != "prune"
    }
    reasons |= {job.subject: f"{job.kind} works with it" for job in open_jobs(session)}
    reasons |= {one.name: f"it is loaded on {one.server}" for one in loaded(session)}
    last = last_routing(session)
    for alias in last.routing.aliases.values() if last else ():
        named = [arm.model for arm in alias.arms] + ([alias.mirror.model] if alias.mirror else [])
        reasons |= dict.fromkeys(named, "the gateway points at it")
    return reasons
