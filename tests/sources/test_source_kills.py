"""Killed at any moment while an agent writes: nothing lost, nothing doubled, nothing untrue."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter

import pytest

WRITER = """
import random, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
chance = random.Random(7)
open_tasks = []
for number in range(100_000):
    connection.execute("INSERT INTO task_runs (task_id, created_at) VALUES (?, '2026-01-01T10:00')", (f"t{number}",))
    for step in range(chance.randint(1, 4)):
        connection.execute(
            "INSERT INTO llm_calls (task_id, call_type, model, prompt, response, timestamp) VALUES (?,?,?,?,?,?)",
            (f"t{number}", "act", "m", f"question {number} {chance.randint(0, 2)}", "same", "2026-01-01T10:00:01Z"))
    open_tasks.append(number)
    if len(open_tasks) > 5:
        ended = open_tasks.pop(chance.randrange(len(open_tasks)))
        connection.execute("UPDATE task_runs SET success = ? WHERE task_id = ?", (chance.randint(0, 1), f"t{ended}"))
    time.sleep(0.002)
"""
READER = """
import asyncio, os, sys
from pathlib import Path
import flywheel.store.migrating
from flywheel.core.clocks import SystemClock
from flywheel.sources.run import SourcesRoom
from flywheel.sources.settings import GenericSource
from flywheel.store.stores import open_store, sqlite_url

async def main():
    store = open_store(sqlite_url(Path(sys.argv[2])))
    room = SourcesRoom(store, SystemClock(), [GenericSource(name="agent", path=Path(sys.argv[1]))], dict)
    print(os.getpid(), flush=True)
    while True:
        for proposal in (await room.propose()).proposals:
            await room.perform(proposal.intent, None)

while True:  # a new process each time, without the price of importing everything again
    child = os.fork()
    if child == 0:
        asyncio.run(main())
    os.waitpid(child, 0)
"""
KILLS = 20


def start(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


def kill_readers(database, store):
    """Let a reader work for a moment, kill it, and let the next one go on; 20 times."""
    chance = random.Random(1)
    with start(READER, database, store) as nursery:
        for _ in range(KILLS):
            reader = int(nursery.stdout.readline())
            time.sleep(chance.uniform(0, 0.15))
            os.kill(reader, signal.SIGKILL)
        last = int(nursery.stdout.readline())
        nursery.kill()
        os.kill(last, signal.SIGKILL)


@pytest.mark.asyncio
async def test_twenty_kills_lose_nothing_and_double_nothing(house, agent, tmp_path):
    """After 20 x kill -9 of the reader beside a live writer, store and agent agree to the row and to the label."""
    writer = start(WRITER, agent.path)
    try:
        kill_readers(agent.path, tmp_path / "flywheel.db")
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    while (await house.cycle()) and (await house.proposals()):
        pass
    house.room.ask_full_look()
    (again,) = await house.cycle()
    assert not again.body["new"], "nothing was lost"
    assert not again.body["changed"], "no label was behind"
    with sqlite3.connect(agent.path) as connection:
        written = Counter(row[0] for row in connection.execute("SELECT task_id FROM llm_calls"))
        ends = dict(connection.execute("SELECT task_id, success FROM task_runs").fetchall())
    connection.close()
    stored = house.outcomes()
    assert Counter(one.outcome.task for one in stored) == written
    assert len(stored) > 100
    for one in stored:
        if ends[one.outcome.task] is None:
            assert one.outcome.labelled.label.value == "unknown"
    last = {one.outcome.task: one.outcome.labelled.label.value for one in stored}
    assert all(last[task] == ("positive" if end else "negative") for task, end in ends.items() if end is not None)
