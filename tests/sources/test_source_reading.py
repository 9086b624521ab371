"""Ingestion: everything once, labels follow the evidence, nothing new costs nothing."""

import json

import pytest

from flywheel.core.lines import Line, Select
from flywheel.core.outcomes import Label
from flywheel.sources import looks
from flywheel.sources.settings import GenericSource

pytestmark = pytest.mark.asyncio


async def test_a_finished_task_becomes_labelled_outcomes(house, agent, chat):
    """A task's calls are stored with messages, group, session, line and label; the event counts them."""
    agent.task("t1", 1, session="s1", repo="r1")
    agent.call("t1", messages=chat(("system", "be brief"), ("user", "read a.py")), prompt=None, response="ok")
    await house.cycle()
    (stored,) = house.outcomes()
    outcome = stored.outcome
    assert (outcome.task, outcome.session, outcome.group, outcome.line) == ("t1", "s1", "r1", "tool-calling")
    assert [m.role for m in outcome.messages] == ["system", "user"]
    assert outcome.labelled.label is Label.POSITIVE
    (event,) = house.events("sources.outcomes_ingested")
    assert event.body["labels"] == {"positive": 1}
    assert event.body["lines"] == {"tool-calling": 1}
    assert house.counters("line:tool-calling") == {"outcomes_positive": 1}


async def test_nothing_new_proposes_nothing(house, agent):
    """After everything was read a cycle proposes nothing until the database is written again."""
    agent.task("t1", 1)
    agent.call("t1")
    await house.cycle()
    assert await house.proposals() == 0
    agent.call("t1", prompt="more")
    assert await house.proposals() == 1


async def test_reading_again_stores_nothing_twice(house, agent):
    """A restart, a full look and a lost cursor leave each outcome once, unrevised."""
    for number in range(5):
        agent.task(f"t{number}", number % 2)
        agent.call(f"t{number}")
        agent.call(f"t{number}")
    await house.cycle()
    house.room.close()
    house.room = house.new_room()
    await house.cycle()
    house.room.ask_full_look()
    (done,) = await house.cycle()
    assert not done.changed
    assert len(house.outcomes()) == 10
    assert {stored.revision for stored in house.outcomes()} == {1}


async def test_a_label_follows_the_task(house, agent):
    """No row, then an open row, then success, then failure: unknown, unknown, positive, negative, each a revision."""
    agent.call("t1")
    await house.cycle()
    assert house.labels() == {"unknown": 1}
    agent.task("t1")
    await house.cycle()
    assert house.labels() == {"unknown": 1}
    agent.settle("t1", 1)
    await house.cycle()
    assert house.labels() == {"positive": 1}
    agent.settle("t1", 0)
    await house.cycle()
    assert house.labels() == {"negative": 1}
    (stored,) = house.outcomes()
    assert (stored.revision, stored.considered) == (3, False)
    assert house.counters("line:tool-calling") == {
        "outcomes_negative": 1, "outcomes_positive": 0, "outcomes_unknown": 0,
    }  # fmt: skip


async def test_a_task_that_ends_long_after_newer_ones_is_found(house, agent, monkeypatch):
    """An open task is asked about again even when many newer tasks came since."""
    monkeypatch.setattr(looks, "RECENT_TASKS", 3)
    monkeypatch.setattr(looks, "PENDING_A_LOOK", 4)
    for number in range(12):
        agent.task(f"t{number}")
        agent.call(f"t{number}")
    await house.cycle()
    agent.settle("t0", 1)
    for _ in range(4):
        await house.cycle()
        agent.run("UPDATE task_runs SET repo = 'r' WHERE task_id = 't11'")
    assert house.labels() == {"positive": 1, "unknown": 11}


async def test_a_full_look_finds_what_changed_long_ago(house, agent, monkeypatch):
    """A label that changed on an old, ended task is found by the full look."""
    monkeypatch.setattr(looks, "RECENT_TASKS", 2)
    for number in range(6):
        agent.task(f"t{number}", 1)
        agent.call(f"t{number}")
    await house.cycle()
    agent.settle("t0", 0)
    await house.cycle()
    house.room.ask_full_look()
    await house.cycle()
    assert house.labels() == {"negative": 1, "positive": 5}


async def test_a_deleted_task_row_takes_nothing_back(house, agent):
    """When the agent prunes a task's row, what was known of it stays known."""
    agent.task("t1", 1)
    agent.call("t1")
    await house.cycle()
    agent.run("DELETE FROM task_runs")
    house.room.ask_full_look()
    await house.cycle()
    assert house.labels() == {"positive": 1}


async def test_reused_row_numbers_hide_nothing(house, agent):
    """When rows are deleted and their numbers used again, the new rows are read all the same."""
    agent.task("t1", 1)
    agent.call("t1", prompt="one")
    agent.call("t1", prompt="two")
    await house.cycle()
    agent.run("DELETE FROM llm_calls")
    agent.task("t2", 1)
    agent.call("t2", prompt="three")
    agent.call("t2", prompt="four")
    await house.cycle()
    assert {m.outcome.messages[0].content for m in house.outcomes()} == {"one", "two", "three", "four"}


