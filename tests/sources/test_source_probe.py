"""Probing: a person sees what a database holds before it is watched."""

import json
import os
import sqlite3

from flywheel.core.lines import Line, Select
from flywheel.sources.probes import probe_source


def test_a_probe_tells_what_is_there(agent):
    """Columns, counts, labels and refusals are told, and nothing is stored."""
    agent.task("a", 1)
    agent.call("a")
    agent.task("b")
    agent.call("b", messages="[{")
    report = probe_source(agent.path)
    assert (report.readable, report.tasks, report.outcomes) == (True, 2, 1)
    assert (report.labels, report.refused) == ({"positive": 1}, {"not-json": 1})
    assert report.call_columns["at"] == "timestamp"
    assert "2 tasks, 1 calls" in report.words


def test_a_probe_of_nothing_says_why(tmp_path):
    """A path that cannot be read is told with the way to mend it."""
    (tmp_path / "x.db").write_text("no database " * 100)
    assert "is not an SQLite database" in probe_source(tmp_path / "x.db").words
    assert "there is no such file" in probe_source(tmp_path / "y.db").words
    (tmp_path / "empty.db").touch()
    assert "there is no table task_runs" in probe_source(tmp_path / "empty.db").words


def lines_of(text):
    """A file of JSON lines."""
    return "".join(json.dumps(value) + "\n" for value in text)


def database(path, *statements):
    """A database made of these."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return path


def test_each_kind_is_found_out(tmp_path):
    """A folder or file is told by what stands in it, with the place a source of it would be given."""
    (tmp_path / "fleet" / "runs").mkdir(parents=True)
    run = [
        {"type": "run_start", "run_id": "run-a", "problem_id": "p"},
        {
            "type": "vllm_call",
            "ts": "2026-01-01T10:00:00Z",
            "input": [{"role": "user", "content": "add"}],
            "output": "x",
        },
    ]
    (tmp_path / "fleet" / "runs" / "run-a.jsonl").write_text(lines_of(run))
    report = probe_source(tmp_path / "fleet")
    assert (report.kind, report.source, report.outcomes) == ("fleet", str(tmp_path / "fleet" / "runs"), 1)
    assert report.tags == {"domain:python": {"unknown": 1}}
    events = [{"event": "tool_call", "at": "2026-01-01T10:00:00Z", "prompt": "go", "tool": "ls", "arguments": {}}]
    (tmp_path / "events" / "shop").mkdir(parents=True)
    (tmp_path / "events" / "shop" / "s1.jsonl").write_text(lines_of(events))
    report = probe_source(tmp_path / "events")
    assert (report.kind, report.tasks, report.outcomes) == ("tool-events", 1, 1)
    wrong = probe_source(tmp_path / "events" / "shop" / "s1.jsonl")
    assert "one session of a tool-calling agent" in wrong.words
    assert str(tmp_path / "events") in wrong.mend
    assert "one run of a fleet" in probe_source(tmp_path / "fleet" / "runs" / "run-a.jsonl").words


def test_what_is_no_source_is_told_as_what_it_is(tmp_path):
    """Our own files, a fleet's database and a curated database are named, with what to name instead."""
    cases = {
        "flywheel's own store": ["CREATE TABLE ledger (x)", "CREATE TABLE outcomes (x)", "CREATE TABLE cursors (x)"],
        "gateway's own capture": ["CREATE TABLE calls (alias, arm, session)"],
        "cuts inputs and outputs": ["CREATE TABLE runs (x)", "CREATE TABLE calls (input_preview)",
                                    "CREATE TABLE validations (x)"],
        "curated database": ["CREATE TABLE adapter_metadata (x)"],
        "no agent that is known": ["CREATE TABLE poems (x)"],
    }  # fmt: skip
    for number, (words, statements) in enumerate(cases.items()):
        report = probe_source(database(tmp_path / f"{number}.db", *statements))
        assert not report.readable
        assert words in report.words
    (tmp_path / "none").mkdir()
    assert "holds nothing of an agent" in probe_source(tmp_path / "none").words
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in probe_source(tmp_path / "pipe").words
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "cannot be reached" in probe_source(tmp_path / "loop").words


def test_outcomes_are_given_to_the_lines_of_the_operator(agent):
    """With lines the report tells which of them would get what, and what nobody gets."""
    for name, kind in (("a", "act"), ("b", "plan")):
        agent.task(name, 1)
        agent.call(name, call_type=kind)
    lines = {"acting": Line(name="acting", why="w", base="b", select=Select(call_types=("act",)))}
    report = probe_source(agent.path, lines=lines)
    assert (report.kind, report.lines) == ("generic", {"acting": {"positive": 1}})
    assert report.unassigned == {"no line selects it": 1}
    assert "acting: positive 1" in report.words


def test_a_kind_can_be_forced(agent, tmp_path):
    """What the person says it is, is tried; that it is not is told in words."""
    agent.task("a", 1)
    assert probe_source(agent.path, kind="generic").readable
    for kind in ("clean-room", "opencode", "fleet", "tool-events"):
        assert not probe_source(agent.path, kind=kind).readable
    assert not probe_source(tmp_path, kind="generic").readable
