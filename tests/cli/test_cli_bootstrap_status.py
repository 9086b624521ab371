"""`flywheel bootstrap status`: the shelf, and the ladder in the words of its guardrails."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cli_house import Said

from flywheel.bootstrap.shelves import Shelf
from flywheel.core.events import Event
from flywheel.core.makings import Making, Recipe
from flywheel.core.outcomes import Message, Signal
from flywheel.store.ledger import append
from flywheel.store.rungs import CLIMBED, PASSED
from flywheel.store.stores import open_store, sqlite_url

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
Say = Callable[..., Said]


@pytest.fixture
def cold(home: Path) -> Path:
    """Settings that switch on a line that climbs, one that plans, and one that stays where it is."""
    text = home.read_text().replace("[bases.main]", '[bases."qwen3-4b"]\npath = "/b"\nserved_as = "q"\n[bases.main]')
    first, _, rest = text.partition("\nlines = ")
    home.write_text(f'{first}\nlines = ["scope", "plan", "tool-calling"]\n{rest.partition(chr(10))[2]}')
    return home


def making(key: str, recipe: Recipe, line: str | None, licence: str) -> Making:
    """Something on the shelf."""
    return Making(
        key=key, recipe=recipe, origin="synthetic", group="g", call_type="scope", at=NOON, model="m",
        messages=(Message(role="user", content="?"),), response="yes", line=line, licence=licence,
        signals=(Signal(name="commit_kept", points=1, strength=0.8),),
    )  # fmt: skip


def ladder(said: Said) -> dict[str, dict[str, Any]]:
    """The lines of a told status, by their names."""
    return {row["line"]: row for row in json.loads(said.out)["lines"]}


def test_the_shelf_is_told_by_recipe_line_and_licence(cold: Path, say: Say) -> None:
    """Examples are counted, not tasks; what is for no line alone is for whoever selects it."""
    assert "nothing on the shelf" in say("bootstrap", "status").out
    with Shelf(cold.parent / "bootstrap.db") as shelf:
        shelf.put({"mine/r/1": [making(key, "mine", None, "MIT") for key in "abc"],
                   "mine/r/2": [making("a", "mine", None, "unknown")],
                   "teach/x": [making("a", "teach", "scope", "MIT")],
                   "gone": [making("a", "import", None, "MIT")]})  # fmt: skip
        shelf.put({"gone": []})
    assert json.loads(say("bootstrap", "status", "--json").out)["shelf"] == [
        {"recipe": "mine", "line": None, "licence": "MIT", "examples": 3},
        {"recipe": "mine", "line": None, "licence": "unknown", "examples": 1},
        {"recipe": "teach", "line": "scope", "licence": "MIT", "examples": 1},
    ]
    assert "whoever selects it" in say("bootstrap", "status").out


def test_the_next_rung_says_what_it_wants(cold: Path, say: Say) -> None:
    """Each guardrail that stands before it in its own words; a line that does not climb says so."""
    told = ladder(say("bootstrap", "status", "--json"))
    assert {name: (row["rung"], row["next"]) for name, row in told.items()} == {
        "scope": (2, 3), "plan": (1, 2), "tool-calling": (3, None),
    }  # fmt: skip
    assert sorted(one.rpartition("(")[2] for one in told["scope"]["wants"]) == [
        "climb-on-own-answers)", "climb-when-proven)",
    ]  # fmt: skip
    assert told["plan"]["wants"] == ["line.passes_on_rung is 0, needs at least 1 (climb-when-proven)"]
    words = say("bootstrap", "status").out
    assert "tool-calling: rung 3 of 4, execution feedback\n  it climbs no further by itself" in words


def test_what_was_earned_is_told(cold: Path, say: Say) -> None:
    """A line stands where it climbed to; one that has earned its next rung waits for the daemon alone."""
    with open_store(sqlite_url(cold.parent / "flywheel.db")) as store, store.write() as session:
        append(session, Event(kind=CLIMBED, at=NOON, line="scope", body={"rung": 3}))
        append(session, Event(kind=PASSED, at=NOON, line="plan", subject="plan@1"))
    told = ladder(say("bootstrap", "status", "--json"))
    assert (told["scope"]["rung"], told["scope"]["next"], told["plan"]["wants"]) == (3, 4, [])
    assert "rung 2, mixed, wants: nothing more: the daemon takes it" in say("bootstrap", "status").out


def test_a_home_without_a_store_is_told_where_its_lines_begin(cold: Path, say: Say) -> None:
    """Before the daemon ran for the first time there is nothing to read, and nothing is made."""
    (cold.parent / "flywheel.db").unlink()
    told = ladder(say("bootstrap", "status", "--json"))
    assert (told["scope"]["rung"], told["plan"]["rung"]) == (2, 1)
    assert not (cold.parent / "flywheel.db").exists()
