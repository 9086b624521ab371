"""Databases that the real client wrote: what becomes of them is counted against what plain SQL says they hold."""

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from opencode_agents import DATA

from flywheel.core.clocks import ManualClock
from flywheel.core.lines import Line, Select
from flywheel.core.outcomes import Outcome
from flywheel.sources.opencodes import OpencodeReader
from flywheel.sources.probes import _Nothing
from flywheel.sources.run import SourcesRoom
from flywheel.sources.settings import OpencodeSource
from flywheel.store.counters import counters
from flywheel.store.outcomes import list_outcomes

SAMPLES = {"1.2.27": "opencode-1.2.27.db", "1.15.13": "opencode-1.15.13.db", "1.18.33": "opencode-1.18.33-main.db"}

# docs/sources.md explains these.
LABELS = {
    "1.2.27": {"positive": 6, "negative": 3, "unknown": 5},
    "1.15.13": {"positive": 6, "negative": 3, "unknown": 5},
    "1.18.33": {"positive": 16, "negative": 9, "unknown": 41},
}
LANGUAGES = {
    "1.2.27": {"typescript": 12, "": 2},
    "1.15.13": {"typescript": 12, "": 2},
    "1.18.33": {"typescript": 19, "rust": 4, "": 43},
}

# Messages of a model that said something, or finished saying nothing, in the session in which they were said. A command
# that the person had run has no step; a fork's copies are older than the fork.
ANSWERS = """
SELECT m.id FROM message m JOIN session s ON s.id = m.session_id
WHERE m.data ->> 'role' = 'assistant' AND m.time_created >= s.time_created
AND (m.data ->> 'finish' IS NOT NULL OR EXISTS (SELECT 1 FROM part p WHERE p.message_id = m.id
  AND (p.data ->> 'type' = 'tool' OR (p.data ->> 'type' = 'text' AND p.data ->> 'text' <> ''))))
AND EXISTS (SELECT 1 FROM part p WHERE p.message_id = m.id AND p.data ->> 'type' IN ('step-start', 'text'))
"""

# Answers that failed by themselves: a refused or invalid call, a command that is no test and exits otherwise than zero,
# an answer that was cut off by its length or a filter.
FAILED = """
SELECT DISTINCT m.id FROM message m LEFT JOIN part p ON p.message_id = m.id
WHERE m.data ->> 'role' = 'assistant' AND (m.data ->> 'finish' IN ('length', 'content-filter')
OR p.data ->> 'tool' = 'invalid' OR p.data ->> '$.state.status' = 'error'
OR (p.data ->> '$.state.metadata.exit' > 0 AND p.data ->> '$.state.input.command' NOT LIKE '%test%'))
"""

# Turns (by the message that asked) in which a file was edited and then a test command exited with zero.
VERIFIED = """
SELECT DISTINCT m.data ->> 'parentID' FROM message m
JOIN part e ON e.message_id = m.id AND e.data ->> 'tool' = 'edit' AND e.data ->> '$.state.status' = 'completed'
JOIN message n ON n.data ->> 'parentID' = m.data ->> 'parentID' AND n.time_created > m.time_created
JOIN part t ON t.message_id = n.id AND t.data ->> '$.state.input.command' LIKE '%test%'
 AND t.data ->> '$.state.metadata.exit' = 0
"""

# The last answers of turns in which an edit was refused and none succeeded; their tests had failed.
UNRESOLVED = """
SELECT m.id FROM message m WHERE m.data ->> 'finish' = 'stop' AND EXISTS (
 SELECT 1 FROM message n JOIN part p ON p.message_id = n.id WHERE n.data ->> 'parentID' = m.data ->> 'parentID'
 AND p.data ->> 'tool' = 'edit' AND p.data ->> '$.state.status' = 'error')
"""

# Turns in which a file of a language was named to a tool, attached by the person, or named by a sub-agent's report.
NAMED = """
SELECT DISTINCT coalesce(m.data ->> 'parentID', m.id) FROM message m JOIN part p ON p.message_id = m.id
WHERE p.data ->> '$.state.input.filePath' LIKE '%' || :suffix OR p.data ->> 'filename' LIKE '%' || :suffix
OR (p.data ->> 'tool' = 'task' AND p.data ->> '$.state.output' LIKE '%' || :suffix || '%')
"""


@pytest.fixture(params=SAMPLES)
def sample(request: Any, tmp_path: Path) -> tuple[str, Path]:
    path = tmp_path / SAMPLES[request.param]
    shutil.copy(DATA / SAMPLES[request.param], path)
    return request.param, path


