"""An opencode session as turns, and the conversation a model was shown before each of its answers. Pure.

The system prompt and the tools are not in the record; the client's own texts are. The conversation is rebuilt as the
client builds it: answers that failed are left out, a compaction stands for what came before it, and outputs that were
cleared by then read as cleared.
"""

import json
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from flywheel.core.outcomes import Message
from flywheel.sources.conversations import UnreadableError
from flywheel.sources.opencode_records import Entry, Session, ToolUse, text_in

MOST_CONTEXT = 64_000  # characters: twice what the longest line reads; a prompt for each answer would grow as a square
CLEARED = "[Old tool result content cleared]"
ABORTS = frozenset({"MessageAbortedError", "AbortedError", "aborted"})


class Turn(NamedTuple):
    """What a person asked (its place, -1 for none) and the places of all that followed until they spoke again."""

    ask: int
    entries: tuple[int, ...]

    @property
    def end(self) -> int:
        """Return the last place of the turn."""
        return self.entries[-1] if self.entries else self.ask


def turns_of(entries: Sequence[Entry]) -> list[Turn]:
    """Split a session where a person speaks."""
    turns: list[tuple[int, list[int]]] = []
    for place, entry in enumerate(entries):
        if entry.kind == "ask":
            turns.append((place, []))
        elif turns:
            turns[-1][1].append(place)
        else:
            turns.append((-1, [place]))
    return [Turn(ask, tuple(rest)) for ask, rest in turns]


def response_of(entry: Entry) -> str:
    """Return an answer as the model writes it: its text, then its calls."""
    return text_in("\n".join(part for part in (entry.text, *map(_written, entry.tools)) if part), "an answer")


class History:
    """Rebuilds what the model was shown; each entry is rendered once."""

    def __init__(self, session: Session, turns: Sequence[Turn]) -> None:
        """Take a session and its turns."""
        self._entries = session.entries
        self._places = {entry.id: place for place, entry in enumerate(session.entries)}
        self._asks = {place: turn.ask for turn in turns for place in turn.entries}
        self._broken = [place for place, entry in enumerate(session.entries) if entry.kind == "broken"]
        self._summaries = [place for place, entry in enumerate(session.entries) if _summarises(entry)]
        self._counted = [0, *accumulate(_count(entry) for entry in session.entries)]
        self._rendered: dict[tuple[int, tuple[bool, ...]], list[Message]] = {}

    def before(self, place: int) -> tuple[tuple[Message, ...], int]:
        """Return the messages before an answer and how many of them were left out to keep it short.

        What was asked is always among them; raises UnreadableError when something before it cannot be read.
        """
        shown, anchors = self._shown(place)
        if any(one.start <= broken < one.stop for broken in self._broken for one in shown):
            raise UnreadableError("broken-history", "what was said before it cannot be read")
        kept = self._newest(shown, anchors, self._entries[place].at)
        messages = tuple(message for one in kept for message in self._render(one, self._entries[place].at))
        if not any(message.role in {"user", "tool"} for message in messages):
            raise UnreadableError("no-question", "nothing was asked")
        whole = sum(self._counted[one.stop] - self._counted[one.start] for one in shown)
        return messages, whole - len(messages)

    def _shown(self, place: int) -> tuple[list[range], set[int]]:
        """Return the places the model saw, and those that must not be cut: what was asked, or its summary."""
        index = bisect_left(self._summaries, place) - 1
        ask = self._asks.get(place, -1)
        if index < 0:
            return [range(place)], {ask} - {-1}
        summary = self._summaries[index]
        request = self._request(summary)
        tail = self._places.get(self._entries[request].tail, request)
        rest = [range(request, request + 1)] if request < summary else []
        shown = [range(min(tail, request), request), *rest, range(summary, place)]
        return shown, {ask} if ask > summary else {request, summary}

    def _request(self, summary: int) -> int:
        """Return where a summary was asked for: a note before it, or the summary itself."""
        before = summary - 1
        asked = before >= 0 and self._entries[before].kind == "note" and self._entries[before].compaction
        return before if asked else summary

    def _newest(self, shown: Sequence[range], anchors: set[int], at: int) -> list[int]:
        left = MOST_CONTEXT - sum(self._size(place, at) for place in anchors)
        kept = set(anchors)
        for place in (one for part in reversed(shown) for one in reversed(part) if one not in anchors):
            left -= self._size(place, at)
            if left < 0:
                break
            kept.add(place)
        return sorted(kept)

    def _size(self, place: int, at: int) -> int:
        return sum(len(message.content) for message in self._render(place, at))

    def _render(self, place: int, at: int) -> list[Message]:
        entry = self._entries[place]
        cleared = tuple(tool.cleared_at is not None and tool.cleared_at < at for tool in entry.tools)
        known = self._rendered.get((place, cleared))
        if known is None:
            known = self._rendered[place, cleared] = _messages(entry, cleared)
        return known


def _summarises(entry: Entry) -> bool:
    return entry.kind == "summary" and entry.done and not entry.error and bool(entry.text)


def _count(entry: Entry) -> int:
    """Return how many messages the client makes of an entry."""
    if entry.kind in {"ask", "note"}:
        return int(bool(entry.text))
    left_out = entry.error and not (entry.error in ABORTS and (entry.text or entry.tools))
    said = entry.kind in {"answer", "ran", "summary"} and not left_out and (entry.text or entry.tools)
    return 1 + len(entry.tools) if said else 0


def _messages(entry: Entry, cleared: Sequence[bool]) -> list[Message]:
    """Return the messages that the client makes of an entry for the model."""
    if not _count(entry):
        return []
    if entry.kind in {"ask", "note"} or (entry.kind == "summary" and entry.compaction):
        return [Message(role="user", content=entry.text)]
    outputs = [CLEARED if gone else tool.output for tool, gone in zip(entry.tools, cleared, strict=True)]
    results = [Message(role="tool", content=text) for text in outputs]
    return [Message(role="assistant", content=response_of(entry)), *results]


def _written(tool: ToolUse) -> str:
    try:
        call = json.dumps({"name": tool.name, "arguments": dict(tool.arguments)}, ensure_ascii=False)
    except RecursionError:
        raise UnreadableError("too-deep", "a tool's input nests too deep") from None
    return f"<tool_call>\n{call}\n</tool_call>"
