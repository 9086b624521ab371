"""Reading what opencode 2.0 writes: one row a message, its content inside. Pure. Read from its schema.

Fails closed: a type or a status nobody knows makes the message unreadable, by name.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
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
from flywheel.sources.opencode_v1 import INTERRUPTED, named

_STATUSES: Mapping[str, Status] = {
    "streaming": "pending", "running": "running", "completed": "completed", "error": "error",
}  # fmt: skip
_SILENT = frozenset({"agent-switched", "model-switched", "location-switched"})  # the model is not told


class RawRow(NamedTuple):
    """A row of `session_message`."""

    id: str
    type: object
    at: int
    data: Mapping[str, Any]


def entry_of(row: RawRow) -> Entry | None:
    """Return the entry that a row is, None for what the model is not told of."""
    try:
        if str(row.type) in _SILENT:
            return None
        read = _READERS.get(str(row.type))
        if read is None:
            raise UnreadableError("unknown-part", f"a message's type is {named(row.type)}")  # noqa: TRY301 - one place turns refusals into values
        return read(row)
    except UnreadableError as error:
        return Entry(id=row.id, kind="broken", at=row.at, why=error)


def _user(row: RawRow) -> Entry:
    files = [object_in(item, "a file") for item in list_in(row.data.get("files"), "files")]
    attached = [text_in(one.get("name") or one.get("uri"), "a file's name") for one in files]
    said = [text_in(row.data.get("text"), "a text"), *(f"[Attached {name or 'file'}]" for name in attached)]
    return Entry(
        id=row.id, kind="ask", at=row.at, text="\n".join(text for text in said if text), attached=tuple(attached)
    )


def _note(row: RawRow) -> Entry:
    return Entry(id=row.id, kind="note", at=row.at, text=text_in(row.data.get("text"), "a text"))


def _shell(row: RawRow) -> Entry:
    code, ended = status_code_in(row.data)
    output = row.data.get("output")
    printed = output.get("output") if isinstance(output, Mapping) else output
    command = text_in(row.data.get("command"), "a command")
    done = str(row.data.get("status")) not in {"running", "pending"}
    use = ToolUse("shell", "completed" if done else "running", {"command": command},
                  text_in(printed, "a command's output") if done else INTERRUPTED, code, ended)  # fmt: skip
    return Entry(id=row.id, kind="ran", at=row.at, tools=(use,), done=done)


def _compaction(row: RawRow) -> Entry:
    status = row.data.get("status")
    if str(status) not in {"running", "completed", "failed"}:
        raise UnreadableError("unknown-status", f"a compaction's status is {named(status)}")
    parts = [text_in(row.data.get(name), f"a compaction's {name}") for name in ("summary", "recent")]
    model = object_in(row.data.get("model"), "a model")
    whole = status == "completed"
    return Entry(id=row.id, kind="summary", at=row.at, text="\n".join(filter(None, parts)) if whole else "",
                 done=status != "running", error="" if status != "failed" else "failed",
                 agent="compaction", model=name_in(model.get("id"), "model"),
                 provider=name_in(model.get("providerID"), "provider"), compaction=True)  # fmt: skip


def _idle(row: RawRow) -> Entry:
    outcome = row.data.get("outcome")
    if str(outcome) not in {"succeeded", "failed", "interrupted"}:
        raise UnreadableError("unknown-status", f"a turn's outcome is {named(outcome)}")
    return Entry(id=row.id, kind="idle", at=row.at, finish=str(outcome))


def _assistant(row: RawRow) -> Entry:
    data = row.data
    content = [object_in(item, "content") for item in list_in(data.get("content"), "content")]
    for item in content:
        if str(item.get("type")) not in {"text", "reasoning", "tool"}:
            raise UnreadableError("unknown-part", f"a part's type is {named(item.get('type'))}")
    texts = [text_in(item.get("text"), "a text") for item in content if item.get("type") == "text"]
    thoughts = [text_in(item.get("text"), "reasoning") for item in content if item.get("type") == "reasoning"]
    model = object_in(data.get("model"), "a model")
    error = object_in(data.get("error"), "an error")
    files = object_in(data.get("snapshot"), "a snapshot").get("files")
    return Entry(
        id=row.id,
        kind="answer",
        at=row.at,
        text="\n".join(filter(None, texts)),
        tools=tuple(_tool(item) for item in content if item.get("type") == "tool"),
        done=object_in(data.get("time"), "time").get("completed") is not None,
        finish=name_in(data.get("finish"), "finish"),
        error=name_in(error.get("type"), "an error's type") or ("error" if error else ""),
        agent=name_in(data.get("agent"), "agent"),
        model=name_in(model.get("id"), "model"),
        provider=name_in(model.get("providerID"), "provider"),
        reasoning=sum(map(len, thoughts)),
        changed=tuple(text_in(name, "a file's name") for name in list_in(files, "files")),
    )


def _tool(item: Mapping[str, Any]) -> ToolUse:
    state = object_in(item.get("state"), "a tool's state")
    status = _STATUSES.get(str(state.get("status")))
    if status is None:
        raise UnreadableError("unknown-status", f"a tool's status is {named(state.get('status'))}")
    name = name_in(item.get("name"), "a tool's name")
    metadata = object_in(state.get("metadata"), "a tool's metadata")
    code, ended = status_code_in(metadata)
    given = state.get("input")
    child = metadata.get("sessionId", metadata.get("sessionID")) if name in AGENTS else None
    return ToolUse(
        name=name,
        status=status,
        arguments={} if isinstance(given, str) else object_in(given, "a tool's input"),
        output=_output(status, state),
        status_code=code,
        ended=ended,
        child=name_in(child, "a session's id"),
    )


def _output(status: Status, state: Mapping[str, Any]) -> str:
    if status == "error":
        return text_in(object_in(state.get("error"), "an error").get("message"), "a tool's error")
    if status != "completed":
        return INTERRUPTED
    items = [object_in(item, "content") for item in list_in(state.get("content"), "content")]
    return "\n".join(text_in(item.get("text"), "a tool's output") for item in items if item.get("type") == "text")


def time_of(value: object) -> int:
    """Return a row's time, zero when it has none."""
    try:
        return number_in(value, "a time")
    except UnreadableError:
        return 0


_READERS: Mapping[str, Callable[[RawRow], Entry]] = MappingProxyType(
    {
        "user": _user,
        "synthetic": _note,
        "system": _note,
        "skill": _note,
        "shell": _shell,
        "compaction": _compaction,
        "idle": _idle,
        "assistant": _assistant,
    }
)
