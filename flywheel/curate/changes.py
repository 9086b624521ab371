"""What an answer changes in files, as edits: from tool calls that edit, write and patch, or from a diff. Pure.

What a file held before is known when the conversation shows it whole, as a read of it. Where it is not known, an edit
is taken at its word (the tool that performed it wanted the text to be there once), and anything else is no edit.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from flywheel.core.edits import Edit, EditError
from flywheel.core.outcomes import Message
from flywheel.core.patches import parse_patches
from flywheel.core.tool_calls import ToolCall, parse_tool_calls
from flywheel.core.written_edits import edits_between

_CUT = 2000  # a tool that reads cuts longer lines off, so that the rest of such a file is not known
_READ = re.compile(r"\s*(?:<path>(?P<path>[^<>\n]+)</path>\s*<type>file</type>\s*<content>|<file>)\n?(?P<body>.*?)"
                   r"\n\s*\(End of file\b[^\n]*\)\s*</(?:content|file)>", re.DOTALL)  # fmt: skip
_NUMBERED = re.compile(r"\s*(\d+)(?:\| |: |\t)(.*)", re.DOTALL)


class Known(NamedTuple):
    """Files as a conversation shows them: what each holds, and which were changed, so that nobody knows any more."""

    texts: Mapping[str, str]
    touched: frozenset[str]


def known_files(messages: Sequence[Message]) -> Known:
    """Return what the conversation shows of files, as they stand at its end."""
    texts: dict[str, str] = {}
    touched: set[str] = set()
    asked: list[ToolCall] = []
    for message in messages:
        if message.role == "tool":
            call = asked.pop(0) if asked else None
            texts.update({file: text for file, text in [_shown(message.content, call)] if file})
        elif message.role == "assistant":
            asked = list(parse_tool_calls(message.content).calls)
            changed = {file for call in asked if call.name in CHANGES for file in [_file(call)] if file}
            touched |= changed
            texts = {file: text for file, text in texts.items() if file not in changed}
    return Known(texts, frozenset(touched))


def edits_of_calls(calls: Sequence[ToolCall], known: Known, root: str = "") -> list[Edit]:
    """Return what the calls change; raises EditError when one of them does something else."""
    desk = _Desk(known, root)
    for call in calls:
        if call.name not in CHANGES or not isinstance(call.arguments, Mapping):
            raise EditError(f"a call of {call.name} is no edit")
        CHANGES[call.name](desk, call.arguments)
    return [edit._replace(file=below(root, edit.file)) for edit in desk.edits()]


def edits_of_diff(text: str, known: Known, root: str = "") -> list[Edit]:
    """Return what a unified diff or a patch changes."""
    desk = _Desk(known, root)
    desk.patch(text)
    return [edit._replace(file=below(root, edit.file)) for edit in desk.edits()]


def below(root: str, file: str) -> str:
    """Return a file's path as seen from the repo's folder."""
    inside = root.rstrip("/") + "/"
    return file.removeprefix(inside) if root else file


class _Desk:
    """The files while the calls are followed."""

    def __init__(self, known: Known, root: str) -> None:
        self._root = root
        self._before = known.texts
        self._touched = known.touched
        self._now: dict[str, str] = dict(known.texts)
        self._made: dict[str, str] = {}
        self._loose: list[Edit] = []

    def edits(self) -> list[Edit]:
        """Return what was changed, file by file."""
        changed = [(file, text) for file, text in self._now.items() if self._before[file] != text]
        found = [edit for file, text in changed for edit in edits_between(file, self._before[file], text)]
        return [*found, *self._loose, *(Edit(file, "", text) for file, text in self._made.items())]

    def edit(self, file: str, old: str, new: str, *, everywhere: bool = False) -> None:
        """Replace a text."""
        if not old:
            self.write(file, new)
        elif file in self._now or file in self._made:
            held = self._now if file in self._now else self._made
            if old not in held[file] or (held[file].count(old) > 1 and not everywhere):
                raise EditError(f"an edit does not fit {file}")
            held[file] = held[file].replace(old, new)
        elif everywhere:
            raise EditError(f"what {file} holds is not known, so that its places cannot be told apart")
        else:
            self._loose.append(Edit(file, old, new))

    def write(self, file: str, text: str) -> None:
        """Write a whole file."""
        if file in self._now:
            self._now[file] = text
        elif file in self._touched or any(edit.file == file for edit in self._loose):
            raise EditError(f"what {file} held before is not known")
        else:
            self._made[file] = text

    def patch(self, text: str) -> None:
        """Apply a diff or a patch."""
        parts = parse_patches(text)
        if not parts:
            raise EditError("a patch changes nothing")
        for part in parts:
            file = next((name for name in self._now if part.file in {name, below(self._root, name)}), part.file)
            held = self._now.get(file, self._made.get(file))
            self.write(file, part.applied(held))


def _edit(desk: _Desk, arguments: Mapping[str, Any]) -> None:
    desk.edit(
        _text(arguments, "filePath", "file_path", "path"),
        _text(arguments, "oldString", "old_string"),
        _text(arguments, "newString", "new_string"),
        everywhere=bool(arguments.get("replaceAll", arguments.get("replace_all"))),
    )


def _many(desk: _Desk, arguments: Mapping[str, Any]) -> None:
    parts = arguments.get("edits")
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
        raise EditError("a call of many edits holds none")
    for part in parts:
        _edit(desk, {**arguments, **part})


def _write(desk: _Desk, arguments: Mapping[str, Any]) -> None:
    desk.write(_text(arguments, "filePath", "file_path", "path"), _text(arguments, "content"))


def _patch(desk: _Desk, arguments: Mapping[str, Any]) -> None:
    desk.patch(_text(arguments, "patchText", "patch", "diff", "input"))


#: Tools that change files, by the names that agents give them.
CHANGES: Mapping[str, Callable[[_Desk, Mapping[str, Any]], None]] = MappingProxyType(
    {
        "edit": _edit,
        "multiedit": _many,
        "write": _write,
        "write_file": _write,
        "patch": _patch,
        "apply_patch": _patch,
    }
)


def _text(arguments: Mapping[str, Any], *names: str) -> str:
    found = next((arguments[name] for name in names if name in arguments), None)
    if not isinstance(found, str):
        raise EditError(f"a call has no text called {names[0]}")
    return found


def _file(call: ToolCall) -> str:
    if not isinstance(call.arguments, Mapping):
        return ""
    return next((str(call.arguments[name]) for name in ("filePath", "file_path", "path") if name in call.arguments), "")


def _shown(result: str, call: ToolCall | None) -> tuple[str, str]:
    """Return the file that a tool's result shows whole, and its text; an empty name when it shows none."""
    found = _READ.match(result)
    file = (found["path"] or (_file(call) if call else "")) if found else ""
    lines = list(_numbered(found["body"])) if found else []
    whole = bool(lines) and [number for number, _ in lines] == list(range(1, len(lines) + 1))
    if not file or not whole or any(len(text) >= _CUT for _, text in lines):
        return "", ""
    return file, "".join(f"{text}\n" for _, text in lines)


def _numbered(body: str) -> Iterator[tuple[int, str]]:
    for line in body.strip("\n").split("\n"):
        held = _NUMBERED.fullmatch(line)
        yield (int(held[1]), held[2]) if held else (0, "")
