"""What an opencode session is to us, whichever version wrote it: entries in order, with the tools they used. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from flywheel.sources.conversations import LONGEST_TEXT, UnreadableError
from flywheel.sources.readings import Refusal

Kind = Literal["ask", "answer", "ran", "note", "summary", "idle", "broken"]
"""ask: a person's message; answer: one model call; ran: a command a person had run; note: text the client put in;
summary: a compaction's result; idle: the end of a turn as V2 marks it; broken: what could not be read."""

Status = Literal["pending", "running", "completed", "error"]

SHELLS = frozenset({"bash", "shell"})
EDITORS = frozenset({"edit", "write", "patch", "multiedit", "apply_patch"})
AGENTS = frozenset({"task", "subagent"})
READERS = frozenset({"read"})
INVALID = "invalid"

_LAST_MILLISECOND = 2.5e14


class ToolUse(NamedTuple):
    """A call of a tool and what became of it; `status_code` is a command's exit status where one was recorded."""

    name: str
    status: Status
    arguments: Mapping[str, Any]
    output: str = ""
    status_code: int | None = None
    ended: bool = False
    cleared_at: int | None = None
    child: str = ""

    @property
    def path(self) -> str:
        """Return the file it is about, empty when it is about none."""
        found = self.arguments.get("filePath", self.arguments.get("path", self.arguments.get("file_path")))
        return found if isinstance(found, str) else ""

    @property
    def command(self) -> str:
        """Return the command line it runs, empty when it runs none."""
        found = self.arguments.get("command") if self.name in SHELLS else None
        return found if isinstance(found, str) else ""

    @property
    def failed(self) -> bool:
        """Tell whether the tool refused the call."""
        return self.status == "error" or self.name == INVALID


class Entry(NamedTuple):
    """One thing that happened in a session; times are milliseconds."""

    id: str
    kind: Kind
    at: int
    text: str = ""
    tools: tuple[ToolUse, ...] = ()
    done: bool = True
    finish: str = ""
    error: str = ""
    agent: str = ""
    model: str = ""
    provider: str = ""
    reasoning: int = 0
    changed: tuple[str, ...] = ()
    attached: tuple[str, ...] = ()
    diffs: int = 0
    compaction: bool = False
    tail: str = ""
    why: UnreadableError | None = None

    @property
    def pending(self) -> bool:
        """Tell whether something it began has not ended."""
        return any(tool.status in {"pending", "running"} for tool in self.tools)

    @property
    def answered(self) -> bool:
        """Tell whether the model said anything; an empty answer that it finished counts."""
        said = bool(self.text or self.tools)
        return (self.kind == "answer" and (said or bool(self.finish))) or (self.kind == "summary" and bool(self.finish))


class Session(NamedTuple):
    """A session with everything in it; `reverted` is the first entry that was taken back."""

    id: str
    parent: str
    version: str
    directory: str
    repo: str
    created: int
    updated: int
    size: int
    entries: tuple[Entry, ...]
    reverted: str = ""


class Head(NamedTuple):
    """What one look over all sessions tells of each: enough to know which to read.

    `looks` differs whenever the session was changed; where it only may, `exact` is false and its depth tells.
    """

    id: str
    parent: str
    version: str
    updated: int
    looks: str
    exact: bool = True
    newer: bool = False


class Roll(NamedTuple):
    """What a look saw of every session, so that the next one can tell which were changed; opaque to all others."""

    rows: tuple[Sequence[Any], ...]


NO_ROLL = Roll(())


class Changes(NamedTuple):
    """Which sessions came or were changed since a roll was taken, which went, and what cannot be read."""

    heads: list[Head]
    gone: frozenset[str]
    roll: Roll
    refusals: list[Refusal]


class Archive(Protocol):
    """A place where sessions lie, seen at one moment."""

    def changes(self, before: Roll) -> Changes:
        """Return what happened since; with `NO_ROLL` every session."""
        ...

    def depth(self, head: Head) -> str:
        """Return what differs whenever anything in the session was changed."""
        ...

    def session(self, head: Head) -> Session:
        """Read a session whole; raises UnreadableError."""
        ...


def text_in(value: object, what: str) -> str:
    """Return a text that can be stored, empty for what is not there; raises UnreadableError."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableError("wrong-type", f"{what} is not text")
    if len(value) > LONGEST_TEXT:
        raise UnreadableError("too-large", f"{what} is longer than {LONGEST_TEXT} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnreadableError("not-utf8", f"{what} holds half a character") from None
    return value


def name_in(value: object, what: str) -> str:
    """Return a short text that names something; databases do not take a zero byte."""
    text = text_in(value, what)
    if "\x00" in text or len(text) > 1000:  # noqa: PLR2004 - no name of anything is that long
        raise UnreadableError("wrong-type", f"{what} is no name")
    return text


def object_in(value: object, what: str) -> Mapping[str, Any]:
    """Return a JSON object, empty for what is not there."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UnreadableError("wrong-type", f"{what} is not an object")
    return value


def list_in(value: object, what: str) -> list[Any]:
    """Return a JSON list, empty for what is not there."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise UnreadableError("wrong-type", f"{what} is not a list")
    return value


def number_in(value: object, what: str) -> int:
    """Return a time in milliseconds, of a year that calendars have."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LAST_MILLISECOND:
        raise UnreadableError("wrong-type", f"{what} is not a number")
    return int(value)


def status_code_in(metadata: Mapping[str, Any]) -> tuple[int | None, bool]:
    """Return a command's exit status and whether any was recorded: an aborted one leaves a null."""
    held = metadata.get("exit")
    code = int(held) if isinstance(held, int | float) and not isinstance(held, bool) and abs(held) < 1e6 else None  # noqa: PLR2004
    return code, "exit" in metadata
