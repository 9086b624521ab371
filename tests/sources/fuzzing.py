# ruff: noqa: E501, S608 - odd values are long and full of quotes; the SQL is made of known names
"""Records of every kind of agent with whatever may stand in them, and databases that were damaged in every way."""

import json
import random
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from clean_room_world import ADDED, OLD, World
from opencode_agents import V2_SCHEMA, Opencode, bash, edit

MARK = "what it holds"  # stands in odd values, and must stand in no report about them
LOOSE = """
CREATE TABLE task_runs (task_id, success, created_at, session, repo);
CREATE TABLE llm_calls (task_id, call_type, model, system_prompt, prompt, messages, response, timestamp, latency_ms,
  prompt_tokens, call_success, error);
CREATE INDEX llm_calls_task ON llm_calls (task_id);
"""
V1_TABLES = ("session", "message", "part", "project", "event_sequence")
CLEAN_TABLES = (
    "task_runs", "retrieval_llm_calls", "retrieval_decisions", "run_attempts", "validation_results",
    "orchestrator_runs", "orchestrator_passes", "index_runs", "audit_events",
)  # fmt: skip


class Raw(bytes):
    """Bytes that are stored as a text, valid or not."""


def nested(depth: int) -> Any:
    """A list in a list in a list."""
    value: Any = MARK
    for _ in range(depth):
        value = [value]
    return value


class Odd:
    """A source of odd values."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def json_value(self, depth: int = 3) -> Any:
        """Anything that JSON can hold."""
        pick = self.chance.randrange(16 if depth else 12)
        simple = (
            None, True, False, 0, -1, 2**63, -(2**70), 1e308, self.chance.random(), "", MARK, self.text(),
        )  # fmt: skip
        if pick < len(simple):
            return simple[pick]
        if pick == 12:
            return nested(self.chance.choice([10, 70, 300]))
        if pick == 13:
            return [self.json_value(depth - 1) for _ in range(self.chance.randrange(4))]
        names = (
            "role",
            "content",
            "type",
            "text",
            "tool_calls",
            "name",
            "arguments",
            "state",
            "time",
            "data",
            "id",
            "status",
        )
        return {self.chance.choice(names): self.json_value(depth - 1) for _ in range(self.chance.randrange(5))}

    def text(self) -> str:
        """A text that is hard to store or to read."""
        return self.chance.choice([
            "\x00", f"{MARK}\x00tail", "\ud800", "a\udfffb", "\u202e\u0301\ufeff", "é" * 50, " \t\n", "'; DROP TABLE x; --",
            "[ERROR] no", "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "NaN", "1e999",
            "9" * 5000, "[" * 3000, '{"a":' * 3000, "<tool_call>" * 200, f'<edit file="{MARK}">', "-----BEGIN PRIVATE KEY-----",
            "../../../etc/passwd", "x" * 100_000, "".join(chr(self.chance.randrange(1, 0xD7FF)) for _ in range(30)),
        ])  # fmt: skip

    def cell(self) -> Any:
        """Anything that a cell of a table can hold."""
        pick = self.chance.randrange(12)
        if pick < 3:
            return self.chance.choice([None, 0, 1, -1, 2**63 - 1, -(2**63), 1e308, 0.5, -0.0, float("inf")])
        if pick < 5:
            return self.chance.choice([b"", b"\x00\xff\xfe", MARK.encode(), b"{}" * 1000])
        if pick < 7:
            return Raw(
                self.chance.choice([b"\xff\xfe", b"\xed\xa0\x80", b"ok\xc3", MARK.encode() + b"\x80", b"a\x00b"])
            )
        if pick < 10:
            text = self.text()
            return Raw(text.encode("utf-8", "surrogatepass"))
        return Raw(self.dumped(self.json_value()).encode("utf-8", "surrogatepass"))

    def dumped(self, value: Any) -> str:
        """JSON as a careless program writes it."""
        text = json.dumps(value, ensure_ascii=self.chance.random() < 0.5)
        cut = self.chance.random()
        return text[: int(len(text) * cut * 5)] if cut < 0.2 else text

    def changed(self, row: dict[str, Any], keep: Sequence[str] = ()) -> dict[str, Any]:
        """The row with some of its fields odd."""
        names = [name for name in row if name not in keep]
        return row | {
            name: self.json_value() for name in self.chance.sample(names, min(len(names), self.chance.randrange(1, 4)))
        }


def spoil_cells(connection: sqlite3.Connection, tables: Sequence[str], odd: Odd, keep: Sequence[str] = ()) -> int:
    """Make one to three cells of every row odd; return how many rows there were."""
    spoiled = 0
    for table in tables:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] not in keep]
        for (number,) in connection.execute(f"SELECT rowid FROM {table}").fetchall():
            for column in odd.chance.sample(columns, min(len(columns), odd.chance.randrange(1, 4))):
                value = odd.cell()
                mark = "CAST(? AS TEXT)" if isinstance(value, Raw) else "?"
                try:
                    connection.execute(f"UPDATE {table} SET {column} = {mark} WHERE rowid = ?", (value, number))
                except sqlite3.IntegrityError:
                    continue  # the agent's own database would not take it
            spoiled += 1
    return spoiled


def generic(path: Path, odd: Odd, tasks: int, calls: int) -> int:
    """A generic database whose rows are odd; `prompt_tokens` of a call is its row."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(LOOSE)
    connection.execute("BEGIN")
    for task in range(tasks):
        connection.execute(
            "INSERT INTO task_runs VALUES (?, ?, '2026-01-01', 's', 'r')", (f"t{task}", odd.chance.choice([0, 1]))
        )
    for call in range(calls):
        connection.execute(
            "INSERT INTO llm_calls VALUES (?, 'act', 'm', 's', 'do it', NULL, 'done', '2026-01-01', 1, ?, NULL, NULL)",
            (f"t{odd.chance.randrange(tasks)}", call + 1),
        )
    spoil_cells(connection, ("task_runs", "llm_calls"), odd, keep=("prompt_tokens",))
    connection.execute("COMMIT")
    connection.close()
    return calls + tasks


