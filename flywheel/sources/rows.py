"""From the rows of one task to outcomes with labels. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from flywheel.core.clocks import parse_time
from flywheel.core.ids import bytes_hash, texts_hash
from flywheel.core.outcomes import Labelled, Message, Outcome
from flywheel.core.secrets import find_secret_in
from flywheel.sources.connections import Undecodable
from flywheel.sources.conversations import (
    UnreadableError,
    answer_of,
    is_number,
    name_of,
    question_of,
    text_of,
    without_answer,
)
from flywheel.sources.labels import Call, label_calls
from flywheel.sources.settings import GenericSource
from flywheel.sources.task_readings import Refusal, TaskReading

_TRUE = frozenset({"1", "1.0", "true", "t", "yes", "success", "succeeded", "passed", "ok"})
_FALSE = frozenset({"0", "0.0", "false", "f", "no", "failure", "failed", "error"})
_CONTENT = ("call_type", "model", "system", "prompt", "messages", "response", "at")
_NUMBERS = ("latency_ms", "prompt_tokens", "completion_tokens")
_SHORTEST_EPOCH, _LONGEST_EPOCH = 9, 20  # digits: fewer are a date like 20260101, more are no time

Values = Mapping[str, Any]


class CallRow(NamedTuple):
    """A call as it stands in the table: its row number and its values by meaning."""

    row: int
    values: Values


class _Parsed(NamedTuple):
    """A call that could be read."""

    call_type: str
    model: str
    at: datetime
    messages: tuple[Message, ...]
    response: str


def success_of(value: object) -> bool | None:
    """Return what a success column says; whatever is not clearly one or the other is unknown."""
    if value is None or isinstance(value, bytes | Undecodable):
        return None
    text = str(value).strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


def read_task(settings: GenericSource, task: str, end: Values | None, calls: Sequence[CallRow]) -> TaskReading:
    """Return a task's outcomes, labelled together; a call that cannot be read keeps its place in the order."""
    values = end or {}
    success = success_of(values.get("success"))
    keys = _keys(settings.name, task, calls)
    parsed = [_parse(call.values, values) for call in calls]
    labels = label_calls(_as_calls(calls, parsed, keys), success, trusted=settings.trust_task_success)
    frame = _framed(settings, task, values)
    outcomes: list[Outcome] = []
    refusals: list[Refusal] = []
    for call, read, key, labelled in zip(calls, parsed, keys, labels, strict=True):
        if success is None and call.values.get("response") is None:
            continue  # still being answered: the task is pending and will be read again
        made = _outcome(frame, read, (key, labelled, call.values))
        if isinstance(made, Outcome):
            outcomes.append(made)
        else:
            refusals.append(Refusal(row=key, rule=made.rule, reason=f"row {call.row}: {made.reason}"))
    unnameable = bool(refusals) and find_secret_in([task]) is not None  # its name must not be remembered
    return TaskReading(task=task, first=calls[0].row if calls else 0, settled=unnameable or success is not None,
                       has_row=end is not None, outcomes=tuple(outcomes), refusals=tuple(refusals))  # fmt: skip


class _Frame(NamedTuple):
    """What all calls of a task share."""

    source: str
    task: str
    session: str
    repo: str
    extra: dict[str, Any]


def _framed(settings: GenericSource, task: str, values: Values) -> _Frame | UnreadableError:
    try:
        session = name_of(values.get("session"), "session")
        repo = name_of(values.get("repo"), "repo")
    except UnreadableError as error:
        return error
    foreign = settings.own_repos is not None and repo not in settings.own_repos
    return _Frame(settings.name, task, session, repo, {"foreign": True} if foreign else {})


def _outcome(
    frame: _Frame | UnreadableError, read: _Parsed | UnreadableError, known: tuple[str, Labelled, Values]
) -> Outcome | UnreadableError:
    """Return the outcome, or why this call must not be stored."""
    if isinstance(read, UnreadableError):
        return read
    if isinstance(frame, UnreadableError):
        return frame
    texts = [message.content for message in read.messages]
    found = find_secret_in([frame.task, frame.session, frame.repo, read.call_type, read.model, read.response, *texts])
    if found is not None:
        return UnreadableError(found, "the record holds a secret")
    key, labelled, values = known
    session = frame.session or frame.task
    return Outcome(
        key=key,
        source=frame.source,
        task=frame.task,
        session=session,
        group=frame.repo or session,
        call_type=read.call_type,
        at=read.at,
        model=read.model,
        messages=read.messages,
        response=read.response,
        labelled=labelled,
        extra=_numbers(values) | frame.extra,
    )


def _parse(values: Values, end: Values) -> _Parsed | UnreadableError:
    try:
        response = answer_of(values.get("response"))
        system = text_of(values.get("system"), "system prompt")
        question = question_of(system, values.get("prompt"), values.get("messages"))
        at = _time(values.get("at")) or _time(end.get("created_at"))
        if at is None:
            raise UnreadableError("no-time", "no column says when")  # noqa: TRY301 - one place turns refusals into values
        return _Parsed(
            name_of(values.get("call_type"), "call type"),
            name_of(values.get("model"), "model"),
            at,
            without_answer(question, response),
            response,
        )
    except UnreadableError as error:
        return error


def _as_calls(calls: Sequence[CallRow], parsed: Sequence[_Parsed | UnreadableError], keys: Sequence[str]) -> list[Call]:
    kinds = Counter(read.call_type for read in parsed if isinstance(read, _Parsed))
    return [
        _as_call(call.values, read, key, alone=isinstance(read, _Parsed) and kinds[read.call_type] == 1)
        for call, read, key in zip(calls, parsed, keys, strict=True)
    ]


def _as_call(values: Values, read: _Parsed | UnreadableError, key: str, *, alone: bool) -> Call:
    success = success_of(values.get("success"))
    if isinstance(read, UnreadableError):
        kind = values.get("call_type")
        return Call(str(kind) if isinstance(kind, str | int) else "", key, "unreadable", success=success)
    error = values.get("error")
    # The only call of its kind repeats nobody's question.
    question = key if alone else "\x1f".join([text for one in read.messages for text in (one.role, one.content)])
    return Call(read.call_type, question, read.response, error not in {None, "", 0}, success)


def _keys(source: str, task: str, calls: Sequence[CallRow]) -> list[str]:
    """Return each call's identity: its content, and which of equal ones it is; never its row, which is reused."""
    taken: dict[str, None] = {}
    for call in calls:
        values = [call.values.get(name) for name in _CONTENT]
        content = [source, task, *[value if isinstance(value, str) else _plain(value) for value in values]]
        key, equal = texts_hash(content), 0
        while key in taken:
            equal += 1
            key = texts_hash([*content, str(equal)])
        taken[key] = None
    return list(taken)


def _plain(value: object) -> str:
    """Return what is not text as text that no agent would write."""
    if isinstance(value, bytes):
        return f"\0bytes {bytes_hash([value])}"
    return f"\0undecodable {value.digest}" if isinstance(value, Undecodable) else f"\0{value!r}"


def _time(value: object) -> datetime | None:
    digits = value.strip() if isinstance(value, str) else ""
    if digits.isdecimal() and _SHORTEST_EPOCH <= len(digits) <= _LONGEST_EPOCH:
        value = int(digits)
    return parse_time(value)


def _numbers(values: Values) -> dict[str, Any]:
    return {name: values[name] for name in _NUMBERS if is_number(values.get(name))}
