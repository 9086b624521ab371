"""Writes what the reference pages say of events, intents and facts anew from the registries: `make docs`.

A row that is there keeps its place and gets the registry's words; one that is missing is added to the table of its
room; one that nothing is called any more goes. Of settings and commands, whose rows people write, it says what is
missing.
"""

import re
import sys
from pathlib import Path

import documents as d

from flywheel.core.events import EVENTS
from flywheel.core.facts import FACTS
from flywheel.core.intents import INTENTS

_ROW = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \|.*$", re.MULTILINE)
#: What the documents call the kinds of facts.
_TYPES = {bool: "true or false", int: "whole number", float: "number", str: "text"}


def pages():
    """Return each page with its text as it should be."""
    events, policies = d.text("docs/events.md"), d.text("docs/policies.md")
    head, mark, intents = events.partition("## Intents\n")
    return {
        "docs/events.md": _by_room(head, EVENTS) + mark + _table(intents, _two_cells(INTENTS)),
        "docs/policies.md": _table(_table(policies, _two_cells(INTENTS)), _fact_rows()),
    }


def _two_cells(names):
    return {name: f"| `{name}` | {meaning} |" for name, meaning in names.items()}


def _fact_rows():
    return {name: f"| `{name}` | {_TYPES[fact.type]} | {fact.meaning} |" for name, fact in FACTS.items()}


def _by_room(text, names):
    """Return the sections of rooms, each with its own rows."""
    parts = re.split(r"(?m)^(?=## )", text)
    for number, part in enumerate(parts[1:], 1):
        room = part.partition("\n")[0].removeprefix("## ").strip().lower()
        parts[number] = _table(part, _two_cells({n: m for n, m in names.items() if n.startswith(f"{room}.")}))
    return "".join(parts)


def _table(text, rows):
    """Return a text whose table of these names holds exactly them."""
    ours = [row for row in _ROW.finditer(text) if row[1] in rows]
    if not ours:
        return text
    start, end = ours[0].start(), ours[-1].end()
    rooms = {name.partition(".")[0] for name in rows}
    inner = _ROW.sub(lambda row: _renewed(row, rows, rooms), text[start:end])
    missing = [row for name, row in rows.items() if f"| `{name}` |" not in inner]
    return text[:start] + "\n".join([line for line in inner.splitlines() if line] + missing) + text[end:]


def _renewed(row, rows, rooms):
    """Return a row with the registry's words in its last cell; nothing for a name that is no more."""
    if row[1] not in rows:
        return "" if row[1].partition(".")[0] in rooms else row[0]
    before = row[0].removesuffix(" |").rpartition(" | ")[0]
    return f"{before} | {rows[row[1]].removesuffix(' |').rpartition(' | ')[2]} |"


if __name__ == "__main__":
    for page, text in pages().items():
        if text != d.text(page):
            Path(d.ROOT / page).write_text(text, encoding="utf-8")
            sys.stdout.write(f"written: {page}\n")