def clean_room(folder: Path, odd: Odd, runs: int) -> int:
    """A clean-room database whose every row is odd."""
    world = World(folder)
    world.raw.execute("BEGIN")
    for _ in range(runs):
        world.good_run()
    world.raw.execute("COMMIT")
    world.close()
    strict = sqlite3.connect(world.path, isolation_level=None)
    strict.execute("PRAGMA journal_mode = DELETE")
    rows = {table: strict.execute(f"SELECT * FROM {table}").fetchall() for table in CLEAN_TABLES}
    strict.close()
    world.path.unlink()
    loose = sqlite3.connect(world.path, isolation_level=None)
    loose.executescript((OLD + ADDED).replace(" NOT NULL", "").replace(" UNIQUE", ""))
    loose.execute("BEGIN")
    for table, held in rows.items():
        for row in held:
            loose.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    spoiled = spoil_cells(loose, CLEAN_TABLES, odd, keep=("id",))
    loose.execute("COMMIT")
    loose.close()
    return spoiled


def opencode(path: Path, odd: Odd, sessions: int) -> int:
    """An opencode database, V1, whose every row is odd."""
    agent = Opencode(path)
    agent.run("PRAGMA synchronous = OFF")
    agent.run("PRAGMA foreign_keys = OFF")
    agent.run("BEGIN")
    for number in range(sessions):
        session = agent.session(f"ses_{number}")
        for _ in range(2):
            agent.ask(session, "make it so")
            agent.answer(session, edit("a.py"), bash("pytest"), text="done")
            agent.answer(session, text="all is well")
    spoiled = spoil_cells(agent.connection, V1_TABLES, odd, keep=("id", "aggregate_id"))
    for table in ("session", "message", "part"):
        for (held,) in agent.connection.execute(f"SELECT id FROM {table} ORDER BY random() LIMIT 5").fetchall():
            agent.run(f"UPDATE OR IGNORE {table} SET id = ? WHERE id = ?", odd.text().encode("utf-8", "replace"), held)
    agent.run("COMMIT")
    agent.close()
    return spoiled


