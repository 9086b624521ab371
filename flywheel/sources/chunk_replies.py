"""What a helper answers: the tasks of a chunk as bytes, and the same tasks made of such bytes. Pure.

Plain values alone: making our own again from them is cheaper than carrying them. What many outcomes share, such as the
evidence of a label and an agent's instructions, is carried once.
"""

import marshal
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from flywheel.core.outcomes import Labelled, Message, Outcome, Signal
from flywheel.sources.task_readings import Refusal, TaskReading
from flywheel.store.words import Words, words_of

_CHECK = 4  # bytes

_Shared = tuple[Sequence[Labelled], Sequence[Message]]


class ChunkReading(NamedTuple):
    """The tasks of a chunk, and what was worked out of their outcomes' words, by key."""

    readings: Sequence[TaskReading]
    words: Mapping[str, Words]


class ReplyError(ValueError):
    """What came back is no answer to what was asked."""


def reply_of(source: str, readings: Sequence[TaskReading]) -> bytes:
    """Return the readings of one source's tasks as bytes, with their words worked out."""
    evidence: dict[int, tuple[int, Labelled]] = {}
    messages: dict[tuple[str, str], int] = {}
    tasks = [
        (
            (one.task, one.first, one.settled, one.has_row),
            [_packed(outcome, evidence, messages) for outcome in one.outcomes],
            [(refusal.row, refusal.rule, refusal.reason) for refusal in one.refusals],
        )
        for one in readings
    ]
    labels = [_evidence(labelled) for _, labelled in evidence.values()]
    return sealed(marshal.dumps((source, labels, list(messages), tasks)))


def readings_in(reply: bytes, source: str, names: Sequence[str]) -> ChunkReading:
    """Return what a reply says of these tasks of a source; raises ReplyError when it is not about just them."""
    try:
        told, evidence, messages, tasks = marshal.loads(_opened(reply))  # noqa: S302 - of a process that we started
        shared = [_labelled(*one) for one in evidence], [Message(role=role, content=text) for role, text in messages]
        words: dict[str, Words] = {}
        readings = [_reading(source, task, shared, words) for task in tasks]
    except (ValueError, TypeError, EOFError, LookupError, AttributeError) as error:
        raise ReplyError(f"it cannot be read: {type(error).__name__}") from None  # its words may be anybody's
    if told != source or [one.task for one in readings] != list(names):
        raise ReplyError("it is about other tasks")
    return ChunkReading(readings, words)


def sealed(data: bytes) -> bytes:
    """Return bytes with their checksum: what is no answer may ask for any amount of memory when it is read."""
    return zlib.crc32(data).to_bytes(_CHECK) + data


def _opened(reply: bytes) -> memoryview:
    data = memoryview(reply)[_CHECK:]
    if zlib.crc32(data).to_bytes(_CHECK) != reply[:_CHECK]:
        raise ReplyError("it is damaged")
    return data


def _packed(
    outcome: Outcome, evidence: dict[int, tuple[int, Labelled]], messages: dict[tuple[str, str], int]
) -> tuple[Any, ...]:
    words = words_of(outcome)
    return (
        outcome.key,
        outcome.session,
        outcome.group,
        outcome.call_type,
        outcome.at.isoformat(),
        outcome.model,
        [messages.setdefault((one.role, one.content), len(messages)) for one in outcome.messages],
        outcome.response,
        evidence.setdefault(id(outcome.labelled), (len(evidence), outcome.labelled))[0],
        outcome.extra,
        words.question,
        words.text,
    )


def _evidence(labelled: Labelled) -> tuple[Any, ...]:
    signals = [(one.name, one.points, one.strength, one.note) for one in labelled.signals]
    return labelled.label.value, labelled.confidence, signals


def _labelled(label: Any, confidence: Any, signals: Any) -> Labelled:
    made = [Signal(name=name, points=points, strength=strength, note=note) for name, points, strength, note in signals]
    return Labelled(label=label, confidence=confidence, signals=tuple(made))


def _reading(source: str, held: Any, shared: _Shared, words: dict[str, Words]) -> TaskReading:
    (task, first, settled, has_row), outcomes, refusals = held
    return TaskReading(
        task=task,
        first=first,
        settled=settled,
        has_row=has_row,
        outcomes=tuple([_outcome((source, task), one, shared, words) for one in outcomes]),
        refusals=tuple([Refusal(row=row, rule=rule, reason=reason) for row, rule, reason in refusals]),
    )


def _outcome(of: tuple[str, str], held: Any, shared: _Shared, words: dict[str, Words]) -> Outcome:
    key, session, group, call_type, at, model, asked, response, labelled, extra, question, text = held
    labels, messages = shared
    outcome = Outcome(
        key=key,
        source=of[0],
        task=of[1],
        session=session,
        group=group,
        call_type=call_type,
        at=datetime.fromisoformat(at),
        model=model,
        messages=tuple([messages[number] for number in asked]),
        response=response,
        labelled=labels[labelled],
        extra=extra,
    )
    words[key] = Words(outcome.messages, outcome.response, question, text)
    return outcome
