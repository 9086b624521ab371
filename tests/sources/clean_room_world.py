# ruff: noqa: D102, S608 - the builder's methods say what they do by name; its SQL is made of its own column names
"""A clean-room agent's databases, written the way the agent writes them: new schema and old."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flywheel.core.clocks import ManualClock
from flywheel.core.outcomes import Outcome
from flywheel.sources.clean_rooms import CleanRoomReader
from flywheel.sources.readings import Refusal
from flywheel.sources.settings import CleanRoomSource

OLD = """
CREATE TABLE task_runs (id INTEGER PRIMARY KEY, task_id TEXT NOT NULL UNIQUE, repo_path TEXT NOT NULL,
 mode TEXT NOT NULL, execute_model TEXT NOT NULL, context_window INTEGER NOT NULL, reserved_tokens INTEGER NOT NULL,
 stages TEXT NOT NULL, plan_artifact TEXT, success INTEGER, total_tokens INTEGER, total_latency_ms INTEGER,
 final_diff TEXT, final_plan TEXT, timestamp TEXT NOT NULL);
CREATE TABLE retrieval_llm_calls (id INTEGER PRIMARY KEY, task_id TEXT NOT NULL, call_type TEXT NOT NULL,
 stage_name TEXT, model TEXT NOT NULL, system_prompt TEXT, prompt TEXT NOT NULL, response TEXT NOT NULL,
 prompt_tokens INTEGER, completion_tokens INTEGER, latency_ms INTEGER NOT NULL, timestamp TEXT NOT NULL);
CREATE TABLE retrieval_decisions (id INTEGER PRIMARY KEY, task_id TEXT NOT NULL, stage TEXT NOT NULL,
 file_id INTEGER NOT NULL, symbol_id INTEGER, detail_level TEXT, tier TEXT, included INTEGER NOT NULL,
 reason TEXT, timestamp TEXT NOT NULL);
CREATE TABLE run_attempts (id INTEGER PRIMARY KEY, task_run_id INTEGER NOT NULL REFERENCES task_runs(id),
 attempt INTEGER NOT NULL, prompt_tokens INTEGER, completion_tokens INTEGER, latency_ms INTEGER NOT NULL,
 raw_response TEXT NOT NULL, patch_applied INTEGER NOT NULL, timestamp TEXT NOT NULL);
CREATE TABLE validation_results (id INTEGER PRIMARY KEY, attempt_id INTEGER NOT NULL REFERENCES run_attempts(id),
 success INTEGER NOT NULL, test_output TEXT, lint_output TEXT, type_check_output TEXT, failing_tests TEXT);
CREATE TABLE orchestrator_runs (id INTEGER PRIMARY KEY, task_id TEXT NOT NULL, repo_path TEXT NOT NULL,
 task_description TEXT NOT NULL, total_parts INTEGER, total_steps INTEGER, parts_completed INTEGER NOT NULL DEFAULT 0,
 steps_completed INTEGER NOT NULL DEFAULT 0, status TEXT NOT NULL, timestamp TEXT NOT NULL, completed_at TEXT);
CREATE TABLE orchestrator_passes (id INTEGER PRIMARY KEY, orchestrator_run_id INTEGER NOT NULL,
 task_run_id INTEGER, pass_type TEXT NOT NULL, part_id TEXT, step_id TEXT, sequence_order INTEGER NOT NULL,
 timestamp TEXT NOT NULL);
CREATE TABLE index_runs (id INTEGER PRIMARY KEY, repo_path TEXT NOT NULL, files_scanned INTEGER NOT NULL,
 files_changed INTEGER NOT NULL, duration_ms INTEGER NOT NULL, status TEXT NOT NULL, timestamp TEXT NOT NULL);
"""
ADDED = """
ALTER TABLE retrieval_llm_calls ADD COLUMN thinking TEXT;
ALTER TABLE retrieval_llm_calls ADD COLUMN sub_stage TEXT;
ALTER TABLE orchestrator_runs ADD COLUMN git_branch TEXT;
ALTER TABLE orchestrator_runs ADD COLUMN git_base_ref TEXT;
ALTER TABLE orchestrator_runs ADD COLUMN error_message TEXT;
ALTER TABLE orchestrator_passes ADD COLUMN commit_sha TEXT;
CREATE TABLE audit_events (id INTEGER PRIMARY KEY, task_id TEXT, component TEXT NOT NULL, event_type TEXT NOT NULL,
 item_path TEXT, detail TEXT, timestamp TEXT NOT NULL);
