"""The demo's agent: does small coding tasks through the gateway and writes down how they ended.

It knows nothing of flywheel but the gateway's address. Its database has the two tables that
any agent could have: `task_runs` and `llm_calls`.
"""

import asyncio
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from flywheel.core.frozen import Frozen

ATTEMPTS = 2
AT_ONCE = 12
REPOS = 40
_SCHEMA = """
CREATE TABLE IF NOT EXISTS task_runs (
  task_id TEXT PRIMARY KEY, repo TEXT NOT NULL, success INTEGER, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS llm_calls (
  id INTEGER PRIMARY KEY, task_id TEXT NOT NULL, call_type TEXT NOT NULL, model TEXT NOT NULL,
  messages TEXT NOT NULL, response TEXT NOT NULL, latency_ms INTEGER NOT NULL, created_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS llm_calls_task ON llm_calls (task_id);
"""


class Task(Frozen):
    """Something a developer asks for, and the one tool call that does it."""

    id: str
    tool: str
    messages: tuple[dict[str, str], ...]
    expected: tuple[dict[str, Any], ...]

    @property
    def repo(self) -> str:
        """Return the repository the task belongs to."""
        return f"repo-{sum(self.id.encode()) % REPOS:02d}"


class Call(Frozen):
    """One answer of the model."""

    response: str
    model: str
    latency_ms: int
    at: str


class Tally(Frozen):
    """How many tasks were tried and how many were solved."""

    tasks: int = 0
    solved: int = 0
    failed_requests: int = 0

    @property
    def rate(self) -> float:
        """Return the share of solved tasks."""
        return self.solved / self.tasks if self.tasks else 0.0


class ScriptedAgent:
    """Tries each task, runs the tool call it got, and tries once more when that did nothing."""

    def __init__(self, database: Path, gateway: str, model: str) -> None:
        """Keep its own database; speak to the model by one name, for ever."""
        self._gateway = gateway
        self._model = model
        self._database = sqlite3.connect(database, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(_SCHEMA)

    async def work(
        self, tasks: Sequence[Task], *, record: bool, told: Callable[[Tally], None] = lambda _: None
    ) -> Tally:
        """Do the tasks, a few at once; with `record`, write each to the database as it ends."""
        gate = asyncio.Semaphore(AT_ONCE)
        tally = Tally()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:

            async def one(task: Task) -> None:
                nonlocal tally
                async with gate:
                    calls, solved = await self._try(session, task)
                if record:
                    self.write(task, calls, solved=solved)
                failed = tally.failed_requests + sum(call.model == "" for call in calls)
                tally = Tally(tasks=tally.tasks + 1, solved=tally.solved + solved, failed_requests=failed)
                told(tally)

            await asyncio.gather(*(one(task) for task in tasks))
        return tally

    def write(self, task: Task, calls: Sequence[Call], *, solved: bool) -> None:
        """Write a finished task: its calls and how it ended, in one transaction."""
        self.write_all([(task, calls)], solved=solved)

    def write_all(self, finished: Iterable[tuple[Task, Sequence[Call]]], *, solved: bool) -> None:
        """Write many finished tasks that ended alike, in one transaction."""
        self._database.execute("BEGIN IMMEDIATE")
        for task, calls in finished:
            self._insert(task, calls, solved=solved)
        self._database.execute("COMMIT")

    def _insert(self, task: Task, calls: Sequence[Call], *, solved: bool) -> None:
        database = self._database
        for call in calls:
            database.execute(
                "INSERT INTO llm_calls (task_id, call_type, model, messages, response, latency_ms, created_at) "
                "VALUES (?, 'tool_call', ?, ?, ?, ?, ?)",
                (task.id, call.model, json.dumps(task.messages), call.response, call.latency_ms, call.at),
            )
        database.execute(
            "INSERT INTO task_runs (task_id, repo, success, created_at) VALUES (?, ?, ?, ?)",
            (task.id, task.repo, int(solved), _now()),
        )

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    async def _try(self, session: aiohttp.ClientSession, task: Task) -> tuple[list[Call], bool]:
        calls: list[Call] = []
        for _ in range(ATTEMPTS):
            call = await self._ask(session, task)
            calls.append(call)
            if does(call.response, task):
                return calls, True
        return calls, False

    async def _ask(self, session: aiohttp.ClientSession, task: Task) -> Call:
        body = {"model": self._model, "messages": list(task.messages), "max_tokens": 64, "temperature": 0.7}
        started = time.monotonic()
        try:
            async with session.post(
                f"{self._gateway}/v1/chat/completions", json=body, headers={"x-task-id": task.id}
            ) as response:
                answer = await response.json()
                response.raise_for_status()
                text, model = answer["choices"][0]["message"]["content"] or "", answer["model"]
        except (aiohttp.ClientError, TimeoutError, KeyError, ValueError):
            text, model = "", ""
        return Call(response=text, model=model, latency_ms=int(1000 * (time.monotonic() - started)), at=_now())


def does(response: str, task: Task) -> bool:
    """Tell whether an answer, run as the agent runs it, does what the task asks."""
    found = re.fullmatch(r"\s*<tool_call>(.*?)</tool_call>\s*", response, re.DOTALL)
    if found is None:
        return False
    try:
        return [json.loads(found.group(1))] == list(task.expected)
    except ValueError:
        return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
