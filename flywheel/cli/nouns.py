"""The groups of one noun each: what lists it, what shows it, what else can be done with it; imported when typed."""

from collections.abc import Mapping
from typing import NamedTuple

import typer

from flywheel.cli.late_commands import found


class Ways(NamedTuple):
    """Where a noun's own ways of listing and showing stand, and what adds more commands; empty where it has none."""

    lists: str = ""
    shows: str = ""
    adds: tuple[str, ...] = ()


WAYS: Mapping[str, Ways] = {
    "outcomes": Ways("outcomes:list_", "outcomes:show"),
    "examples": Ways("examples:list_", "examples:show", ("evidence:add_to",)),
    "datasets": Ways("", "profiles:show", ("datasets:add_to", "freezes:add_to")),
    "runs": Ways("", "trainings:show", ("trainings:add_to",)),
    "adapters": Ways(
        "registries:list_",
        "registries:show",
        (
            "requests:add_to",
            "contests:add_to",
            "fusions:add_to",
            "foreigners:add_to",
            "exports:add_to",
            "prunings:add_to",
        ),
    ),
    "suites": Ways("suites:list_", "suites:show", ("suites:add_to",)),
    "reports": Ways("", "journals:show", ("comparisons:add_to", "journals:add_to")),
    "releases": Ways(),
    "requests": Ways(),
    "jobs": Ways(),
    "quarantine": Ways(),
}


def app_of(noun: str) -> typer.Typer:
    """Return the commands of a noun."""
    ways = WAYS[noun]
    own = [found(place) if place else None for place in (ways.lists, ways.shows)]
    app: typer.Typer = found("listings:noun_app")(noun, *own)
    for place in ways.adds:
        found(place)(app)
    return app