@pytest.fixture
def sql(sample: tuple[str, Path]) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(sample[1])
    yield connection
    connection.close()


def outcomes_in(path: Path) -> list[Outcome]:
    reader = OpencodeReader(OpencodeSource(name="oc", path=path), ManualClock(datetime(2027, 1, 1, tzinfo=UTC)))
    batch = reader.read({}, _Nothing())
    reader.close()
    assert not batch.more
    assert not batch.refusals
    assert not [refusal for task in batch.tasks for refusal in task.refusals]
    return [outcome for task in batch.tasks for outcome in task.outcomes]


def ids(sql: sqlite3.Connection, query: str, **values: str) -> set[str]:
    return {str(row[0]) for row in sql.execute(query, values)}


def test_every_answer_is_an_outcome_and_nothing_else_is(sample, sql):
    """The messages that became outcomes are those that plain SQL finds."""
    found = [outcome.extra["message"] for outcome in outcomes_in(sample[1])]
    assert len(found) == len(set(found))
    assert set(found) == ids(sql, ANSWERS)


def test_labels_are_what_the_file_holds(sample, sql):
    """Negative: what failed by itself, or ended a turn that failed. Positive: answers of turns that were verified."""
    labels = {outcome.extra["message"]: outcome.labelled.label.value for outcome in outcomes_in(sample[1])}
    answers = ids(sql, ANSWERS)
    negative = (ids(sql, FAILED) | ids(sql, UNRESOLVED)) & answers
    verified = ids(sql, VERIFIED)
    turns = dict(sql.execute("SELECT id, data ->> 'parentID' FROM message").fetchall())
    positive = {answer for answer in answers if turns[answer] in verified} - negative
    assert {name for name, label in labels.items() if label == "negative"} == negative
    assert {name for name, label in labels.items() if label == "positive"} == positive
    assert dict(Counter(labels.values())) == LABELS[sample[0]]


def test_languages_are_what_the_file_holds(sample, sql):
    """A turn is of the language of the files named in it; nothing else in these files tells any."""
    outcomes = outcomes_in(sample[1])
    tags = {outcome.extra["message"]: outcome.tags for outcome in outcomes if outcome.call_type != "compaction"}
    turns = dict(sql.execute("SELECT id, coalesce(data ->> 'parentID', id) FROM message").fetchall())
    for language, suffix in (("typescript", ".ts"), ("rust", ".rs")):
        named = ids(sql, NAMED, suffix=suffix)
        assert {turns[one] for one, held in tags.items() if held == (f"language:{language}",)} == named
    counted = Counter(outcome.tags[0].removeprefix("language:") if outcome.tags else "" for outcome in outcomes)
    assert dict(counted) == LANGUAGES[sample[0]]


def test_questions_end_with_what_was_said_last(sample, sql):
    """Each answer's prompt holds the person's own words, and every call before it has its output after it."""
    for outcome in outcomes_in(sample[1]):
        roles = [message.role for message in outcome.messages]
        assert roles[0] == "user"
        assert roles[-1] in {"user", "tool"}
        calls = sum(message.content.count("<tool_call>") for message in outcome.messages if message.role == "assistant")
        assert roles.count("tool") == calls
        for said in outcome.messages:
            if said.role == "assistant" and "<tool_call>" in said.content:
                json.loads(said.content.split("<tool_call>\n")[1].split("\n</tool_call>")[0])


@pytest.mark.asyncio
async def test_the_lines_get_their_shares(sample, store):
    """Through the room: counted by line and label, and what belongs to no line under `unassigned`."""
    version, path = sample
    lines = {
        name: Line(name=name, why="w", base="b", select=Select(tags=(f"language:{language}",)))
        for name, language in (("build-rust", "rust"), ("build-ts", "typescript"))
    }
    clock = ManualClock(datetime(2027, 1, 1, tzinfo=UTC))
    room = SourcesRoom(store, clock, [OpencodeSource(name="oc", path=path)], lambda: lines)
    for proposal in (await room.propose()).proposals:
        await room.perform(proposal.intent, None)
    assert not (await room.propose()).proposals
    room.close()
    with store.read() as session:
        stored = [one.outcome for one in list_outcomes(session, limit=1000)]
        unassigned = counters(session, "unassigned")
    shares = Counter(outcome.line or "" for outcome in stored)
    names = {"typescript": "build-ts", "rust": "build-rust", "": ""}
    assert shares == {names[language]: count for language, count in LANGUAGES[version].items()}
    assert unassigned == {"outcomes": LANGUAGES[version][""]}
