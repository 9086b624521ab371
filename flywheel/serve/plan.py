"""Decides what makes servers and gateway match the releases. Pure.

First what the agent notices: aliases leave what is gone or taken back. Then adapters are loaded, one intent each; the
next look points aliases at them. Last, what nobody needs is unloaded, after its requests have ended.
"""

from datetime import timedelta
from typing import Any

from flywheel.core.facts import Value
from flywheel.core.intents import Intent
from flywheel.core.releases import Release
from flywheel.core.rooms import Plan, Proposal
from flywheel.core.routing import Routing
from flywheel.serve.capacities import need, shortage
from flywheel.serve.desires import (
    base_behind,
    behind,
    desired_routing,
    foreign,
    kept,
    leaving,
    line_of,
    ours,
    routed,
    same,
    wanted,
)
from flywheel.serve.facts import LineView, ServerView, Situation
from flywheel.serve.turns import next_step

ROUTING = "routing"
WAITING_SECONDS = 1.0
WATCHING_SECONDS = 5.0

_LOADING = frozenset({"serving", "checking"})  # in another phase of the turn a server is about to rest, or does


def plan(here: Situation) -> Plan:
    """Return what servers and gateway need now, and what each line waits for."""
    tally = _Tally()
    for line in here.lines:
        tally.wait(line, _base_wait(line, here))
    for view in here.servers:
        _check(view, here, tally)
    _flip(here, tally)
    for view in here.servers:
        if view.health == "answers" and here.gpu.turn.phase in _LOADING:
            _load(view, here, tally)
            _unload(view, here, tally)
    _turn(here, tally)
    return tally.plan(_again_in(here, tally))


def _turn(here: Situation, tally: "_Tally") -> None:
    """Take the next step of the shared GPU's turn."""
    step = next_step(here)
    if step.intent is not None:
        tally.propose(step.intent, step.cause, step.facts)
    line = next((view for view in here.lines if view.line.name == step.line), None)
    tally.wait(line, step.wait)


class _Tally:
    """Collects proposals in order, and each line's waits."""

    def __init__(self) -> None:
        self._proposals: list[Proposal] = []
        self._waits: dict[str, list[str]] = {}
        self.on_its_way = False

    def propose(self, intent: Intent, cause: int | None, facts: dict[str, Value] | None = None) -> None:
        self._proposals.append(Proposal(intent=intent, facts=facts or {}, cause=cause))

    def wait(self, line: LineView | None, sentence: str) -> None:
        if line is not None and sentence:
            waits = self._waits.setdefault(line.line.name, [])
            if sentence not in waits:
                waits.append(sentence)

    def wait_a_moment(self, line: LineView | None, sentence: str) -> None:
        self.on_its_way = True
        self.wait(line, sentence)

    def plan(self, again_in: float | None) -> Plan:
        waits = {line: "; ".join(sentences) for line, sentences in self._waits.items()}
        return Plan(proposals=tuple(self._proposals), waits=waits, again_in=again_in)


def _again_in(here: Situation, tally: _Tally) -> float | None:
    """Return when to look again: soon at what is on its way, sometimes at a server that may have come or restarted."""
    if tally.on_its_way or not here.gpu.turn.is_serving or any(view.health == "slow" for view in here.servers):
        return WAITING_SECONDS
    away = here.gpu.wanted or any(view.health != "answers" for view in here.servers)
    return WATCHING_SECONDS if away or any(view.releases for view in here.lines) else None


def _base_wait(line: LineView, here: Situation) -> str:
    if line.base is None:
        return f"base {line.line.base!r} is not in the settings"
    base = base_behind(here)
    if not here.servers or base is None:
        return "no model server is in the settings"
    if not behind(line, base):
        return f"its base {line.base.served_as!r} is not the one behind the gateway ({base!r})"
    return ""


def _check(view: ServerView, here: Situation, tally: _Tally) -> None:
    """Let the ledger know when a server fails and when it recovers."""
    answers = view.health == "answers"
    if view.health == "resting":
        return
    if not answers:
        for line in here.lines:
            tally.wait(line, view.reason)
    if answers != view.called_failed:
        return
    why = "it answers again" if answers else view.reason
    intent = Intent(kind="serve.check_server", subject=view.url, why=why, params={"answers": answers})
    tally.propose(intent, view.cause)


def _flip(here: Situation, tally: _Tally) -> None:
    routing = desired_routing(here)
    if routing is None:
        return
    published = here.published.routing if here.published else None
    if published is not None and same(routing, published):
        if not here.file_is_published:
            tally.propose(_flip_intent(published, "", f"the file does not hold version {published.version}"), None)
        return
    changed = changed_aliases(published, routing)
    line = changed[0] if len(changed) == 1 else ""
    causes = [release.seq or 0 for view in here.lines if view.line.name in changed for release in view.releases]
    tally.propose(_flip_intent(routing, line, _why(published, routing, changed)), max(causes, default=0) or None)


def _flip_intent(routing: Routing, line: str, why: str) -> Intent:
    params = routing.model_dump(mode="json", exclude={"version"})
    return Intent(kind="serve.flip_aliases", line=line, subject=ROUTING, why=why, params=params)


