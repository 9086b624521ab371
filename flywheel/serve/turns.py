"""Decides the next step of the shared GPU's turn, from how things stand alone. Pure.

Nobody's memory is needed: whatever was interrupted, the same readings lead to the same step, and every phase leads back
to serving. The agent comes first: a turn does not begin before the calls on their way have ended, and it ends early
when a call has waited too long and nobody else can answer it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from flywheel.core.facts import Value
from flywheel.core.frozen import Frozen
from flywheel.core.intents import Intent
from flywheel.core.turns import Phase
from flywheel.serve.desires import kept
from flywheel.serve.facts import ServerView, Situation

NO_SLEEP = "cannot be put to sleep: start it with --enable-sleep-mode and VLLM_SERVER_DEV_MODE=1"


class Step(Frozen):
    """What to do next about the turn, or what it waits for; neither when nobody wants one."""

    intent: Intent | None = None
    cause: int | None = None
    facts: dict[str, Value] = Field(default_factory=dict)
    line: str = ""
    wait: str = ""


def next_step(here: Situation) -> Step:
    """Return the turn's next step."""
    return _STEPS[here.gpu.turn.phase](here)


def _serving(here: Situation) -> Step:
    gpu = here.gpu
    if any(view.asleep for view in here.servers):
        return _do(here, "serve.wake_server", "a server sleeps and nobody trains")
    if not gpu.wanted:
        return Step()
    first = gpu.trainees[0]
    if wait := _not_yet(here):
        return Step(line=first.line, wait=f"{first.run} waits for the GPU: {wait}")
    quiet = here.gateway.quiet_seconds if here.gateway else None
    facts: dict[str, Value] = {
        "clock.in_idle_window": gpu.in_idle_window,
        "gateway.quiet_minutes": None if quiet is None else round(quiet / 60, 3),
    }
    intent = Intent(kind="serve.hold_calls", line=first.line, subject=first.run, why=f"{first.run} needs the GPU")
    return Step(intent=intent, cause=first.cause, facts=facts, line=first.line)


def _not_yet(here: Situation) -> str:
    gpu = here.gpu
    if not gpu.in_idle_window:
        return "the hour is the agent's"
    if gpu.turn.not_before is not None and here.now < gpu.turn.not_before:
        return f"the last turn ended early, the next begins at {gpu.turn.not_before:%H:%M} UTC at the earliest"
    if gpu.measuring:
        return "a measurement asks the model server"
    for view in here.servers:
        if view.health in {"slow", "wrong"}:
            return view.reason
        if gpu.terms.sharing == "sleep" and view.health == "answers" and not view.can_sleep:
            return f"{view.url} {NO_SLEEP}"
    return ""


def _yielding(here: Situation) -> Step:
    reason, early = _ends(here)
    if reason:
        return _reclaim(here, reason, early=early)
    wait = _on_their_way(here)
    if not wait:
        return _do(here, "serve.rest_server", "no call is on its way to a server")
    if _is_past(here, here.gpu.terms.drain_seconds):
        return _reclaim(here, f"after {here.gpu.terms.drain_seconds:g} s {wait}", early=True)
    return _wait(here, f"waits for the GPU: {wait}")


def _on_their_way(here: Situation) -> str:
    """Return what must end before the servers may rest; empty when nothing stands against it."""
    published = here.published
    if published is None or published.routing.hold is None or not here.file_is_published:
        return "the gateway is not told yet"
    if here.gpu.measuring:
        return "a measurement asks the model server"
    if here.gateway is None:
        ends = published.at + timedelta(seconds=here.grace_seconds)
        return "" if here.now >= ends else f"calls may be on their way until {ends:%H:%M:%S} UTC"
    if here.gateway.version != published.routing.version or here.gateway.at_servers is None:
        return f"the gateway has not taken version {published.routing.version}"
    count = here.gateway.at_servers
    return f"{count} call{'s' * (count != 1)} on the way" if count else ""


def _resting(here: Situation) -> Step:
    reason, early = _ends(here)
    if reason:
        return _reclaim(here, reason, early=early)
    if any(view.health == "answers" for view in here.servers):
        return _do(here, "serve.rest_server", "a server is awake in training's turn")
    return Step()


def _ends(here: Situation) -> tuple[str, bool]:
    """Return why training's turn is over, and whether that is before its time."""
    gpu = here.gpu
    overdue = here.gateway.overdue if here.gateway else 0
    if not gpu.wanted:
        return "no run needs it any more", False
    if not gpu.in_idle_window:
        return "the idle hours are over", False
    if overdue:
        told = f"{overdue} call{'s' * (overdue != 1)} waited longer than allowed"
        return f"{told}, and no fallback answered", True
    return "", False


def _returning(here: Situation) -> Step:
    if here.gpu.at_work:
        return _wait(here, f"gives the GPU back: {', '.join(here.gpu.at_work)} still has a process")
    return _do(here, "serve.wake_server", "nobody trains any more")


def _waking(here: Situation) -> Step:
    late = _is_past(here, here.gpu.terms.start_seconds)
    awake = [view for view in here.servers if view.health == "answers"]
    if any(view.asleep for view in here.servers) or (late and not awake):
        return _do(here, "serve.wake_server", "a server that was woken does not answer")
    hurried = late or (here.gateway is not None and here.gateway.overdue > 0)
    if awake and (hurried or len(awake) == len(here.servers)):
        return _do(here, "serve.ask_server", "the servers answer again")
    away = next((view for view in here.servers if view.health != "answers"), None)
    return _wait(here, f"gave the GPU back: {away.url if away else 'the model server'} is starting")


def _checking(here: Situation) -> Step:
    awake = [view for view in here.servers if view.health == "answers"]
    if awake and all(_has_all(view, here) for view in awake):
        return _do(here, "serve.release_calls", "the adapters are back")
    if awake and _is_past(here, here.gpu.settle_seconds):
        return _do(here, "serve.release_calls", "the base answers; an adapter does not come back")
    if not awake and _is_past(here, here.gpu.terms.start_seconds):
        return _do(here, "serve.wake_server", "the servers that were woken are gone again")
    return _wait(here, "gave the GPU back: adapters are loaded")


def _has_all(view: ServerView, here: Situation) -> bool:
    """Tell whether a server holds everything that it should, from the right place and warm."""
    found = ((release.name, line.paths[release.name]) for line, release in kept(view, here))
    return all(view.root_of(name) == path and view.is_warm(name, path) for name, path in found)


def _do(here: Situation, kind: str, why: str, **params: Any) -> Step:
    turn = here.gpu.turn
    intent = Intent(kind=kind, line=turn.line, subject=turn.run or "servers", why=why, params=params)
    return Step(intent=intent, cause=turn.cause, line=turn.line)


def _reclaim(here: Situation, why: str, *, early: bool) -> Step:
    return _do(here, "serve.reclaim_gpu", why, early=early)


def _wait(here: Situation, sentence: str) -> Step:
    turn = here.gpu.turn
    return Step(line=turn.line, wait=f"{turn.run} {sentence}")


def _is_past(here: Situation, seconds: float) -> bool:
    since: datetime = here.gpu.turn.since or here.now
    return here.now >= since + timedelta(seconds=seconds)


_STEPS: Mapping[Phase, Callable[[Situation], Step]] = {
    "serving": _serving,
    "yielding": _yielding,
    "resting": _resting,
    "returning": _returning,
    "waking": _waking,
    "checking": _checking,
}
