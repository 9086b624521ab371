"""What each turn of a session is about: its programming language. Pure."""

import re

from flywheel.sources.languages import Evidence, language_of
from flywheel.sources.opencode_records import AGENTS, EDITORS, READERS, SHELLS, Entry, Session, ToolUse
from flywheel.sources.opencode_turns import Turn

_PATCHED = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$", re.MULTILINE)
_SEARCHES = frozenset({"grep", "glob", "list"})


def tags_of(session: Session, turn: Turn) -> tuple[str, ...]:
    """Return the tags of a turn's answers: one language, or none where nothing tells or it is mixed."""
    entries = [session.entries[place] for place in (*([turn.ask] if turn.ask >= 0 else []), *turn.entries)]
    language = language_of(evidence_of(entries))
    return (f"language:{language}",) if language else ()


def evidence_of(entries: list[Entry]) -> Evidence:
    """Return what was touched, run and printed."""
    tools = [tool for entry in entries for tool in entry.tools]
    edited = [path for tool in tools if tool.name in EDITORS for path in _paths(tool)]
    changed = [path for entry in entries for path in entry.changed]
    read = [tool.path for tool in tools if tool.name in READERS]
    searched = [_pattern(tool) for tool in tools if tool.name in _SEARCHES]
    attached = [path for entry in entries for path in entry.attached]
    printed = [tool.output for tool in tools if tool.name in SHELLS | _SEARCHES | AGENTS]
    return Evidence(
        edited=tuple(edited or changed),
        read=tuple(path for path in (*read, *searched, *attached) if path),
        commands=tuple(tool.command for tool in tools if tool.command),
        printed=tuple(printed),
    )


def _paths(tool: ToolUse) -> list[str]:
    patch = tool.arguments.get("patchText", tool.arguments.get("patch"))
    return [*([tool.path] if tool.path else []), *(_PATCHED.findall(patch) if isinstance(patch, str) else ())]


def _pattern(tool: ToolUse) -> str:
    held = tool.arguments.get("include", tool.arguments.get("pattern"))
    return held if isinstance(held, str) else ""
