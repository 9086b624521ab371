"""One look at an opencode source: which sessions were changed, and those read whole.

The unit of reading is a root session with its sub-agents' sessions. It is dirty when the event sequence or the row of
one of them differs from its mark, when one came or went, or when it has been quiet for long enough to be judged.
Sessions without an event sequence are told by the number and age of their rows: the newest and those still open at
every look, the others by turns.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest, nsmallest
from typing import NamedTuple

from flywheel.sources.conversations import UnreadableError
from flywheel.sources.opencode_memory import Known, Memory, due_of, mark_of, parts_of
from flywheel.sources.opencode_records import Archive, Head, Session
from flywheel.sources.opencode_schemas import is_known_version
from flywheel.sources.opencode_trees import TreeReader, TreeReading
from flywheel.sources.readings import Batch, Refusal, TaskReading
from flywheel.store.source_marks import Mark

TREES_A_BATCH = 200
BYTES_A_BATCH = 16_000_000  # about what one batch may hold in memory
NEWEST_A_LOOK = 20  # sessions without an event sequence whose rows are counted at every look
SWEPT_A_LOOK = 100  # and so many of the older ones by turns


class Look(NamedTuple):
    """What a look brought, and when there is a reason for another even if nothing is written."""

    batch: Batch
    due: int | None
    swept: bool


class Looker:
    """Takes one look."""

    def __init__(self, archive: Archive, memory: Memory, reader: TreeReader, now: int) -> None:
        """Look at an archive at a time in milliseconds."""
        self._archive = archive
        self._memory = memory
        self._census = memory.census
        self._reader = reader
        self._now = now
        self._depths: dict[str, str] = {}
        self._swept = True

    def look(self, *, anew: bool, same: bool, refusals: Sequence[Refusal] = (), sweeping: bool = False) -> Look:
        """Find what is dirty and read it.

        `anew`: every mark is void; `same`: the file is the one that was read before; `sweeping`: count the rows of the
        older sessions, too.
        """
        changes = self._archive.changes(self._census.roll)
        self._census.take(changes)
        gone = self._gone(same=same)
        dirty = self._dirty(gone, sweeping=sweeping)
        tasks, marks, known, more = self._read(dirty)
        marks |= {name: None for name in gone if self._is_settled(name, known)}
        tombs = [TaskReading(task=name, first=0, settled=True, has_row=True, outcomes=(), mirrors=True)
                 for name, keeps in gone.items() if self._root_of(name) == name and not keeps]  # fmt: skip
        batch = Batch(
            tasks=(*tasks, *tombs),
            cursor={},
            more=more,
            refusals=(*refusals, *changes.refusals),
            marks=marks,
            spoiled=anew,
        )
        return self._finished(batch, known)

    def _finished(self, batch: Batch, known: Mapping[str, Known]) -> Look:
        news = bool(batch.tasks or batch.marks or batch.spoiled)
        cursor = {"generation": self._memory.propose(batch.marks, known)} if news else {}
        fresh = [due for mark in batch.marks.values() if mark is not None and (due := due_of(mark)) is not None]
        dues = [*fresh, *(due for name, due in self._memory.dues.items() if name not in batch.marks)]
        return Look(batch.model_copy(update={"cursor": cursor}), min(dues, default=None), self._swept)

    def _gone(self, *, same: bool) -> dict[str, bool]:
        """Return the sessions that were read and are there no more, and whether what was learned from them stays.

        A file that shares no session with what was read is another history: nothing of the earlier one is let go.
        """
        marks, heads = self._memory.marks, self._census.heads
        names = [name for name in self._census.suspects if name not in heads]
        self._census.trust([name for name in names if name not in marks])
        gone = sorted(name for name in names if name in marks)
        shares = same or (bool(gone) and any(name in heads for name in marks))
        return dict.fromkeys(gone, not shares)

    def _is_settled(self, name: str, known: Mapping[str, Known]) -> bool:
        """Tell whether the task of a session that is gone was read again, or is gone as well."""
        root = self._root_of(name)
        return root in {name, *known} or root not in self._census.heads

    def _dirty(self, gone: Iterable[str], *, sweeping: bool) -> list[str]:
        """Return the roots to be read, those that were quiet longest first."""
        census = self._census
        closer = self._closer(sweeping=sweeping)
        due = [name for name, at in self._memory.dues.items() if at <= self._now]
        names = {name for name in (*census.suspects, *closer, *due) if name in census.heads}
        dirty = {name for name in names if self._is_dirty(census.heads[name], closer)}
        census.trust(names - dirty)
        bereft = {root for name in gone if (root := self._root_of(name)) in census.heads}
        roots = {census.root(name) for name in (*dirty, *bereft)}
        return sorted(roots, key=lambda root: (census.heads[root].updated, root))

    def _is_dirty(self, head: Head, closer: frozenset[str]) -> bool:
        mark = self._memory.marks.get(head.id)
        if mark is None or mark.root != self._census.root(head.id):
            return True
        due, looks, depth = parts_of(mark)
        if looks != head.looks or (due is not None and due <= self._now):
            return True
        return head.id in closer and depth != self._depth(head)

    def _root_of(self, name: str) -> str:
        """Return the task that a session was read as a part of."""
        return self._memory.marks[name].root

    def _depth(self, head: Head) -> str:
        if head.exact:
            return ""
        if head.id not in self._depths:
            self._depths[head.id] = self._archive.depth(head)
        return self._depths[head.id]

    def _closer(self, *, sweeping: bool) -> frozenset[str]:
        """Return the sessions without an event sequence whose rows are counted in this look."""
        vague, heads = self._census.vague, self._census.heads
        newest = nlargest(NEWEST_A_LOOK, vague, key=lambda name: (heads[name].updated, name))
        still = [name for name in self._memory.dues if name in vague]
        older = nsmallest(SWEPT_A_LOOK, (name for name in vague if name > self._memory.sweep)) if sweeping else []
        self._swept = not sweeping or len(older) < SWEPT_A_LOOK
        if sweeping:
            self._memory.sweep = "" if self._swept else older[-1]
        return frozenset({*newest, *still, *older})

    def _read(self, dirty: Sequence[str]) -> tuple[list[TaskReading], dict[str, Mark | None], dict[str, Known], bool]:
        tasks: list[TaskReading] = []
        marks: dict[str, Mark | None] = {}
        known: dict[str, Known] = {}
        size = 0
        for count, root in enumerate(dirty):
            if count == TREES_A_BATCH or size > BYTES_A_BATCH:
                return tasks, marks, known, True
            tree = self._census.tree(root)
            reading, read = self._tree(tree)
            size += read
            tasks.append(reading.task)
            known[root] = reading.known
            marks |= {head.id: mark_of(root, reading.due, head.looks, self._depth(head)) for head in tree}
        return tasks, marks, known, False

    def _tree(self, heads: Sequence[Head]) -> tuple[TreeReading, int]:
        """Read a tree; a session that cannot be read is refused by name, and nothing of its task is let go."""
        sessions: list[Session] = []
        refusals: list[Refusal] = []
        for head in heads:
            try:
                sessions.append(self._session(head))
            except UnreadableError as error:
                refusals.append(Refusal(row=head.id, rule=error.rule, reason=f"session {head.id}: {error.reason}"))
        size = sum(session.size for session in sessions)
        if refusals and (not sessions or sessions[0].id != heads[0].id):
            task = TaskReading(task=heads[0].id, first=0, settled=True, has_row=True, outcomes=(),
                               refusals=tuple(refusals))  # fmt: skip
            return TreeReading(task, {}, None), size
        reading = self._reader.read(sessions, self._now, self._memory.known(heads[0].id))
        if not refusals:
            return reading, size
        whole = reading.task.model_copy(update={"mirrors": False, "refusals": (*reading.task.refusals, *refusals)})
        return reading._replace(task=whole), size

    def _session(self, head: Head) -> Session:
        if not is_known_version(head.version):
            raise UnreadableError("unknown-version", "it was written by a version of opencode that is not known")
        return self._archive.session(head)
