"""Which captured call an outcome is: the gateway saw the exact prompt, the agent knows how it ended. Pure.

A call is told by its answer. When it names the outcome's own session or task, the nearest one in time is it;
otherwise the question must be the same as well, and no other call may come into question. A call is at most one
outcome, an outcome at most one call. A join changes what was asked and says who answered: never label, key or answer.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any

from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.outcomes import Message, Outcome
from flywheel.core.tool_calls import parse_tool_calls

NAMED_SECONDS = 21_600.0  # an agent that notes no time of its calls has that of the task, which may last hours
NEAR_SECONDS = 900.0  # an agent notes the beginning or the end of a call, and a local model may take minutes
ALIKE_SECONDS = 120.0  # how near an answer must be of which only the beginning is known
SHORTEST_PART = 16  # characters without white space: less may stand in any text by chance
LONGEST_PROMPT = 400_000  # characters: no line reads more, and a prompt for each answer grows as a square

_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)


class CapturedCall(Frozen):
    """A call as the gateway saw it; `session` and `task` only where a header named them."""

    call: str
    at: datetime
    session: str
    task: str
    model: str
    arm: str
    complete: bool
    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...]
    response: str


class _Rank(IntEnum):
    """How sure it is that a call is an outcome, the surest first."""

    NAMED = 0
    SAME = 1
    ALIKE = 2


class _Likeness(Frozen):
    """An outcome and a call that may be it."""

    rank: _Rank
    seconds: float
    outcome: str
    call: str


class _Side(Frozen):
    """What both sides are compared by."""

    words: str
    calls: tuple[str, ...]
    question: str

    @property
    def answer(self) -> str:
        return content_hash([self.words, self.calls]) if self.words or self.calls else ""


def answer_key(response: str) -> str:
    """Return the identity of an answer: its words without white space and thoughts, and its tool calls; empty: none."""
    return _side(response, ()).answer


def question_key(messages: Sequence[Message]) -> str:
    """Return the identity of what was asked last."""
    return content_hash(_question(messages))


def match(
    outcomes: Sequence[Outcome], calls: Sequence[CapturedCall], sessions: frozenset[str] = frozenset()
) -> dict[str, CapturedCall]:
    """Return for each outcome that certainly is one of the calls, which one; keyed by the outcome's key.

    `sessions` are those that the gateway knows by name: their outcomes are only calls that name them.
    """
    desk = _Desk(calls, sessions)
    found: dict[str, CapturedCall] = {}
    taken: set[str] = set()
    likenesses = [likeness for outcome in outcomes for likeness in desk.likenesses(outcome)]
    for likeness in sorted(likenesses, key=lambda one: (one.rank, one.seconds, one.outcome, one.call)):
        if likeness.outcome not in found and likeness.call not in taken:
            found[likeness.outcome] = desk.calls[likeness.call]
            taken.add(likeness.call)
    return found


def joined(outcome: Outcome, call: CapturedCall) -> Outcome:
    """Return the outcome with the prompt that the model really saw, and who answered on which arm.

    A prompt that is too long for any line is left as the agent told it.
    """
    extra = {**outcome.extra, "call": call.call, "answered_by": call.model, "arm": call.arm}
    short = sum(len(message.content) for message in call.messages) <= LONGEST_PROMPT
    messages = call.messages if short else outcome.messages
    return outcome.model_copy(update={"messages": messages, "tools": call.tools, "extra": extra})


class _Desk:
    """The calls, by what they are looked up by."""

    def __init__(self, calls: Sequence[CapturedCall], sessions: frozenset[str]) -> None:
        self.calls = {call.call: call for call in calls}
        self._sides = {call.call: _side(call.response, call.messages) for call in calls}
        self._sessions = sessions | {call.session for call in calls if call.session}
        self._by_answer = _grouped(calls, lambda call: self._sides[call.call].answer)
        self._by_session = _grouped(calls, lambda call: call.session)
        self._by_task = _grouped(calls, lambda call: call.task)

    def likenesses(self, outcome: Outcome) -> Iterator[_Likeness]:
        """Yield the calls that may be the outcome."""
        side = _side(outcome.response, outcome.messages)
        of_name = {call.call: call for call in (*self._by_session.get(outcome.session, ()),
                                                *self._by_task.get(outcome.task, ()))}  # fmt: skip
        equal = self._by_answer.get(side.answer, ())
        named = self._asking(side, [call for call in equal if call.call in of_name], outcome, NAMED_SECONDS)
        yield from _ranked(outcome, _Rank.NAMED, named)
        if outcome.session not in self._sessions:
            same = self._asking(side, [call for call in equal if not call.task], outcome, NEAR_SECONDS)
            yield from _ranked(outcome, _Rank.SAME, same if _is_one(same) else ())
        if not named:
            alike = [call for call in of_name.values() if self._begins(side, outcome, call)]
            yield from _ranked(outcome, _Rank.ALIKE, alike if len(alike) == 1 else ())

    def _asking(
        self, side: _Side, calls: Sequence[CapturedCall], outcome: Outcome, seconds: float
    ) -> Sequence[CapturedCall]:
        """Return the calls that asked the same last at about that time; without any, those with more around it."""
        near = [(self._sides[call.call].question, call) for call in calls if _apart(outcome, call) <= seconds]
        if same := [call for question, call in near if side.question and question == side.question]:
            return same
        return [call for question, call in near if _holds(question, side.question) or _holds(side.question, question)]

    def _begins(self, side: _Side, outcome: Outcome, call: CapturedCall) -> bool:
        """Tell whether one answer is the beginning of the other: a stream that was cut, a call that was put right."""
        other = self._sides[call.call]
        words = side.words.startswith(other.words) or other.words.startswith(side.words)
        fewer, equal = len(side.calls) <= len(other.calls), len(side.calls) == len(other.calls)
        something = bool(side.words or side.calls) and _apart(outcome, call) <= ALIKE_SECONDS
        return something and words and (equal if call.complete else fewer)


def _holds(text: str, part: str) -> bool:
    return len(part) >= SHORTEST_PART and part in text


def _grouped(calls: Iterable[CapturedCall], key: Callable[[CapturedCall], str]) -> Mapping[str, Sequence[CapturedCall]]:
    groups: dict[str, list[CapturedCall]] = {}
    for call in calls:
        if name := key(call):
            groups.setdefault(name, []).append(call)
    return groups


def _ranked(outcome: Outcome, rank: _Rank, calls: Iterable[CapturedCall]) -> Iterator[_Likeness]:
    for call in calls:
        yield _Likeness(rank=rank, seconds=_apart(outcome, call), outcome=outcome.key, call=call.call)


def _is_one(calls: Sequence[CapturedCall]) -> bool:
    """Tell whether all these calls asked the same of the same model, so that it does not matter which one it is."""
    first = calls[0] if calls else None
    return all((call.messages, call.tools, call.model, call.arm)
               == (first.messages, first.tools, first.model, first.arm) for call in calls if first)  # fmt: skip


def _apart(outcome: Outcome, call: CapturedCall) -> float:
    return abs((call.at - outcome.at).total_seconds())


def _side(response: str, messages: Sequence[Message]) -> _Side:
    read = parse_tool_calls(_THOUGHT.sub("", response))
    calls = tuple(content_hash([call.name, call.arguments]) for call in read.calls)
    return _Side(words=_folded(read.remaining), calls=calls, question=_question(messages))


def _question(messages: Sequence[Message]) -> str:
    return _folded(next((message.content for message in reversed(messages) if message.role in {"user", "tool"}), ""))


def _folded(text: str) -> str:
    return "".join(text.split())
