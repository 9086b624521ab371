"""What should be: the adapters each server should hold, and what each alias should point at. Pure."""

from flywheel.core.ids import split_served_name
from flywheel.core.releases import Release, ReleaseState, in_state, previous_of
from flywheel.core.routing import Alias, Arm, Hold, Mirror, Routing
from flywheel.serve.facts import LineView, ServerView, Situation

_DIGITS = 9
_RANKS = {ReleaseState.ACTIVE: 0, ReleaseState.CANARY: 1, ReleaseState.SHADOW: 1, ReleaseState.REGISTERED: 2}
_PREVIOUS = 3


def wanted(view: ServerView, here: Situation) -> list[tuple[LineView, Release]]:
    """Return what a server should hold, the most needed first.

    What answers the agent comes before what is on trial, that before what waits for its gate, and last the releases
    to go back to.
    """
    lines = [line for line in here.lines if line.base is not None and line.base.served_as in view.names]
    ranks: list[list[tuple[LineView, Release]]] = [[], [], [], []]
    for line in lines:
        for release in line.releases:
            rank = _rank(release, line)
            if rank is not None and release.name in line.paths:
                ranks[rank].append((line, release))
    ranks[_PREVIOUS].sort(key=lambda entry: -(entry[1].seq or 0))  # where room runs out, the oldest goes first
    return [entry for rank in ranks for entry in rank]


def kept(view: ServerView, here: Situation) -> list[tuple[LineView, Release]]:
    """Return the part of `wanted` that fits beside what is not ours."""
    room = view.server.max_cpu_loras - len(foreign(view, here))
    return wanted(view, here)[: max(room, 0)]


def ours(view: ServerView, here: Situation) -> list[str]:
    """Return the names of our lines' adapters that a server lists or is thought to hold."""
    names = view.names | {entry.name for entry in view.loaded}
    return sorted(name for name in names if line_of(name, here) is not None)


def foreign(view: ServerView, here: Situation) -> list[str]:
    """Return the adapters a server lists that are none of ours."""
    return [model.name for model in view.models if model.parent is not None and line_of(model.name, here) is None]


def leaving(view: ServerView, here: Situation) -> list[str]:
    """Return our adapters that a server should no longer hold."""
    if view.health != "answers":
        return []
    stay = {release.name for _, release in kept(view, here)}
    return [name for name in ours(view, here) if name not in stay]


def line_of(name: str, here: Situation) -> LineView | None:
    """Return the line an adapter's name belongs to."""
    split = split_served_name(name)
    return next((line for line in here.lines if split is not None and line.line.name == split[0]), None)


def is_ready(name: str, line: LineView, here: Situation) -> bool:
    """Tell whether an adapter can be pointed at: loaded and warm on every server that answers for its base.

    A server that is slow or rests is taken at its last word; one that is down or wrong answers nothing, and has no say.
    """
    path, base = line.paths.get(name), line.base
    if path is None or base is None:
        return False
    slow = [view.is_warm(name, path) for view in here.servers if view.health in {"slow", "resting"}]
    sure = [view.root_of(name) == path and view.is_warm(name, path) for view in here.servers
            if view.health == "answers" and base.served_as in view.names]  # fmt: skip
    return bool(slow + sure) and all(slow + sure)


def base_behind(here: Situation) -> str | None:
    """Return the one base model behind the gateway: the first line's that is served, else the one published."""
    bases = list(dict.fromkeys(line.base.served_as for line in here.lines if line.base is not None))
    served = [base for base in bases if any(base in view.names for view in here.servers)]
    if served:
        return served[0]
    if here.published is not None and here.published.routing.base_model in bases:
        return here.published.routing.base_model
    return bases[0] if bases else None


def desired_routing(here: Situation) -> Routing | None:
    """Return what the gateway should be told; None when there is no server or no base to speak of."""
    base = base_behind(here)
    if base is None or not here.servers:
        return None
    # One that is down or slow may be back before we look again; a wrong one would tell agents that nothing exists.
    upstreams = [view.url for view in here.servers
                 if view.health not in {"answers", "wrong"} or base in view.names]  # fmt: skip
    version = here.published.routing.version if here.published else 0
    aliases = {line.line.name: _alias(line, base, here) for line in here.lines if behind(line, base)}
    return Routing(version=version, upstreams=tuple(upstreams or [view.url for view in here.servers]), base_model=base,
                   aliases=aliases, hold=_hold(here))  # fmt: skip


def _hold(here: Situation) -> Hold | None:
    """Return what the gateway is told of a turn on the shared GPU; None while the servers have it."""
    turn = here.gpu.turn
    return None if turn.is_serving else here.gpu.terms.hold(turn.run)


def behind(line: LineView, base: str) -> bool:
    """Tell whether a line's base is the one behind the gateway."""
    return line.base is not None and line.base.served_as == base


def same(one: Routing, other: Routing) -> bool:
    """Tell whether two routings say the same, whatever their versions."""
    return one.model_copy(update={"version": other.version}) == other


def _alias(line: LineView, base: str, here: Situation) -> Alias:
    control = _control(line, here) or base
    canary = in_state(line.releases, ReleaseState.CANARY)
    capture, mirror = line.line.capture, _mirror(line, here)
    contest = line.contest
    if contest is not None and all(is_ready(name, line, here) for name in contest.names):
        arms = (Arm(model=contest.second, share=round(contest.share, _DIGITS), role="canary"),
                Arm(model=contest.first, share=round(1.0 - contest.share, _DIGITS), role="active"))  # fmt: skip
        return Alias(arms=arms, capture=capture)
    if canary is None or not is_ready(canary.name, line, here):
        return Alias(arms=(Arm(model=control, share=1.0, role="active"),), capture=capture, mirror=mirror)
    rest = round(1.0 - canary.share, _DIGITS)
    return Alias(arms=(Arm(model=canary.name, share=canary.share, role="canary"),
                       Arm(model=control, share=rest, role="active")), capture=capture, mirror=mirror)  # fmt: skip


def _mirror(line: LineView, here: Situation) -> Mirror | None:
    """Return who listens beside the arms: the release in the shadow, once ready; what is not kept is not heard."""
    shadow = in_state(line.releases, ReleaseState.SHADOW)
    if shadow is None or not line.line.capture or not is_ready(shadow.name, line, here):
        return None
    return Mirror(model=shadow.name, share=shadow.share or 1.0)


def routed(routing: Routing) -> frozenset[str]:
    """Return every model that requests may be sent to under a routing, mirrors included."""
    aliases = routing.aliases.values()
    return frozenset(arm.model for alias in aliases for arm in alias.arms) | {
        alias.mirror.model for alias in aliases if alias.mirror is not None
    }


def _control(line: LineView, here: Situation) -> str | None:
    """Return the active release where it is ready, else the one before; None when the base must answer."""
    active = in_state(line.releases, ReleaseState.ACTIVE)
    if active is None:
        return None
    candidates = [active, previous_of(line.releases)]
    return next((one.name for one in candidates if one is not None and is_ready(one.name, line, here)), None)


def _rank(release: Release, line: LineView) -> int | None:
    if line.contest is not None and release.name in line.contest.names and release.state is not ReleaseState.ACTIVE:
        return _RANKS[ReleaseState.CANARY]
    if release.state in _RANKS:
        return _RANKS[release.state]
    previous = previous_of(line.releases)
    return _PREVIOUS if previous is not None and previous.name == release.name else None
