"""Some commits of one clone looked through and told as makings: the work of a process of its own."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from flywheel.bootstrap.commit_chains import CONTEXT, chain_lengths
from flywheel.bootstrap.commit_filters import is_poor_message_alone, reason_against
from flywheel.bootstrap.commit_trees import open_clone, read_commit
from flywheel.bootstrap.derivations import derive
from flywheel.bootstrap.histories import Told, names_before, read_commits
from flywheel.bootstrap.repos import Repo
from flywheel.core.makings import Making

OTHERS = "by somebody else"
NO_TEXT = "a file that is no UTF-8 text"
NO_WORDS = "a link, a submodule or a changed mode"
NOTHING = "nothing that can be told"


class Way(NamedTuple):
    """How a clone is mined: as one's own, of some authors alone, for one line alone, in so many processes."""

    own: bool = False
    authors: frozenset[str] = frozenset()
    line: str | None = None
    processes: int = 1


class Order(NamedTuple):
    """What is to be mined of which clone, and how. Mined `anew`, what is no lesson any more is withdrawn."""

    repo: Repo
    way: Way
    names: tuple[str, ...]
    anew: bool = False


class Chunk(NamedTuple):
    """What came of some commits: how many were kept, or rejected and why; makings by task; what is poor in words."""

    counts: Counter[str]
    tasks: dict[str, list[Making]]
    poor: dict[str, str]


def task_of(repo: str, name: str) -> str:
    """Return the task that a commit's makings lie under."""
    return f"mine/{repo}/{name}"


def mine_chunk(order: Order) -> Chunk:
    """Look through commits in their order."""
    found = Chunk(Counter(), {}, {})
    with open_clone(order.repo.path) as clone:
        for told, steps in read_with_steps(order.repo.path, order.names):
            reason = _against(told, order.way)
            makings: list[Making] = []
            if not reason:
                commit = read_commit(clone, told, order.repo, own=order.way.own, line=order.way.line)
                makings = derive(commit._replace(steps=steps)) if commit else []
                reason = "" if makings else NOTHING if commit else NO_TEXT
            elif (
                reason != OTHERS and told.words_alone and is_poor_message_alone(told.commit._replace(own=order.way.own))
            ):
                found.poor[told.hash] = reason
            if makings or order.anew:
                found.tasks[task_of(order.repo.name, told.hash)] = makings
            found.counts[reason or "kept"] += 1
    return found


def read_with_steps(path: Path, names: Sequence[str]) -> list[tuple[Told, int]]:
    """Return commits of a clone in their order, each with how many of a chain it is the last of."""
    before = names_before(path, names[0], CONTEXT)
    history = read_commits(path, [*before, *names])
    return list(zip(history, chain_lengths(history), strict=True))[len(before) :]


def _against(told: Told, way: Way) -> str:
    if way.authors and told.commit.email.lower() not in way.authors:
        return OTHERS
    return reason_against(told.commit._replace(own=way.own)) or ("" if told.words_alone else NO_WORDS)
