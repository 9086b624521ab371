# ruff: noqa: D102, S608 - the doubles' methods say what they do by name; their SQL is made of their own column names
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flywheel.core.clocks import ManualClock
from flywheel.core.lines import Line, Select
from flywheel.sources.run import SourcesRoom
from flywheel.sources.settings import GenericSource
from flywheel.store.counters import counters
from flywheel.store.ledger import events
from flywheel.store.outcomes import list_outcomes
from flywheel.store.stores import Store, open_store, sqlite_url

SCHEMA = """
CREATE TABLE task_runs (task_id TEXT PRIMARY KEY, success INTEGER, created_at TEXT NOT NULL, session TEXT, repo TEXT);
CREATE TABLE llm_calls (id INTEGER PRIMARY KEY, task_id TEXT, call_type TEXT, model TEXT, system_prompt TEXT,
  prompt TEXT, messages TEXT, response TEXT, timestamp TEXT, latency_ms REAL);
CREATE INDEX llm_calls_task ON llm_calls (task_id);
"""


class Agent:
    """A local agent's database, written the way agents write: small commits in WAL mode."""

    def __init__(self, path: Path, schema: str = SCHEMA) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.executescript(schema)

    def task(self, task: Any, success: Any = None, at: str = "2026-01-01T10:00:00Z", **more: Any) -> None:
        self._insert("task_runs", {"task_id": task, "success": success, "created_at": at, **more})

    def call(self, task: Any, prompt: Any = "do it", response: Any = "done", **more: Any) -> None:
        row = {"task_id": task, "call_type": "act", "model": "m", "prompt": prompt, "response": response,
               "timestamp": "2026-01-01T10:00:01Z"}  # fmt: skip
        self._insert("llm_calls", row | more)

    def settle(self, task: str, success: Any) -> None:
        self.connection.execute("UPDATE task_runs SET success = ? WHERE task_id = ?", (success, task))

    def run(self, sql: str, *values: Any) -> None:
        self.connection.execute(sql, values)

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        self.connection.execute(sql, tuple(row.values()))

    def close(self) -> None:
        self.connection.close()


class House:
    """A store, a clock and the sources room on one agent."""

    def __init__(self, store: Store, source: GenericSource, capture: Path | None = None) -> None:
        self.store = store
        self.clock = ManualClock()
        self.source = source
        self.lines = {"tool-calling": Line(name="tool-calling", why="w", base="b", select=Select(call_types=("act",)))}
        self.capture = capture
        self.room = self.new_room()

    def new_room(self) -> SourcesRoom:
        return SourcesRoom(self.store, self.clock, [self.source], lambda: self.lines, self.capture)

    async def cycle(self, later: float = 1.0) -> list[Any]:
        self.clock.advance(later)
        plan = await self.room.propose()
        return [await self.room.perform(proposal.intent, None) for proposal in plan.proposals]

    async def proposals(self) -> int:
        return len((await self.room.propose()).proposals)

    def labels(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for stored in self.outcomes():
            label = stored.outcome.labelled.label.value
            found[label] = found.get(label, 0) + 1
        return found

    def outcomes(self) -> list[Any]:
        with self.store.read() as session:
            return list(reversed(list_outcomes(session, limit=100_000)))

    def events(self, *kinds: str) -> list[Any]:
        with self.store.read() as session:
            return events(session, kinds=kinds)

    def counters(self, scope: str) -> dict[str, int]:
        with self.store.read() as session:
            return counters(session, scope)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as opened:
        yield opened


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    made = Agent(tmp_path / "agent.db")
    yield made
    made.close()


@pytest.fixture
def house(store: Store, agent: Agent) -> Iterator[House]:
    made = House(store, GenericSource(name="agent", path=agent.path))
    yield made
    made.room.close()


@pytest.fixture
def chat() -> Any:
    return lambda *turns: json.dumps([{"role": role, "content": content} for role, content in turns])
