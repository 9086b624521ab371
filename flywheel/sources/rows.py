"""From the rows of one task to outcomes with labels. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from flywheel.core.clocks import parse_time
from flywheel.core.examples import prompt_key
from flywheel.core.ids import bytes_hash, content_hash
from flywheel.core.outcomes import Labelled, Message, Outcome
from flywheel.core.secrets import find_secret_in
from flywheel.sources.connections import Undecodable
from flywheel.sources.conversations import (
    UnreadableError,
    answer_of,
    name_of,
    question_of,
    text_of,
    without_answer,
)
from flywheel.sources.labels import Call, label_calls
from flywheel.sources.readings import Refusal, TaskReading
from flywheel.sources.settings import GenericSource

_TRUE = frozenset({"1", "1.0", "true", "t", "yes", "success", "succeeded", "passed", "ok"})
_FALSE = frozenset({"0", "0.0", "false", "f", "no", "failure", "failed", "error"})
_CONTENT = ("call_type", "model", "system", "prompt", "messages", "response", "at")
_NUMBERS = ("latency_ms", "prompt_tokens", "completion_tokens")
_SHORTEST_EPOCH = 9  # digits: fewer are a date like 20260101

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
    parsed = [_parse(call, values) for call in calls]
    labels = label_calls(
        [_as_call(*one, alone=len(calls) == 1) for one in zip(calls, parsed, keys, strict=True)],
        success,
        trusted=settings.trust_task_success,
    )
    outcomes: list[Outcome] = []
    refusals: list[Refusal] = []
    frame = _Frame(settings, task, values)
    for call, read, key, labelled in zip(calls, parsed, keys, labels, strict=True):
        if success is None and call.values.get("response") is None:
            continue  # still being answered: the task is pending and will be read again
        made = read if isinstance(read, UnreadableError) else frame.outcome(call, read, key, labelled)
        if isinstance(made, Outcome):
            outcomes.append(made)
        else:
            refusals.append(Refusal(row=key, rule=made.rule, reason=f"row {call.row}: {made.reason}"))
    return TaskReading(task=task, first=calls[0].row if calls else 0, settled=success is not None,
                       has_row=end is not None, outcomes=tuple(outcomes), refusals=tuple(refusals))  # fmt: skip


class _Frame:
    """What all calls of a task share."""

    def __init__(self, settings: GenericSource, task: str, values: Values) -> None:
        self._settings = settings
        self._task = task
        self._values = values

    def outcome(self, call: CallRow, read: _Parsed, key: str, labelled: Labelled) -> Outcome | UnreadableError:
        """Return the outcome, or why this call must not be stored."""
        try:
            session = name_of(self._values.get("session"), "session")
            repo = name_of(self._values.get("repo"), "repo")
        except UnreadableError as error:
            return error
        found = find_secret_in([self._task, session, repo, read.call_type, read.model, read.response,
                                *(message.content for message in read.messages)])  # fmt: skip
        if found is not None:
            return UnreadableError(found, "the record holds a secret")
        own = self._settings.own_repos
        extra = _numbers(call.values) | ({"foreign": True} if own is not None and repo not in own else {})
        return Outcome(
            key=key,
            source=self._settings.name,
            task=self._task,
            session=session or self._task,
            group=repo or session or self._task,
            call_type=read.call_type,
            at=read.at,
            model=read.model,
            messages=read.messages,
            response=read.response,
            labelled=labelled,
            extra=extra,
        )


def _parse(call: CallRow, end: Values) -> _Parsed | UnreadableError:
    values = call.values
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


def _as_call(call: CallRow, read: _Parsed | UnreadableError, key: str, *, alone: bool) -> Call:
    success = success_of(call.values.get("success"))
    if isinstance(read, UnreadableError):
        kind = call.values.get("call_type")
        return Call(str(kind) if isinstance(kind, str | int) else "", key, "unreadable", success=success)
    error = call.values.get("error")
    question = key if alone else prompt_key(read.messages)  # a call without a sibling repeats nobody's question
    return Call(read.call_type, question, read.response, error not in {None, "", 0}, success)


def _keys(source: str, task: str, calls: Sequence[CallRow]) -> list[str]:
    """Return each call's identity: its content, and which of equal ones it is; never its row, which is reused."""
    seen: Counter[str] = Counter()
    keys = []
    for call in calls:
        content = content_hash([_plain(call.values.get(name)) for name in _CONTENT])
        keys.append(content_hash([source, task, content, seen[content]]))
        seen[content] += 1
    return keys


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return {"bytes": bytes_hash([value])}
    if isinstance(value, Undecodable):
        return {"undecodable": value.digest}
    return repr(value) if isinstance(value, float) else value


def _time(value: object) -> datetime | None:
    if isinstance(value, str) and value.strip().isdigit() and len(value.strip()) >= _SHORTEST_EPOCH:
        value = int(value)
    return parse_time(value)


def _numbers(values: Values) -> dict[str, Any]:
    return {name: values[name] for name in _NUMBERS if isinstance(values.get(name), int | float)}
