"""Every session of a source as the last look found it, and which of them have to be looked at more closely. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from flywheel.sources.opencode_records import NO_ROLL, Changes, Head, Roll


class Census:
    """The sessions there are, who called whom, and the suspects: those that may not be as they were read."""

    def __init__(self) -> None:
        """Begin without any."""
        self.heads: dict[str, Head] = {}
        self.vague: set[str] = set()
        self.suspects: set[str] = set()
        self.roll: Roll = NO_ROLL
        self._children: dict[str, set[str]] = defaultdict(set)

    def take(self, changes: Changes) -> None:
        """Follow what came, changed and went; all of it is suspect, and so are the sub-agents of what came or went."""
        for name in changes.gone:
            self._drop(name)
        for head in changes.heads:
            if head.id not in self.heads:
                self.suspects |= self._children.get(head.id, set())
            self._drop(head.id)
            self.heads[head.id] = head
            if head.parent:
                self._children[head.parent].add(head.id)
            if not head.exact:
                self.vague.add(head.id)
        self.suspects |= {head.id for head in changes.heads} | changes.gone
        self.suspects |= {child for name in changes.gone for child in self._children.get(name, ())}
        self.roll = changes.roll

    def suspect(self, names: Iterable[str]) -> None:
        """Have these looked at more closely."""
        self.suspects.update(names)

    def trust(self, names: Iterable[str]) -> None:
        """Take these to be as they were read."""
        self.suspects.difference_update(names)

    def root(self, name: str) -> str:
        """Return the session that was not called by another one, from a session upwards."""
        seen = [name]
        while (parent := self.heads[seen[-1]].parent) in self.heads and parent not in seen:
            seen.append(parent)
        is_ring = self.heads[seen[-1]].parent in self.heads
        return min(seen[seen.index(self.heads[seen[-1]].parent) :]) if is_ring else seen[-1]

    def tree(self, root: str) -> list[Head]:
        """Return a session with all it called, callers before those they called."""
        found = dict.fromkeys([root])
        for name in self._below(found):
            found[name] = None
        return [self.heads[name] for name in found]

    def _below(self, found: dict[str, None]) -> Iterator[str]:
        names = list(found)
        for name in names:
            fresh = [child for child in sorted(self._children.get(name, ())) if child not in names]
            names += fresh
            yield from fresh

    def _drop(self, name: str) -> None:
        head = self.heads.pop(name, None)
        self.vague.discard(name)
        if head is not None and head.parent:
            self._children[head.parent].discard(name)