def opencode_next(path: Path, odd: Odd, sessions: int) -> int:
    """An opencode database, V2, whose every row is odd."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(V2_SCHEMA)
    connection.execute("BEGIN")
    for number in range(sessions):
        at = 1_800_000_000_000 + number
        connection.execute(
            "INSERT INTO session_v2 (id, project_id, slug, directory, title, version, time_created, time_updated)"
            " VALUES (?, 'p', 's', '/home/dev/repo', 't', '2.0.25', ?, ?)", (f"ses_{number}", at, at),
        )  # fmt: skip
        for seq, (kind, data) in enumerate(
            (("user", {"text": "go"}), ("assistant", _ANSWER), ("idle", {"outcome": "succeeded"}))
        ):
            connection.execute("INSERT INTO session_message VALUES (?, ?, ?, ?, ?, ?, ?)",
                               (f"msg_{number}_{seq}", f"ses_{number}", kind, seq, at, at, json.dumps(odd.changed(data))))  # fmt: skip
    spoiled = spoil_cells(connection, ("session_v2", "session_message"), odd, keep=("id", "seq"))
    connection.execute("COMMIT")
    connection.close()
    return spoiled


_ANSWER = {
    "agent": "build", "model": {"id": "m", "providerID": "p"}, "finish": "stop", "time": {"created": 1, "completed": 2},
    "content": [{"type": "text", "text": "done"},
                {"type": "tool", "id": "c", "name": "shell", "state": {"status": "completed", "input": {}, "metadata": {"exit": 0}}}],
}  # fmt: skip


def opencode_files(root: Path, odd: Odd, sessions: int) -> int:
    """A `storage` folder whose every file is odd."""
    for number in range(sessions):
        time = {"created": 1, "updated": 2, "completed": 3}
        files = {
            f"session/p/ses_{number}.json": {
                "id": f"ses_{number}",
                "version": "1.1.1",
                "directory": "/r",
                "time": time,
            },
            f"message/ses_{number}/msg_1.json": {"id": "msg_1", "role": "user", "time": time},
            f"message/ses_{number}/msg_2.json": {"id": "msg_2", "role": "assistant", "time": time, "finish": "stop"},
            f"part/msg_1/prt_{number}.json": {"id": "p", "type": "text", "text": "go"},
            f"part/msg_2/prt_{number}.json": {
                "id": "q",
                "type": "tool",
                "tool": "bash",
                "state": {"status": "completed"},
            },
        }
        for name, value in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(odd.dumped(odd.changed(value)).encode("utf-8", "surrogatepass"))
    return sessions * 5


def fleet(root: Path, odd: Odd, runs: int) -> int:
    """Runs of a fleet whose every line is odd."""
    root.mkdir()
    written = 0
    for number in range(runs):
        context = {"context": {"test_cases": [{}], "function_name": None}, "adapter": "a"}
        test = {"status": "passed", "actual_output": "1", "expected_output": "1"}
        call = {"type": "vllm_call", "ts": "2026-01-01T10:00:01Z", "call_id": "c", "input": [{"role": "user", "content": "go"}],
                "output": "x = 1", "status": "success", "tier": "t", "metadata": {"model": "m"}}  # fmt: skip
        ran = {"type": "fleet_execution", "ts": "2026-01-01T10:00:02Z", "output_code": "x = 1", "status": "success",
               "prompt_used": "", "validation_result": {"passed": False, "test_results": [test]}, "metadata": context}  # fmt: skip
        lines = [
            {"type": "run_start", "run_id": f"run-{number}", "problem_id": "p", "problem_title": "t", "tags": ["dp"]},
            call, ran, call, {"type": "architect_decision", "ts": "2026-01-01T10:00:01Z", "goal": "g"}, ran,
            {"type": "run_end", "run_id": f"run-{number}", "status": "completed",
             "validation": {"passed": True, "total_passed": 1, "total_failed": 0, "test_results": [test]}},
        ]  # fmt: skip
        lines = [odd.changed(line, keep=("type", "run_id")) for line in lines]
        lines.append(odd.changed({"type": "vllm_call", "run_id": "x"}))
        _write_lines(root / f"run-{number}.jsonl", lines, odd)
        written += len(lines)
    return written


def tool_events(root: Path, odd: Odd, sessions: int) -> int:
    """Sessions of a tool-calling agent whose every line is odd."""
    written = 0
    for number in range(sessions):
        call = {"event": "tool_call", "at": "2026-01-01T10:00:00Z", "id": "c", "messages": [{"role": "user", "content": "go"}],
                "tool": "read_file", "arguments": {"path": "a"}, "tools": [{"name": "read_file"}], "model": "m"}  # fmt: skip
        kinds = ("domain_validation", "retry", "user_correction", "user_confirmation", "commit", "branch_merged",
                 "branch_closed", "rollback")  # fmt: skip
        marks = [{"event": odd.chance.choice(kinds), "at": "2026-01-01T10:00:01Z", "call": "c", "branch": "b",
                  "commit": "1234567", "valid": True, "quality": 1.0, "message": "m"} for _ in range(4)]  # fmt: skip
        lines = [odd.changed(line, keep=("event",)) for line in (call, *marks[:2], call, *marks[2:])]
        lines.append(odd.changed({"event": "tool_call"}))
        path = root / f"project{number % 3}" / f"s{number}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_lines(path, lines, odd)
        written += len(lines)
    return written


def capture(path: Path, odd: Odd, calls: int) -> int:
    """The gateway's own record, with odd bodies and then odd cells."""
    connection = sqlite3.connect(path, isolation_level=None)
    names = ("id", "at", "alias", "model", "arm", "routing_version", "session", "session_source", "task", "status",
             "streamed", "complete", "fallback", "request", "response", "latency_ms")  # fmt: skip
    connection.execute(f"CREATE TABLE calls (seq INTEGER PRIMARY KEY AUTOINCREMENT, {', '.join(names)})")
    connection.execute("BEGIN")
    for number in range(calls):
        call = {"type": "function", "function": {"name": "ls", "arguments": "{}"}}
        asked = {
            "model": "m",
            "messages": [{"role": "user", "content": "do it", "tool_calls": [call]}],
            "tools": [call],
        }
        message = odd.changed({"role": "assistant", "content": "done", "tool_calls": [call]})
        said = {"choices": [odd.changed({"index": 0, "message": message, "delta": message, "finish_reason": "stop"})]}
        bodies = [odd.dumped(odd.changed(value)).encode("utf-8", "surrogatepass") for value in (asked, said)]
        if odd.chance.random() < 0.5:
            bodies[1] = b"data: " + odd.dumped(said).encode("utf-8", "surrogatepass") + b"\n\ndata: [DONE]\n\n"
        row = (f"c{number}", "2026-01-01T00:00:00Z", "all", "m@1", "canary", 1, "s", "x-task-id", f"t{number % 300}", 200,
               number % 2, 1, 0, *bodies, 1.0)  # fmt: skip
        connection.execute(f"INSERT INTO calls ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", row)
    spoil_cells(connection, ("calls",), odd, keep=("seq", "id", "request"))
    connection.execute("COMMIT")
    connection.close()
    return calls


