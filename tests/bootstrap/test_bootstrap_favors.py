"""What a commit preferred, and which commits handle errors better."""

import asyncio
from datetime import UTC, datetime

import pytest

from flywheel.bootstrap.derivations import derive
from flywheel.bootstrap.favors import favors_of
from flywheel.bootstrap.improvements import (
    CHAINED,
    LESS_BLIND,
    NARROWED,
    NOT_SWALLOWED,
    OWN_ERROR,
    improvements_of,
)
from flywheel.bootstrap.mined_commits import FileChange, MinedCommit
from flywheel.bootstrap.shelves import Shelf
from flywheel.core.clocks import ManualClock
from flywheel.core.lines import Line, Select
from flywheel.curate.pairings import pairs_among
from flywheel.sources.run import SourcesRoom
from flywheel.store.outcomes import list_outcomes

OLD = "def f(x):\n    try:\n        return g(x)\n    except:\n        return None\n\n\ndef same():\n    return 1\n"
NEW = OLD.replace("except:", "except KeyError:").replace("def same():\n    return 1", "def same():\n    return  1")


def commit(before, after, path="a.py"):
    change = FileChange(path, path, before, after)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return MinedCommit("r", "c" * 40, at, "Name the error that is caught", (change,), (path,), {path: before}.get)


def test_a_function_that_was_written_anew_is_preferred_to_what_it_was():
    """One question, two answers, the better one the later; a change of spaces alone is none."""
    (favor,) = favors_of(commit(OLD, NEW))
    assert (favor.symbol.name, favor.improves) == ("f", (NARROWED,))
    after, before = [one for one in derive(commit(OLD, NEW)) if one.call_type == "execute_function_implement"]
    assert after.messages == before.messages
    assert ("except KeyError" in after.response, "except:" in before.response) == (True, True)
    assert (after.signals[0].points, before.signals[0].points) == (1, -1)
    assert (after.chain, after.about["improves"]) == ("", [NARROWED])


def test_what_was_preferred_becomes_a_pair_by_the_door_of_all_outcomes(tmp_path, store):
    """At a line's usual certainty: the code before the commit is rejected, the code after it is chosen."""
    line = Line(name="code", why="w", base="b", select=Select(call_types=("execute_function_implement",)))
    with Shelf(tmp_path / "bootstrap.db") as shelf:
        shelf.put({"mine/r/c": derive(commit(OLD, NEW))})
    room = SourcesRoom(store, ManualClock(), [], lambda: {"code": line}, None, tmp_path / "bootstrap.db")
    asyncio.run(looked(room))
    room.close()
    with store.read() as session:
        found = [row.outcome for row in list_outcomes(session, limit=100) if row.outcome.line == "code"]
    (pair,) = pairs_among(line, "question:q", found)
    told = {one.key: one.response for one in found}
    assert ("except KeyError" in told[pair.chosen], "except:" in told[pair.rejected]) == (True, True)


async def looked(room):
    for proposal in (await room.propose()).proposals:
        await room.perform(proposal.intent, None)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("try:\n  a()\nexcept:\n  b()", "try:\n  a()\nexcept OSError:\n  b()", (NARROWED,)),
        ("try:\n  a()\nexcept Exception:\n  b()", "try:\n  a()\nexcept OSError:\n  b()", (LESS_BLIND,)),
        ("raise Exception('x')", "raise OddError('x')", (OWN_ERROR,)),
        ("try:\n  a()\nexcept OSError:\n  raise E()", "try:\n  a()\nexcept OSError as e:\n  raise E() from e",
         (CHAINED,)),
        ("try:\n  a()\nexcept OSError:\n  pass", "try:\n  a()\nexcept OSError:\n  log()", (NOT_SWALLOWED,)),
        ("try:\n  a()\nexcept:\n  pass", "a()", ()),
        ("raise Exception('x')", "", ()),
        ("x = 1", "x = 2", ()),
        ("def f(:", "x = 2", ()),
        ("try:\n  a()\nexcept OSError:\n  b()", "try:\n  a()\nexcept:\n  b()", ()),
    ],
)  # fmt: skip
def test_better_handling_of_errors_is_found(before, after, found):
    """Each kind by what it is; what was taken away, or became worse, improved nothing."""
    assert improvements_of(before, after) == found


def test_few_of_a_commit_and_the_improved_ones_first():
    """At most three; another language than Python has favors without improvements."""
    old = "".join(f"def f{n}():\n    raise Exception({n})\n\n" for n in range(6))
    new = old.replace("raise Exception(5)", "raise OddError(5)").replace("(1)", "(10)").replace("(2)", "(20)")
    found = favors_of(commit(old, new.replace("(3)", "(30)")))
    assert [favor.symbol.name for favor in found] == ["f5", "f1", "f2"]
    script = favors_of(commit("function f() { return 1 }", "function f() { return 2 }", "a.js"))
    assert [(favor.symbol.name, favor.improves) for favor in script] == [("f", ())]