@pytest.mark.parametrize("indexed", [True, False])
async def test_batches_add_up(house, agent, monkeypatch, indexed):
    """Bounded batches with interleaved tasks bring everything, with and without an index."""
    if not indexed:
        agent.run("DROP INDEX llm_calls_task")
    monkeypatch.setattr(looks, "ROWS_A_BATCH", 7)
    monkeypatch.setattr(looks, "TASKS_A_BATCH", 3)
    monkeypatch.setattr(looks, "BYTES_A_BATCH", 400)
    for attempt in range(2):
        for number in range(10):
            agent.call(f"t{number}", prompt=f"q{attempt}", response="x" * 90)
    for number in range(10):
        agent.task(f"t{number}", 1)
    while await house.cycle():
        pass
    assert house.labels() == {"positive": 10, "unknown": 10}


async def test_equal_calls_are_told_apart(house, agent):
    """The same question answered alike twice is two outcomes: the retry and the one before it."""
    agent.task("t1", 1)
    agent.call("t1")
    agent.call("t1")
    await house.cycle()
    assert house.labels() == {"negative": 1, "positive": 1}


async def test_a_call_still_being_answered_waits(house, agent):
    """A call without a response is not stored before its task has ended."""
    agent.task("t1")
    agent.call("t1", response=None)
    await house.cycle()
    assert house.outcomes() == []
    agent.run("UPDATE llm_calls SET response = 'there'")
    agent.settle("t1", 1)
    await house.cycle()
    assert house.labels() == {"positive": 1}


async def test_an_outcome_two_lines_want_goes_to_neither(house, agent):
    """Ambiguous and unselected outcomes teach nobody and are counted; when the lines change they find their line."""
    agent.task("t1", 1)
    agent.call("t1")
    agent.call("t1", call_type="plan")
    house.lines["other"] = Line(name="other", why="w", base="b", select=Select(call_types=("act",)))
    await house.cycle()
    (event,) = house.events("sources.outcomes_ingested")
    assert event.body["unassigned"] == {"more than one line selects it": 1, "no line selects it": 1}
    assert {stored.outcome.line for stored in house.outcomes()} == {None}
    del house.lines["other"]
    await house.cycle()
    assert {stored.outcome.line for stored in house.outcomes()} == {None, "tool-calling"}


async def test_a_secret_keeps_the_whole_record_out(house, agent):
    """A record with a secret is quarantined by rule; neither store nor ledger holds the secret; its place counts."""
    secret = "gh" + "p_" + "aB3dE6gH9" * 4
    agent.task("t1", 1)
    agent.call("t1", prompt="first")
    agent.call("t1", prompt=f"use {secret}")
    await house.cycle()
    (event,) = house.events("sources.row_quarantined")
    assert event.body["rule"] == "github-token"
    assert house.labels() == {"unknown": 1}, "the one before does not become the last attempt"
    assert secret.encode() not in b"".join(f.read_bytes() for f in agent.path.parent.glob("flywheel.db*"))
    house.room.ask_full_look()
    await house.cycle()
    assert len(house.events("sources.row_quarantined")) == 1


async def test_native_tool_calls_become_text(house, agent):
    """A stored message object with native tool calls is learned in the form chat templates write."""
    call = {"function": {"name": "read_file", "arguments": '{"path": "a.py"}'}}
    agent.task("t1", 1)
    agent.call("t1", response=json.dumps({"role": "assistant", "content": None, "tool_calls": [call]}))
    await house.cycle()
    (stored,) = house.outcomes()
    assert stored.outcome.response == '<tool_call>\n{"name": "read_file", "arguments": {"path": "a.py"}}\n</tool_call>'


async def test_other_column_names_are_found_or_mapped(store, tmp_path, house):
    """The usual names are found by themselves; others are mapped in the settings."""
    agent = type(house)  # the class, to build a second house
    import sqlite3

    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE runs (run_id INTEGER PRIMARY KEY, passed INTEGER, started_at REAL);"
        "CREATE TABLE steps (run_id INTEGER, stage TEXT, model_name TEXT, input TEXT, said TEXT, created_at REAL);"
        "INSERT INTO runs VALUES (1, 1, 1767225600); INSERT INTO steps VALUES (1, 'act', 'm', 'go', 'yes', 1767225601);"
    )
    connection.commit()
    settings = GenericSource(
        name="other", path=path, tasks_table="runs", calls_table="steps", call_columns={"response": "said"}
    )
    second = agent(store, settings)
    second.room.check()
    await second.cycle()
    assert second.labels() == {"positive": 1}
    second.room.close()
    connection.close()
