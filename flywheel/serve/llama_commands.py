"""The command line of llama-server, written anew whenever other adapters are to be held. Pure.

llama-server takes adapters only at its start and calls them by number, in the order of its `--lora`s.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flywheel.core.frozen import Frozen

#: Said for what it means; it was seen to change nothing, so that every request says every scale: `with_scales`.
_UNAPPLIED = "--lora-init-without-apply"
_PLACES = ("{adapter}", "{base}", "{gguf}")


class Held(Frozen):
    """An adapter that llama-server is started with: its name, where it came from, and its GGUF."""

    name: str
    path: str
    gguf: str


class Shelf(Frozen):
    """What llama-server is started with, in the order of its numbers."""

    held: tuple[Held, ...] = ()

    def find(self, name: str) -> Held | None:
        """Return the adapter of a name."""
        return next((one for one in self.held if one.name == name), None)

    def having(self, more: Held) -> "Shelf":
        """Return it with one more, at the end: the others keep their numbers."""
        return Shelf(held=(*(one for one in self.held if one.name != more.name), more))

    def without(self, name: str) -> "Shelf":
        """Return it without an adapter."""
        return Shelf(held=tuple(one for one in self.held if one.name != name))

    @property
    def ggufs(self) -> list[str]:
        """Return the files, in order."""
        return [one.gguf for one in self.held]


def command_line(command: Sequence[str], shelf: Shelf) -> list[str]:
    """Return an operator's command with the adapters added."""
    adapters = [word for gguf in shelf.ggufs for word in ("--lora", gguf)]
    return [*command, *adapters, *([_UNAPPLIED] if adapters else [])]


def script(command: Sequence[str], shelf: Shelf) -> bytes:
    """Return the script that becomes llama-server: what a unit or a supervisor starts."""
    names = ", ".join(one.name for one in shelf.held) or "none"
    head = f"#!/bin/sh\n# Written by flywheel, and written over: see docs/serving.md. Adapters: {names}\n"
    return f"{head}exec {shlex.join(command_line(command, shelf))}\n".encode()


def filled(template: Sequence[str], adapter: Path, base: Path, gguf: Path) -> list[str]:
    """Return the converter's command for one adapter."""
    told = dict(zip(_PLACES, map(str, (adapter, base, gguf)), strict=True))
    return [told.get(word, word) for word in template]


def numbers(listed: Sequence[Mapping[str, Any]], shelf: Shelf) -> dict[str, int] | None:
    """Return each adapter's number by what the server lists; None unless it lists exactly what it should."""
    found = {str(entry.get("path")): entry.get("id") for entry in listed}
    ids = [found.get(gguf) for gguf in shelf.ggufs]
    if len(listed) != len(shelf.held) or not all(isinstance(number, int) for number in ids):
        return None
    return {one.name: int(number) for one, number in zip(shelf.held, ids, strict=True) if number is not None}


def with_scales(fields: Mapping[str, Any], number: int | None, count: int) -> dict[str, Any]:
    """Return a request that one adapter answers, or none of them; every scale is said, whatever was set before."""
    scales = [{"id": one, "scale": 1.0 if one == number else 0.0} for one in range(count)]
    return {**fields, "lora": scales} if scales else {name: fields[name] for name in fields if name != "lora"}
