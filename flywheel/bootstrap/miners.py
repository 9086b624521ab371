"""Mines a clone onto the shelf: chunk by chunk, in several processes, and on from where it stopped.

A chunk's makings are laid down with the mark that says how far the history is mined, in one transaction: whatever is
killed, the next call goes on behind the last whole chunk. Memory holds the chunks that are under way and no history.
"""

import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

from flywheel.bootstrap.chunk_miners import Chunk, Order, Way, mine_chunk
from flywheel.bootstrap.gits import has_commit, strays
from flywheel.bootstrap.histories import commit_names, count_commits
from flywheel.bootstrap.poor_commits import clone_mark, marks_of
from flywheel.bootstrap.repos import Repo
from flywheel.bootstrap.shelves import Shelf

COMMITS_A_CHUNK = 64
_WAITING = 2  # chunks under way for each process
_TASKS_AT_ONCE = 200
_WAYS = ("own", "authors", "line")  # mined otherwise in one of these, a clone is mined anew


class Progress(NamedTuple):
    """How far a clone is mined: commits of this and earlier calls, those of the whole history, what came of them.

    `poor` are those of the rejected that nothing but their message speaks against.
    """

    repo: str
    done: int
    of: int
    counts: dict[str, int]
    makings: int
    poor: int


Say = Callable[[Progress], None]


def mine(repo: Repo, shelf: Shelf, way: Way, say: Say) -> Progress:
    """Mine what is new in a clone; say how it goes after each chunk. Mined another way than before, all of it is new.

    What a commit gave before is replaced, or withdrawn where it is no lesson any more.
    """
    mark = shelf.mark(_name(repo))
    clone = clone_mark(repo, way)
    if not mark or _is_other(repo, mark, clone):
        anew = bool(mark)
        shelf.forget_marks(f"poor/{repo.name}")
        mark = {"done": "", "head": "", "position": 0, "counts": {}, "commits": 0, "makings": 0, "poor": 0}
        mark["anew"] = anew
    mark = {**mark, "clone": clone}
    # What was begun is mined to where it was to end, so that nothing is counted twice when the history went on.
    for head in dict.fromkeys(filter(None, (mark["head"], repo.head))):
        mark = _mine_to(head, mark, (repo, shelf, way, say))
    if mark["anew"]:
        mark = {**mark, "anew": False}
        shelf.put(dict.fromkeys(_strays(repo, shelf), ()), {_name(repo): mark})
    return _progress(repo, mark, 0)


def _strays(repo: Repo, shelf: Shelf) -> list[str]:
    """Return the tasks of commits that the history does not have any more."""
    found: list[str] = []
    tasks = (task for task in shelf.tasks(f"{_name(repo)}/") if "/" not in task.removeprefix(f"{_name(repo)}/"))
    while few := {task.rpartition("/")[2]: task for task in islice(tasks, _TASKS_AT_ONCE)}:
        found += [few[name] for name in strays(repo.path, list(few), repo.head)]
    return found


def _is_other(repo: Repo, mark: dict[str, Any], clone: dict[str, Any]) -> bool:
    """Tell whether a history was written anew, or is now mined another way."""
    before = mark.get("clone", {})
    if any(before.get(name) != clone[name] for name in _WAYS):
        return True
    return bool(mark["head"]) and not has_commit(repo.path, mark["head"])


def _mine_to(head: str, mark: dict[str, Any], with_what: tuple[Repo, Shelf, Way, Say]) -> dict[str, Any]:
    repo, shelf, way, say = with_what
    if mark["done"] == head:
        shelf.put({}, {_name(repo): mark})
        return mark
    mark = {**mark, "head": head}
    left = count_commits(repo.path, head, mark["done"]) - mark["position"]
    names = commit_names(repo.path, head, mark["done"], mark["position"])
    for chunk, taken in _chunks(repo, names, way, anew=mark["anew"]):
        mark, left = _further(mark, chunk, taken), left - taken
        shelf.put(chunk.tasks, {_name(repo): mark, **marks_of(repo.name, chunk)})
        say(_progress(repo, mark, left))
    mark = {**mark, "done": head, "position": 0}
    shelf.put({}, {_name(repo): mark})
    return mark


def _further(mark: dict[str, Any], chunk: Chunk, taken: int) -> dict[str, Any]:
    counts = Counter(mark["counts"])
    counts.update(chunk.counts)
    return {
        **mark,
        "position": mark["position"] + taken,
        "counts": dict(counts),
        "commits": mark["commits"] + taken,
        "makings": mark["makings"] + sum(map(len, chunk.tasks.values())),
        "poor": mark["poor"] + len(chunk.poor),
    }


def _chunks(repo: Repo, names: Iterator[str], way: Way, *, anew: bool) -> Iterator[tuple[Chunk, int]]:
    """Yield the chunks in order with how many commits each is of, some being worked on ahead."""
    waiting: deque[tuple[Future[Chunk], int]] = deque()
    # Forked from a process that has begun nothing: ours may hold a store's locks.
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(way.processes, context) as pool:
        try:
            while True:
                while len(waiting) < way.processes * _WAITING and (few := tuple(islice(names, COMMITS_A_CHUNK))):
                    waiting.append((pool.submit(mine_chunk, Order(repo, way, few, anew)), len(few)))
                if not waiting:
                    return
                future, taken = waiting.popleft()
                yield future.result(), taken
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _progress(repo: Repo, mark: dict[str, Any], left: int) -> Progress:
    done = mark["commits"]
    return Progress(repo.name, done, done + left, dict(mark["counts"]), mark["makings"], mark["poor"])


def _name(repo: Repo) -> str:
    return f"mine/{repo.name}"
