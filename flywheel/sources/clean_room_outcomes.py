"""From the rows of one clean-room root to outcomes with labels. Pure."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from flywheel.core.clocks import parse_time
from flywheel.core.ids import bytes_hash, content_hash
from flywheel.core.outcomes import Labelled, Message, Outcome
from flywheel.core.secrets import find_secret_in
from flywheel.sources.clean_room_evidence import Evidence
from flywheel.sources.clean_room_labels import RootCall, label_calls
from flywheel.sources.clean_room_names import TaskName, parse_task
from flywheel.sources.connections import Undecodable
from flywheel.sources.conversations import UnreadableError, is_number, name_of, question_of, text_of
from flywheel.sources.readings import Refusal, TaskReading
from flywheel.sources.settings import CleanRoomSource

CALL_COLUMNS = ("task_id", "call_type", "sub_stage", "model", "system_prompt", "prompt", "response", "thinking",
                "prompt_tokens", "completion_tokens", "latency_ms", "timestamp")  # fmt: skip
_CONTENT = ("task_id", "call_type", "sub_stage", "model", "system_prompt", "prompt", "response", "timestamp")
_NUMBERS = ("latency_ms", "prompt_tokens", "completion_tokens")
_NO_MODEL = "deterministic"
_ERROR_MARK = "[ERROR] "
_CHAINED = frozenset({"execute_implement", "execute_test_implement", "execute_function_implement"})
_SHOWN_FILE = re.compile(r"^## (\S.*?) \[[^\]\n]*\] \(", re.MULTILINE)

Values = Mapping[str, Any]


class Root(NamedTuple):
    """All that is known of one root beside its calls."""

    name: str
    repo: str
    evidence: Evidence
    found: Mapping[TaskName, frozenset[str] | None]
    success: Mapping[str, bool | None]
    settled: bool
    known: bool


class _Read(NamedTuple):
    """A call that could be read."""

    key: str
    name: TaskName
    call_type: str
    sub_stage: str
    model: str
    at: datetime
    messages: tuple[Message, ...]
    system: str
    response: str
    thinking: str
    values: Values


def read_root(settings: CleanRoomSource, root: Root, rows: Sequence[tuple[int, Values]]) -> TaskReading:
    """Return a root's outcomes, labelled together; what is no model's answer is refused by name."""
    keys = _keys(settings.name, root.name, [values for _, values in rows])
    read: list[_Read] = []
    refusals: list[Refusal] = []
    for (row, values), key in zip(rows, keys, strict=True):
        try:
            read.append(_parse(key, values))
        except UnreadableError as error:
            refusals.append(Refusal(row=key, rule=error.rule, reason=f"row {row}: {error.reason}"))
    labels = _labels(settings, root, read)
    outcomes = [_outcome(settings, root, call, label) for call, label in zip(read, labels, strict=True)]
    return TaskReading(task=root.name, first=rows[0][0] if rows else 0, settled=root.settled, has_row=root.known,
                       outcomes=tuple(outcomes), refusals=tuple(refusals), mirrors=True)  # fmt: skip


def _parse(key: str, values: Values) -> _Read:
    """Return the call; raises UnreadableError for what cannot be an outcome, a secret among it."""
    model = name_of(values["model"], "model")
    if model == _NO_MODEL:
        raise UnreadableError("deterministic", "the agent worked this out without a model")
    response = text_of(values["response"], "response")
    if response.startswith(_ERROR_MARK):
        raise UnreadableError("error-response", "the agent wrote down an error, not an answer")
    system = text_of(values["system_prompt"], "system prompt")
    at = parse_time(values["timestamp"])
    if at is None:
        raise UnreadableError("no-time", "no column says when")
    read = _Read(
        key=key,
        name=parse_task(name_of(values["task_id"], "task")),
        call_type=name_of(values["call_type"], "call type"),
        sub_stage=name_of(values["sub_stage"], "sub stage"),
        model=model,
        at=at,
        messages=question_of(system, values["prompt"], None),
        system=system,
        response=response,
        thinking=text_of(values["thinking"], "thinking"),
        values=values,
    )
    rule = find_secret_in([read.model, response, read.thinking, *(message.content for message in read.messages)])
    if rule is not None:
        raise UnreadableError(rule, "the record holds a secret")
    return read


def _labels(settings: CleanRoomSource, root: Root, read: Sequence[_Read]) -> list[Labelled]:
    last = {(call.name, call.call_type, call.sub_stage): at for at, call in enumerate(read)}
    trusted = [
        _trusted(root, call)
        if settings.trust_task_success and last[call.name, call.call_type, call.sub_stage] == at
        else None
        for at, call in enumerate(read)
    ]
    calls = [
        RootCall(call.name, call.call_type, call.sub_stage, call.system, call.messages[-1].content, call.response, word)
        for call, word in zip(read, trusted, strict=True)
    ]
    return label_calls(calls, root.evidence, _found(root, read))


def _trusted(root: Root, call: _Read) -> bool | None:
    task = str(call.values["task_id"])
    return root.success.get(task, root.success.get(root.name))


def _found(root: Root, read: Sequence[_Read]) -> dict[TaskName, frozenset[str] | None]:
    """Return the files that were found; where ids mean nothing any more, those shown with the question itself."""
    found = dict(root.found)
    for call in read:
        if call.call_type.startswith("execute_") and found.get(call.name) is None:
            found[call.name] = frozenset(_SHOWN_FILE.findall(call.messages[-1].content)) or None
    return found


def _outcome(settings: CleanRoomSource, root: Root, call: _Read, labelled: Labelled) -> Outcome:
    own = settings.own_repos
    foreign = {"foreign": True} if own is not None and root.repo not in own else {}
    numbers = {name: call.values[name] for name in _NUMBERS if is_number(call.values[name])}
    thinking = {"thinking": call.thinking} if call.thinking.strip() else {}
    return Outcome(
        key=call.key,
        source=settings.name,
        task=root.name,
        session=root.name,
        group=root.repo or root.name,
        call_type=call.call_type,
        at=call.at,
        model=call.model,
        messages=call.messages,
        response=call.response,
        labelled=labelled,
        tags=_tags(call),
        chain=_chain(settings.name, call),
        extra={"task_id": str(call.values["task_id"]), **numbers, **thinking, **foreign},
    )


def _tags(call: _Read) -> tuple[str, ...]:
    tag = f"stage:{call.call_type}"
    return (tag, f"{tag}/{call.sub_stage}") if call.sub_stage else (tag,)


def _chain(source: str, call: _Read) -> str:
    """Return what all attempts at the same step of the same part share; other calls have no second attempt."""
    return ":".join([source, call.name.root, *call.name.slot]) if call.call_type in _CHAINED else ""


def _keys(source: str, root: str, rows: Sequence[Values]) -> list[str]:
    """Return each call's identity: its content, and which of equal ones it is; never its row, which is reused."""
    seen: Counter[str] = Counter()
    keys = []
    for values in rows:
        content = content_hash([_plain(values[name]) for name in _CONTENT])
        keys.append(content_hash([source, root, content, seen[content]]))
        seen[content] += 1
    return keys


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return {"bytes": bytes_hash([value])}
    if isinstance(value, Undecodable):
        return {"undecodable": value.digest}
    return repr(value) if isinstance(value, float) else value
