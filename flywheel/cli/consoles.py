"""Where words for people go: standard output and standard error, in colours where a person looks."""

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console

_NO_TERMINAL = 160  # columns, where nobody says how many there are


class Colour(StrEnum):
    """When to write in colours: where a person looks and NO_COLOR does not forbid it, always, or never."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def _given(wanted: Colour = Colour.AUTO, *, stderr: bool = False) -> dict[str, Any]:
    """Return what a console is made with."""
    person = (sys.stderr if stderr else sys.stdout).isatty()
    colours: dict[Colour, dict[str, Any]] = {
        Colour.AUTO: {},
        Colour.ALWAYS: {"force_terminal": True, "no_color": False, "color_system": "256"},
        Colour.NEVER: {"color_system": None},
    }
    return {"stderr": stderr, "highlight": False, "width": None if person else _NO_TERMINAL, **colours[wanted]}


out = Console(soft_wrap=True, **_given())
err = Console(soft_wrap=True, **_given(stderr=True))


def paint(wanted: Colour | None) -> Colour | None:
    """Write in colours as a person wants it; what they say wins over the environment."""
    for console in (out, err) if wanted is not None else ():
        # Every module holds these two already: they are made anew where they are.
        Console.__init__(console, soft_wrap=True, **_given(wanted or Colour.AUTO, stderr=console is err))
    return wanted


def screen(wanted: Colour | None) -> Console:
    """Return standard output as a place that is drawn upon, where lines are broken at its width."""
    return Console(**_given(wanted or Colour.AUTO))


Painted = Annotated[
    Colour | None, typer.Option("--color", callback=paint, help="Write in colours; auto looks where it writes.")
]