def changed_aliases(before: Routing | None, after: Routing) -> list[str]:
    """Return the aliases that point elsewhere than before."""
    old = before.aliases if before else {}
    names = sorted({*old, *after.aliases})
    return [name for name in names if old.get(name) != after.aliases.get(name)]


def pointed(routing: Routing | None, name: str) -> str:
    """Return in words what an alias points at: `tool-calling@2 20 %, tool-calling@1 80 %`."""
    alias = routing.aliases.get(name) if routing else None
    if alias is None:
        return "nothing"
    heard = f", {alias.mirror.model} listening to {alias.mirror.share * 100:g} %" if alias.mirror else ""
    return ", ".join(f"{arm.model} {arm.share * 100:g} %" for arm in alias.arms) + heard


def _why(before: Routing | None, after: Routing, changed: list[str]) -> str:
    told = [f"{name}: {pointed(before, name)} -> {pointed(after, name)}" for name in changed]
    if (before.hold if before else None) != after.hold:
        told.append(f"calls are held for {after.hold.run}" if after.hold else "calls go through again")
    return "; ".join(told) or "the servers behind the gateway changed"


def _load(view: ServerView, here: Situation, tally: _Tally) -> None:
    keep = kept(view, here)
    tight = shortage(view.server, need(release for _, release in keep))
    for line, release in wanted(view, here)[len(keep) :]:
        if release.name not in view.names:
            tally.wait(line, f"{release.name} is not loaded: {_full(view)}")
    held = len(foreign(view, here)) + sum(name in view.names for name in ours(view, here))
    for line, release in keep:
        path = line.paths[release.name]
        root = view.root_of(release.name)
        if release.name in view.names and root != path:
            continue  # `_unload` sees to it, or says why not
        if root == path and view.is_warm(release.name, path):
            tally.wait(line, tight)
            continue
        if root is None and held >= view.server.max_cpu_loras:
            tally.wait_a_moment(line, f"{release.name} is not loaded yet: {_full(view)}")
            continue
        held += root is None
        tally.propose(_load_intent(view, line, release, path), release.seq, _facts(line, release))


def _load_intent(view: ServerView, line: LineView, release: Release, path: str) -> Intent:
    params = {"server": view.url, "path": path}
    why = f"it is {release.state.value} and {view.url} does not hold it ready"
    return Intent(kind="serve.load_adapter", line=line.line.name, subject=release.name, why=why, params=params)


def _facts(line: LineView, release: Release) -> dict[str, Value]:
    return {
        "line.is_planning": line.line.planning,
        "line.rung": line.line.rung,
        "release.approved": release.approved,
        "release.overridden": release.overridden,
    }


def _full(view: ServerView) -> str:
    return f"{view.url} holds {view.server.max_cpu_loras} of {view.server.max_cpu_loras} adapters"


def _unload(view: ServerView, here: Situation, tally: _Tally) -> None:
    elsewhere = [release.name for line, release in kept(view, here) if _is_elsewhere(view, line, release.name)]
    for name in [*_oldest_first(leaving(view, here), here), *elsewhere]:
        line = line_of(name, here)
        wait = _drain_wait(name, here)
        if wait:
            where = "is loaded from another place and" if name in elsewhere else "is not needed any more but"
            tally.wait_a_moment(line, f"{name} {where} stays on {view.url}: {wait}")
        elif line is not None:
            params: dict[str, Any] = {"server": view.url}
            why = "it was loaded from another place" if name in elsewhere else "nobody needs it"
            intent = Intent(kind="serve.unload_adapter", line=line.line.name, subject=name, why=why, params=params)
            release = next((one for one in line.releases if one.name == name), None)
            tally.propose(intent, release.seq if release else None)


def _is_elsewhere(view: ServerView, line: LineView, name: str) -> bool:
    return name in view.names and view.root_of(name) != line.paths[name]


def _oldest_first(names: list[str], here: Situation) -> list[str]:
    """Return names by the age of what last became of them: the longest superseded leave first."""
    ages = {release.name: release.seq or 0 for line in here.lines for release in line.releases}
    return sorted(names, key=lambda name: (ages.get(name, 0), name))


def _drain_wait(name: str, here: Situation) -> str:
    """Return what must end before an adapter may go; empty when nothing stands against it."""
    if here.published is None:
        return "no routing was published yet"
    routing = here.published.routing
    desired = desired_routing(here)
    if name in routed(routing) or (desired is not None and name in routed(desired)):
        return "an alias points at it"
    if not here.file_is_published:
        return "the gateway's file is not written yet"
    if here.gateway is None:
        ends = here.published.at + timedelta(seconds=here.grace_seconds)
        return "" if here.now >= ends else f"requests may be on their way until {ends:%H:%M:%S}"
    if here.gateway.version != routing.version:
        return f"the gateway has not taken version {routing.version} yet"
    count = here.gateway.in_flight.get(name, 0)
    return f"{count} request{'s' * (count != 1)} on the way" if count else ""
