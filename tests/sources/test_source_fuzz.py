"""Whatever stands in an agent's records: nothing crashes, what cannot be read is named, and its neighbours are read."""

import json
import os
import random
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

import fuzzing
import pytest

from flywheel.core.attempts import Retry
from flywheel.core.clocks import ManualClock
from flywheel.core.lines import Line
from flywheel.sources.probes import probe_source
from flywheel.sources.run import SourcesRoom
from flywheel.sources.settings import (
    CleanRoomSource,
    FleetSource,
    GenericSource,
    OpencodeSource,
    ToolEventsSource,
)
from flywheel.store.ledger import events
from flywheel.store.outcomes import list_outcomes
from flywheel.store.stores import open_store, sqlite_url

ROWS = 10_000
FILES = 200
MOST_CYCLES = 200


@pytest.fixture
def memory():
    """A folder in memory where there is one: thousands of commits need not reach a disk here."""
    root = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=root if os.access(root, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def store(memory):
    """A store there."""
    with open_store(sqlite_url(memory / "flywheel.db")) as opened:
        yield opened


async def drain(store, source, capture=None):
    """Read a source until nothing is left; return its outcomes and what was told about it."""
    lines = {"all": Line(name="all", why="w", base="b")}
    room = SourcesRoom(store, ManualClock(), [source], lambda: lines, capture)
    for _ in range(MOST_CYCLES):
        plan = await room.propose()
        if not plan.proposals:
            break
        attempts = [await room.perform(proposal.intent, None) for proposal in plan.proposals]
        if all(isinstance(attempt, Retry) for attempt in attempts):
            break  # the daemon tries again later
    else:
        pytest.fail(f"{source.name} is never read to its end")
    room.close()
    with store.read() as session:
        found = [one.outcome for one in list_outcomes(session, limit=100_000) if one.outcome.source == source.name]
        told = [event for event in events(session, kinds=_KINDS, limit=100_000) if event.subject == source.name]
    for outcome in found:
        json.dumps(outcome.extra, allow_nan=False)  # not every database takes what is no number
    return found, told


_KINDS = ("sources.row_quarantined", "sources.source_failed")


def check(told):
    """Every loss has a rule and a reason in words, and nothing of what was refused."""
    for event in told:
        assert fuzzing.MARK not in str(event.body), event.body
        assert all(isinstance(word, str) and word for word in event.body.values()) or event.body.get("mend") == ""
    return {event.body.get("rule") for event in told}


async def generic(store, folder, seed):
    """Each call is an outcome or refused by its row."""
    rows = fuzzing.generic(folder / "a.db", fuzzing.Odd(seed), 300, 3000)
    found, told = await drain(store, GenericSource(name="generic", path=folder / "a.db"))
    stored = {outcome.extra["prompt_tokens"] for outcome in found}
    refused = {int(event.body["reason"].split("row ")[1].split(":")[0]) for event in told}
    connection = sqlite3.connect(folder / "a.db")
    open_calls = {row for (row,) in connection.execute("SELECT rowid FROM llm_calls WHERE response IS NULL")}
    connection.close()
    assert stored | refused | open_calls == set(range(1, 3001))
    assert not stored & refused
    assert {"not-utf8", "wrong-type", "no-question", "no-time", "no-task", "private-key"} <= check(told)
    return rows


async def clean_room(store, folder, seed):
    """Each call of a clean-room agent is an outcome or refused."""
    rows = fuzzing.clean_room(folder, fuzzing.Odd(seed), 210)
    found, told = await drain(store, CleanRoomSource(name="clean", path=folder / "raw.sqlite"))
    connection = sqlite3.connect(folder / "raw.sqlite")
    (calls,) = connection.execute("SELECT count(*) FROM retrieval_llm_calls").fetchone()
    connection.close()
    assert len(found) + len(told) == calls
    check(told)
    return rows


async def opencode(store, folder, seed):
    """Sessions of either schema, and of the files before them."""
    rows = fuzzing.opencode(folder / "v1.db", fuzzing.Odd(seed), 80)
    rows += fuzzing.opencode_next(folder / "v2.db", fuzzing.Odd(seed + 1), 120)
    rows += fuzzing.opencode_files(folder / "storage", fuzzing.Odd(seed + 2), 60)
    for name in ("v1.db", "v2.db", "storage"):
        found, told = await drain(store, OpencodeSource(name=name, path=folder / name))
        assert found or told
        check(told)
    return rows


async def fleet(store, folder, seed):
    """Each call is an outcome or refused by its line."""
    rows = fuzzing.fleet(folder / "runs", fuzzing.Odd(seed), 230)
    found, told = await drain(store, FleetSource(name="fleet", path=folder / "runs"))
    check(told)
    assert len(found) > 100
    written = 230 * 2
    torn = sum(1 for event in told if event.body["rule"] in {"not-json", "not-utf8", "too-deep", "not-object"})
    others = [event for event in told if event.body["rule"] not in {"not-json", "not-utf8", "too-deep", "not-object"}]
    assert written - torn <= len(found) + len(others) <= written
    return rows


async def tool_events(store, folder, seed):
    """Each call is an outcome or refused by its line."""
    rows = fuzzing.tool_events(folder / "events", fuzzing.Odd(seed), 280)
    found, told = await drain(store, ToolEventsSource(name="events", path=folder / "events"))
    check(told)
    assert len(found) > 100
    return rows


async def capture(store, folder, seed):
    """Calls of the gateway, and outcomes that may be joined to them."""
    rows = fuzzing.capture(folder / "capture.db", fuzzing.Odd(seed), 500)
    rows += fuzzing.generic(folder / "a.db", fuzzing.Odd(seed), 50, 200)
    found, told = await drain(store, GenericSource(name="agent", path=folder / "a.db"), folder / "capture.db")
    check(told)
    assert found
    return rows


SHARES = {
    generic: 3000,
    clean_room: 2500,
    opencode: 2000,
    fleet: 1500,
    tool_events: 1500,
    capture: 700,
}  # rows, at least


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", SHARES, ids=lambda kind: kind.__name__)
async def test_odd_rows_crash_nothing(store, memory, kind):
    """Rows of every kind with odd values: no crash, no endless reading, every loss named, nothing of it told."""
    assert sum(SHARES.values()) >= ROWS
    assert await kind(store, memory, 1000) >= SHARES[kind]


def sound(folder):
    """A sound database of each kind, small."""
    odd = fuzzing.Odd(1)
    fuzzing.generic(folder / "generic.db", odd, 10, 80)
    fuzzing.clean_room(folder, odd, 3)
    fuzzing.opencode(folder / "opencode.db", odd, 4)
    for name in ("generic.db", "raw.sqlite", "opencode.db"):
        connection = sqlite3.connect(folder / name)
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.close()
    return [
        (folder / "generic.db", GenericSource), (folder / "raw.sqlite", CleanRoomSource),
        (folder / "opencode.db", OpencodeSource),
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_two_hundred_damaged_files_crash_nothing(store, memory):
    """Bits, pages, headers and schemas that are wrong: read as far as it goes, or named; a probe says so in words."""
    bases = sound(memory)
    begun = time.monotonic()
    spoken = 0
    for number in range(FILES):
        base, kind = bases[number % len(bases)]
        folder = memory / f"f{number}"
        folder.mkdir()
        path = folder / base.name
        if number % 4 == 3:
            shutil.copy(base, path)
            fuzzing.reshaped(path, random.Random(number))
        else:
            path.write_bytes(fuzzing.damaged(base.read_bytes(), number))
        found, told = await drain(store, kind(name=f"file-{number}", path=path))
        check(told)
        spoken += bool(found or told)
        assert probe_source(path).words
        assert probe_source(path, kind=kind(name="x", path=path).kind).words
    assert spoken > FILES * 0.9  # some are left without a row to speak of
    assert time.monotonic() - begun < 60
