"""What the reader of an opencode source remembers between two looks.

The store holds a mark for each session: how it looked when it was read. Here is a copy, which is only valid as long as
the cursor that comes back is the one that went out with the last batch: then that batch was stored.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from flywheel.sources.opencode_census import Census
from flywheel.sources.readings import PendingTasks
from flywheel.store.source_marks import Mark

_TREES = 64  # so many tasks are remembered outcome by outcome: those that were read last will be read next

Known = Mapping[str, str]


class Memory:
    """The census, the marks, when to look again, and the outcomes of the tasks read last."""

    def __init__(self) -> None:
        """Begin without any."""
        self.census = Census()
        self.marks: dict[str, Mark] = {}
        self.dues: dict[str, int] = {}
        self.sweep = ""
        self._generation = -1
        self._proposed: tuple[int, Mapping[str, Mark | None], Mapping[str, Known]] | None = None
        self._known: OrderedDict[str, Known] = OrderedDict()

    def recall(self, cursor: Mapping[str, Any], pending: PendingTasks) -> bool:
        """Bring the marks up to what is stored; tell whether everything is to be read again."""
        held = cursor.get("generation")
        generation = held if isinstance(held, int) else 0
        if self._proposed is not None and generation == self._proposed[0]:
            self._accept(self._proposed[1], self._proposed[2])
        elif generation != self._generation or generation == 0:
            self._begin(pending.marks(), anew=generation == 0)
        self._proposed = None
        self._generation = generation
        return generation == 0

    def known(self, task: str) -> Known:
        """Return how a task's outcomes stood when they were last handed over, if that is still known."""
        return self._known.get(task, {})

    def propose(self, marks: Mapping[str, Mark | None], known: Mapping[str, Known]) -> int:
        """Remember a batch that may be stored; return the generation its cursor must carry."""
        following = self._generation + 1
        self._proposed = following, marks, known
        return following

    def _begin(self, marks: Mapping[str, Mark], *, anew: bool) -> None:
        """Start from what is stored; without a cursor (a full look, or the very first) no mark is worth anything."""
        self.marks = {name: Mark(root=mark.root, text="") for name, mark in marks.items()} if anew else dict(marks)
        self.dues = {name: due for name, mark in self.marks.items() if (due := due_of(mark)) is not None}
        self.census.suspect([*self.census.heads, *self.marks])
        self._known.clear()

    def _accept(self, marks: Mapping[str, Mark | None], known: Mapping[str, Known]) -> None:
        self.census.trust(marks)
        for name, mark in marks.items():
            due = due_of(mark) if mark is not None else None
            self.dues.pop(name, None)
            if due is not None:
                self.dues[name] = due
            if mark is None:
                self.marks.pop(name, None)
            else:
                self.marks[name] = mark
        for task, stood in known.items():
            self._known[task] = stood
            self._known.move_to_end(task)
        while len(self._known) > _TREES:
            self._known.popitem(last=False)


def due_of(mark: Mark) -> int | None:
    """Return when a session must be looked at again though nothing was written, in milliseconds."""
    return parts_of(mark)[0]


def parts_of(mark: Mark) -> tuple[int | None, str, str]:
    """Return what a mark's text says: when it is due, how the session looked, and its depth."""
    due, _, rest = mark.text.partition("|")
    looks, _, depth = rest.partition("|")
    return int(due) if due.isdigit() else None, looks, depth


def mark_of(root: str, due: int | None, looks: str, depth: str) -> Mark:
    """Return the mark that says so."""
    return Mark(root=root, text=f"{'' if due is None else due}|{looks}|{depth}")