"""
CURATED = """
CREATE TABLE files (id INTEGER PRIMARY KEY, repo_id INTEGER, path TEXT NOT NULL);
CREATE TABLE commits (id INTEGER PRIMARY KEY, repo_id INTEGER, hash TEXT NOT NULL);
"""
REPO = "/home/dev/src/shop"
FILE, TESTS = "src/shop/price.py", "tests/test_price.py"
BEFORE, AFTER = "    return net + net * rate", "    return round(net * (1 + rate), 2)"
SHOWN = (
    f'# Task\nfix it\n\n## {FILE} [python] (primary)\n<code lang="python">\ndef gross(net, rate):\n{BEFORE}\n</code>\n'
)
YES_OR_NO = 'Respond with ONLY "yes" or "no".'


def edit(file: str = FILE, search: str = BEFORE, replacement: str = AFTER) -> str:
    return f'<edit file="{file}">\n<search>\n{search}\n</search>\n<replacement>\n{replacement}\n</replacement>\n</edit>'


def new_test(name: str) -> str:
    anchor = "# more tests"
    return edit(TESTS, anchor, f"def {name}():\n    assert gross(10, 0.5) == 15\n\n\n{anchor}")


class World:
    """Both databases, and a clock that every written row moves on."""

    def __init__(self, folder: Path, *, old: bool = False) -> None:
        self.path = folder / "raw.sqlite"
        self.raw = sqlite3.connect(self.path, isolation_level=None)
        self.curated = sqlite3.connect(folder / "curated.sqlite", isolation_level=None)
        for connection in (self.raw, self.curated):
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
        self.raw.executescript(OLD if old else OLD + ADDED)
        self.curated.executescript(CURATED)
        self.old = old
        self.now = datetime(2026, 3, 1, 9, tzinfo=UTC)
        self.clock = ManualClock(self.now)
        self.runs = 0

    def at(self) -> str:
        self.now += timedelta(seconds=1)
        return self.now.isoformat()

    def insert(self, table: str, **row: Any) -> int:
        cursor = self.raw.execute(
            f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
        )
        return int(cursor.lastrowid or 0)

    def task(self, task: str, *, success: int | None = 1) -> int:
        return self.insert("task_runs", task_id=task, repo_path=REPO, mode="plan", execute_model="m", success=success,
                           context_window=1, reserved_tokens=1, stages="scope", timestamp=self.at())  # fmt: skip

    def call(self, task: str, call_type: str, response: str, **more: Any) -> int:
        row = {"task_id": task, "call_type": call_type, "model": "m", "system_prompt": "", "prompt": SHOWN,
               "response": response, "latency_ms": 5, "timestamp": self.at(), **more}  # fmt: skip
        return self.insert("retrieval_llm_calls", **row)

    def decide(self, task: str, file: int, *, included: bool = True, stage: str = "assembly") -> None:
        self.insert("retrieval_decisions", task_id=task, stage=stage, file_id=file, included=int(included),
                    timestamp=self.at())  # fmt: skip

    def index(self, *commits: str, files: Mapping[int, str] | None = None, changed: int = 0) -> None:
        self.insert("index_runs", repo_path=REPO, files_scanned=5, files_changed=changed, duration_ms=1,
                    status="success", timestamp=self.at())  # fmt: skip
        self.curated.executemany("INSERT INTO commits (repo_id, hash) VALUES (1, ?)", [(one,) for one in commits])
        self.curated.executemany("INSERT INTO files (id, path) VALUES (?, ?)", list((files or {}).items()))

    def run(self, **more: Any) -> "Run":
        return Run(self, **more)

    def good_run(self, replacement: str = AFTER, **more: Any) -> "Run":
        """One part with code and a test that passed and stayed."""
        run = self.run(**more)
        run.plan()
        run.code(text=edit(replacement=replacement), commit=f"{run.root}-c1")
        run.test(commit=f"{run.root}-c2")
        run.validate(success=True)
        return run.end("complete")

    def close(self) -> None:
        self.raw.close()
        self.curated.close()

    def source(self, **more: Any) -> CleanRoomSource:
        return CleanRoomSource(name="room", path=self.path, **more)

    def read(self, **more: Any) -> tuple[dict[str, Outcome], list[Refusal]]:
        """Read everything; outcomes by `task id/call type`, the last of each."""
        outcomes, refusals = self.read_all(**more)
        return {f"{one.extra['task_id']}/{one.call_type}": one for one in outcomes}, refusals

    def read_all(self, **more: Any) -> tuple[list[Outcome], list[Refusal]]:
        reader = CleanRoomReader(self.source(**more), self.clock)
        cursor: Mapping[str, Any] = {}
        outcomes: dict[str, Outcome] = {}
        refusals: list[Refusal] = []
        going = True
        while going:
            batch = reader.read(cursor, NobodyWaits())
            cursor, going = batch.cursor, batch.more
            outcomes |= {one.key: one for task in batch.tasks for one in task.outcomes}
            refusals += [*batch.refusals, *(one for task in batch.tasks for one in task.refusals)]
        reader.close()
        return list(outcomes.values()), refusals

    def labels(self, **more: Any) -> dict[str, str]:
        return {name: one.labelled.label.value for name, one in self.read(**more)[0].items()}


class Run:
    """One orchestrated task."""

    def __init__(self, world: World, *, git: bool = False, base: str = "base", parts: int = 1) -> None:
        world.runs += 1
        self.world = world
        self.root = f"root-{world.runs}"
        self.order = 0
        added = {} if world.old or not git else {"git_branch": f"cra/task/{self.root}", "git_base_ref": base}
        self.id = world.insert("orchestrator_runs", task_id=self.root, repo_path=REPO, task_description="fix it",
                               total_parts=parts, status="running", timestamp=world.at(), **added)  # fmt: skip

    def plan(self, *parts: str, **more: Any) -> None:
        listed = [{"id": part, "description": part, "depends_on": []} for part in parts or ("p1",)]
        plan = {"task_summary": "fix", "parts": listed, "rationale": "r"}
        self.step("meta_plan", "execute_plan", json.dumps(plan), **more)

    def part_plan(self, part: str = "p1", steps: tuple[str, ...] = ("s1",), kind: str = "part_plan") -> None:
        listed = [{"id": step, "description": step} for step in steps]
        plan = {"part_id": part, "task_summary": "s", "steps": listed, "rationale": "r"}
        self.step(f"{kind}:{part}", "execute_plan", json.dumps(plan))

    def step(self, suffix: str, call_type: str, response: str, **more: Any) -> int:
        task = self.world.task(f"{self.root}:{suffix}")
        self.world.call(f"{self.root}:{suffix}", call_type, response, **more)
        return task

    def code(self, part: str = "p1", step: str = "s1", text: str = "", retry: int = 0, **more: Any) -> int:
        return self.attempt("impl", "execute_implement", part, step, text or edit(), retry, **more)

    def single(self, text: str = "", retry: int = 0, **more: Any) -> int:
        return self.attempt("impl", "execute_implement", "", "", text or edit(), retry, **more)

    def test(self, part: str = "p1", step: str = "t1", text: str = "", retry: int = 0, **more: Any) -> int:
        return self.attempt(
            "test_impl", "execute_test_implement", part, step, text or new_test("test_new"), retry, **more
        )

    def attempt(
        self, kind: str, call_type: str, part: str, step: str, text: str, retry: int, *, applied: bool = True,
        commit: str = "", prompt: str = SHOWN,
    ) -> int:  # fmt: skip
        where = f":{part}:{step}" if part else ""
        task = self.step(f"{kind}{where}{f':retry_{retry}' if retry else ''}", call_type, text, prompt=prompt)
        row = self.world.insert("run_attempts", task_run_id=task, attempt=retry + 1, latency_ms=1, raw_response=text,
                                patch_applied=int(applied), timestamp=self.world.at())  # fmt: skip
        self.order += 1
        added = {"commit_sha": commit or None} if not self.world.old else {}
        self.world.insert("orchestrator_passes", orchestrator_run_id=self.id, task_run_id=task, pass_type="step",
                          part_id=part or None, step_id=step, sequence_order=self.order, timestamp=self.world.at(),
                          **added)  # fmt: skip
        return row

    def validate(self, *, success: bool, failing: tuple[str, ...] = (), attempt: int | None = None) -> None:
        """Hang a validation on an attempt: as the agent does on the last one of the whole database."""
        last = attempt or self.world.raw.execute("SELECT max(id) FROM run_attempts").fetchone()[0]
        self.world.insert("validation_results", attempt_id=last, success=int(success),
                          failing_tests=json.dumps(failing) if failing else None)  # fmt: skip

    def roll_back(self, part: str = "p1", *, told: bool = True) -> None:
        """Unmark as the agent does: its LIKE takes `_` in a part's name for any character."""
        for kind in ("impl", "test_impl"):
            self.world.raw.execute(
                "UPDATE run_attempts SET patch_applied = 0 WHERE task_run_id IN"
                " (SELECT id FROM task_runs WHERE task_id LIKE ?)",
                (f"{self.root}:{kind}:{part}:%",),
            )
        if told and not self.world.old:
            self.world.insert("audit_events", task_id=self.root, component="rollback", event_type="part_rolled_back",
                              item_path=part, timestamp=self.world.at())  # fmt: skip

    def end(self, status: str) -> "Run":
        self.world.raw.execute(
            "UPDATE orchestrator_runs SET status = ?, completed_at = ? WHERE id = ?", (status, self.world.at(), self.id)
        )
        return self


class NobodyWaits:
    def among(self, tasks: Any) -> Mapping[str, int]:
        return {}

    def newest(self, limit: int) -> Mapping[str, int]:
        return {}

    def after(self, position: int, limit: int) -> tuple[Mapping[str, int], int]:
        return {}, 0

    def known(self, tasks: Any) -> frozenset[str]:
        return frozenset()