def _write_lines(path: Path, lines: Sequence[Any], odd: Odd) -> None:
    texts = [odd.dumped(line).encode("utf-8", "surrogatepass") for line in lines]
    path.write_bytes(b"\n".join(texts) + odd.chance.choice([b"", b"\n", b"\r\n", b"\n\x00\n"]))


Damage = Callable[[bytearray, random.Random], None]


def _flips(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 10, 300])):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def _cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def _swapped(content: bytearray, chance: random.Random) -> None:
    size = 4096
    for _ in range(3):
        one, other = (chance.randrange(max(1, len(content) // size)) * size for _ in range(2))
        content[one : one + size], content[other : other + size] = (
            content[other : other + size],
            content[one : one + size],
        )


def _header(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randrange(1, 8)):
        content[chance.randrange(100)] = chance.randrange(256)


def _schema(content: bytearray, chance: random.Random) -> None:
    for _ in range(20):
        content[chance.randrange(100, min(len(content), 8192))] = chance.randrange(256)


def _zeros(content: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(content))
    end = min(len(content), at + chance.choice([16, 4096, 40_000]))
    content[at:end] = bytes(end - at)


def _words(content: bytearray, chance: random.Random) -> None:
    for old, new in (
        (b"success", b"succes\xff"),
        (b"session", b"sess\x00on"),
        (b"TEXT", b"BLOB"),
        (b"2026", b"\xff\xfe\xfd\xfc"),
    ):
        if chance.random() < 0.5:
            content[:] = content.replace(old, new)


DAMAGES: tuple[Damage, ...] = (_flips, _cut, _swapped, _header, _schema, _zeros, _words)


def damaged(content: bytes, number: int) -> bytes:
    """The file with one kind of damage, or two."""
    chance = random.Random(number)
    held = bytearray(content)
    for damage in {DAMAGES[number % len(DAMAGES)], chance.choice([*DAMAGES, DAMAGES[number % len(DAMAGES)]])}:
        if held:
            damage(held, chance)
    return bytes(held)


def reshaped(path: Path, chance: random.Random) -> None:
    """Change a sound database's schema: columns and tables that go, are renamed or hold something else."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = OFF")
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
              if not row[0].startswith("sqlite_")]  # fmt: skip
    for _ in range(3):
        table = chance.choice(tables)
        columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
        statement = chance.choice([
            f'DROP TABLE IF EXISTS "{table}"', f'ALTER TABLE "{table}" RENAME TO "{table} ""of"" {chance.random()}"',
            f'DELETE FROM "{table}"', f"CREATE VIEW IF NOT EXISTS v{chance.randrange(9)} AS SELECT * FROM nowhere",
            *([f'ALTER TABLE "{table}" RENAME COLUMN "{chance.choice(columns)}" TO "new ""name"""',
               f'ALTER TABLE "{table}" DROP COLUMN "{chance.choice(columns)}"',
               f'UPDATE "{table}" SET "{chance.choice(columns)}" = zeroblob(50)'] if columns else []),
        ])  # fmt: skip
        try:
            connection.execute(statement)
        except sqlite3.Error:
            continue
    connection.close()
