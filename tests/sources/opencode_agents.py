# ruff: noqa: D102, S608 - the double's methods say what they do by name; its SQL is made of its own table names
"""A double of opencode: writes its database, V1 or V2, the way the client does: upserts in WAL mode."""

import json
import sqlite3
from itertools import count
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "data" / "opencode"
START = 1_800_000_000_000  # milliseconds

V1_SCHEMA = (DATA / "schema-1.18.33.sql").read_text()
V2_SCHEMA = (DATA / "schema-2.0.sql").read_text()


class Opencode:
    """One database. Every call commits; time goes on by a second a call unless it is said."""

    def __init__(self, path: Path, *, events: bool = True, schema: str = V1_SCHEMA) -> None:
        self.path = path
        self.events = events
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.executescript(schema)
        self.now = START
        self._ids = count(1)
        self.run("INSERT INTO project (id, worktree, time_created, time_updated, sandboxes) VALUES (?, ?, 0, 0, '[]')",
                 "prj", "/home/dev/repo")  # fmt: skip

    def run(self, sql: str, *values: Any) -> None:
        self.connection.execute(sql, values)

    def tick(self) -> int:
        self.now += 1000
        return self.now

    def id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._ids):012d}"

    def session(self, name: str = "ses_1", parent: str | None = None, version: str = "1.18.33", **more: Any) -> str:
        at = self.tick()
        row = {"id": name, "project_id": "prj", "parent_id": parent, "slug": "s", "directory": "/home/dev/repo/sub",
               "title": "a session", "version": version, "time_created": at, "time_updated": at}  # fmt: skip
        self._insert("session", row | more)
        self.touched(name)
        return name

    def ask(self, session: str, text: str, **more: Any) -> str:
        message = self.message(session, {"role": "user", "agent": "build", **more})
        self.part(session, message, {"type": "text", "text": text})
        return message

    def answer(self, session: str, *tools: dict[str, Any], text: str = "", done: bool = True, **more: Any) -> str:
        data = {"role": "assistant", "mode": "build", "agent": "build", "modelID": "coder", "providerID": "local",
                "finish": "tool-calls" if tools else "stop"}  # fmt: skip
        message = self.message(session, data | more, done=done)
        self.part(session, message, {"type": "step-start"})
        if text:
            self.part(session, message, {"type": "text", "text": text})
        for tool in tools:
            self.part(session, message, {"type": "tool", "callID": self.id("call"), **tool})
        return message

    def message(self, session: str, data: dict[str, Any], *, done: bool = True) -> str:
        at, name = self.tick(), self.id("msg")
        time = {"created": at} | ({"completed": at + 500} if done and data["role"] == "assistant" else {})
        held = {"time": time, **data}
        if not done:
            held.pop("finish", None)
        self.run(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?)", name, session, held["time"]["created"], at, json.dumps(held)
        )
        self.touched(session)
        return name

    def part(self, session: str, message: str, data: dict[str, Any]) -> str:
        name, at = self.id("prt"), self.now
        self.run("INSERT INTO part VALUES (?, ?, ?, ?, ?, ?)", name, message, session, at, at, json.dumps(data))
        self.touched(session)
        return name

    def touched(self, session: str) -> None:
        if self.events:
            self.run("INSERT INTO event_sequence (aggregate_id, seq) VALUES (?, 0)"
                     " ON CONFLICT DO UPDATE SET seq = seq + 1", session)  # fmt: skip

    def change(self, table: str, name: str, data: dict[str, Any]) -> None:
        """Upsert a row's JSON in place, as the client does."""
        at = self.tick()
        (held, session) = self.connection.execute(
            f"SELECT data, session_id FROM {table} WHERE id = ?", (name,)
        ).fetchone()
        self.run(
            f"UPDATE {table} SET data = ?, time_updated = ? WHERE id = ?", json.dumps(json.loads(held) | data), at, name
        )
        self.touched(session)

    def revert(self, session: str, message: str | None) -> None:
        held = json.dumps({"messageID": message}) if message else None
        self.run("UPDATE session SET revert = ?, time_updated = ? WHERE id = ?", held, self.tick(), session)
        self.touched(session)

    def remove(self, session: str, *messages: str) -> None:
        for message in messages:
            self.run("DELETE FROM part WHERE message_id = ?", message)
            self.run("DELETE FROM message WHERE id = ?", message)
        self.tick()
        self.touched(session)

    def remove_session(self, session: str) -> None:
        for table, column in (("part", "session_id"), ("message", "session_id"), ("session", "id"),
                              ("event_sequence", "aggregate_id")):  # fmt: skip
            self.run(f"DELETE FROM {table} WHERE {column} = ?", session)

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        self.connection.execute(sql, tuple(row.values()))

    def close(self) -> None:
        self.connection.close()


def tool(
    name: str, status: str = "completed", output: str = "ok", exit_: Any = ..., **arguments: Any
) -> dict[str, Any]:
    """Return a tool part's name and state."""
    state: dict[str, Any] = {"status": status, "input": arguments, "metadata": {}}
    if status == "completed":
        state["output"] = output
    if status == "error":
        state["error"] = output
    if exit_ is not ...:
        state["metadata"]["exit"] = exit_
    return {"tool": name, "state": state}


def bash(command: str, exit_: int | None = 0, output: str = "") -> dict[str, Any]:
    return tool("bash", output=output, exit_=exit_, command=command)


def edit(path: str, status: str = "completed") -> dict[str, Any]:
    return tool("edit", status, filePath=path, oldString="a", newString="b")


def read(path: str) -> dict[str, Any]:
    return tool("read", filePath=path)


def task(child: str) -> dict[str, Any]:
    made = tool("task", description="d", prompt="p", subagent_type="general")
    made["state"]["metadata"]["sessionId"] = child
    return made
