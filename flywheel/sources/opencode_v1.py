"""Reading what opencode 0.x and 1.x wrote: a message with its parts becomes an entry. Pure.

Fails closed: a role, a kind of part or a status nobody knows makes the message unreadable, by name.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flywheel.sources.conversations import UnreadableError
from flywheel.sources.opencode_records import (
    AGENTS,
    Entry,
    Status,
    ToolUse,
    list_in,
    name_in,
    number_in,
    object_in,
    status_code_in,
    text_in,
)

_PARTS = frozenset(
    {"text", "reasoning", "tool", "file", "agent", "subtask", "step-start", "step-finish", "snapshot", "patch",
     "compaction", "retry"}
)  # fmt: skip
_STATUSES: Mapping[str, Status] = {
    "pending": "pending", "running": "running", "completed": "completed", "error": "error",
}  # fmt: skip
_TEXT_FILES = frozenset({"text/plain", "application/x-directory"})  # the client puts their text beside them
_CLEAR_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")

ASKED_FOR_SUMMARY = "What did we do so far?"
RUN_BY_PERSON = "The following tool was executed by the user"
INTERRUPTED = "[Tool execution was interrupted]"


class RawMessage(NamedTuple):
    """A message as it is stored: its id, its JSON, and the JSON of its parts in order."""

    id: str
    data: Mapping[str, Any]
    parts: Sequence[Mapping[str, Any]]


def entry_of(message: RawMessage) -> Entry:
    """Return the entry that a message is; one that cannot be read keeps its place and says why."""
    try:
        for part in message.parts:
            _check(part)
        role = message.data.get("role")
        if role == "user":
            return _user(message)
        if role == "assistant":
            return _assistant(message)
        raise UnreadableError("unknown-role", f"a message's role is {named(role)}")  # noqa: TRY301 - one place turns refusals into values
    except UnreadableError as error:
        return Entry(id=message.id, kind="broken", at=_time_or_zero(message.data), why=error)


def named(value: object) -> str:
    """Return a name found in a file as it may be shown: only when it is plainly a name."""
    return repr(value) if isinstance(value, str) and _CLEAR_NAME.fullmatch(value) else "not a known one"


def _check(part: Mapping[str, Any]) -> None:
    if str(part.get("type")) not in _PARTS:
        raise UnreadableError("unknown-part", f"a part's type is {named(part.get('type'))}")


def _of(message: RawMessage, kind: str) -> list[Mapping[str, Any]]:
    return [part for part in message.parts if part.get("type") == kind]


def _user(message: RawMessage) -> Entry:
    texts = [part for part in _of(message, "text") if not part.get("ignored")]
    said = [text_in(part.get("text"), "a text") for part in texts]
    asked = any(not part.get("synthetic") and text for part, text in zip(texts, said, strict=True))
    attached = [text_in(part.get("filename") or part.get("url"), "a file's name") for part in _of(message, "file")]
    said += [_attachment(part) for part in _of(message, "file") if str(part.get("mime")) not in _TEXT_FILES]
    compactions = _of(message, "compaction")
    said += [ASKED_FOR_SUMMARY for _ in compactions] + [RUN_BY_PERSON for _ in _of(message, "subtask")]
    summary = message.data.get("summary")
    diffs = list_in(summary.get("diffs"), "diffs") if isinstance(summary, Mapping) else []
    return Entry(
        id=message.id,
        kind="ask" if (asked or attached or _of(message, "subtask")) and not compactions else "note",
        at=_created(message.data),
        text="\n".join(text for text in said if text),
        attached=tuple(attached),
        diffs=len(diffs),
        compaction=bool(compactions),
        tail=next((text_in(part.get("tail_start_id"), "an id") for part in compactions), ""),
    )


def _attachment(part: Mapping[str, Any]) -> str:
    name = text_in(part.get("filename"), "a file's name") or "file"
    return f"[Attached {text_in(part.get('mime'), 'a media type')}: {name}]"


def _assistant(message: RawMessage) -> Entry:
    data = message.data
    time = object_in(data.get("time"), "time")
    tools = tuple(_tool(part) for part in _of(message, "tool"))
    text = "\n".join(filter(None, (text_in(part.get("text"), "a text") for part in _of(message, "text"))))
    modelled = bool(text or _of(message, "step-start") or _of(message, "step-finish") or data.get("finish"))
    error = object_in(data.get("error"), "an error")
    files = [name for part in _of(message, "patch") for name in list_in(part.get("files"), "files")]
    return Entry(
        id=message.id,
        kind="summary" if data.get("summary") is True else "answer" if modelled or not tools else "ran",
        at=_created(data),
        text=text,
        tools=tools,
        done=time.get("completed") is not None,
        finish=name_in(data.get("finish"), "finish"),
        error=name_in(error.get("name"), "an error's name") or ("error" if error else ""),
        agent=name_in(data.get("agent") or data.get("mode"), "agent"),
        model=name_in(data.get("modelID"), "model"),
        provider=name_in(data.get("providerID"), "provider"),
        reasoning=sum(len(text_in(part.get("text"), "reasoning")) for part in _of(message, "reasoning")),
        changed=tuple(text_in(name, "a file's name") for name in files),
    )


def _tool(part: Mapping[str, Any]) -> ToolUse:
    state = object_in(part.get("state"), "a tool's state")
    status = _STATUSES.get(str(state.get("status")))
    if status is None:
        raise UnreadableError("unknown-status", f"a tool's status is {named(state.get('status'))}")
    metadata = object_in(state.get("metadata"), "a tool's metadata")
    time = object_in(state.get("time"), "a tool's times")
    name = name_in(part.get("tool"), "a tool's name")
    code, ended = status_code_in(metadata)
    child = metadata.get("sessionId", metadata.get("sessionID")) if name in AGENTS else None
    return ToolUse(
        name=name,
        status=status,
        arguments=object_in(state.get("input"), "a tool's input"),
        output=_output(status, state, metadata),
        status_code=code,
        ended=ended,
        cleared_at=number_in(time["compacted"], "a time") if time.get("compacted") else None,
        child=name_in(child, "a session's id"),
    )


def _output(status: Status, state: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """Return what went back to the model, as the client itself sends it."""
    if status == "completed":
        return text_in(state.get("output"), "a tool's output")
    if status == "error":
        kept = metadata.get("output") if metadata.get("interrupted") is True else None
        return text_in(kept if kept is not None else state.get("error"), "a tool's error")
    return INTERRUPTED


def _created(data: Mapping[str, Any]) -> int:
    return number_in(object_in(data.get("time"), "time").get("created"), "the time of a message")


def _time_or_zero(data: Mapping[str, Any]) -> int:
    try:
        return _created(data)
    except UnreadableError:
        return 0
