"""How many adapters a server needs room for: at once, for what answers or listens, and held, for all kept. Pure.

vLLM takes more names than it has slots for and lets calls wait for each other: that costs time and no answers. So too
few slots are told and stop nothing, while what does not fit beside the rest is not loaded.
"""

from collections.abc import Iterable

from flywheel.core.frozen import Frozen
from flywheel.core.releases import Release, ReleaseState
from flywheel.core.serving import ModelServer

#: What is asked by agents, or beside them.
_AT_WORK = frozenset({ReleaseState.ACTIVE, ReleaseState.CANARY, ReleaseState.SHADOW})


class Need(Frozen):
    """Room for adapters: in one batch, and in memory."""

    at_once: int
    held: int


def need(wanted: Iterable[Release], others: int = 0) -> Need:
    """Return the room that releases ask for, beside so many adapters of somebody else."""
    releases = list(wanted)
    return Need(at_once=sum(one.state in _AT_WORK for one in releases), held=len(releases) + others)


def shortage(server: ModelServer, needed: Need) -> str:
    """Return what a server has too little of for calls not to wait for each other; empty when it has enough."""
    if needed.at_once <= server.max_loras:
        return ""
    told = f"{needed.at_once} adapters answer and {server.url} computes with {server.max_loras} at once"
    return f"{told}: calls wait for each other until max_loras and --max-loras are {needed.at_once}"
