"""What the daemon costs while nothing happens, at 1,000 and at 200,000 outcomes: a whole cycle, memory, processor.

Run: python benchmarks/idle_cycle.py [small] [large]
"""

import asyncio
import json
import logging
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from flywheel.core.clocks import SystemClock
from flywheel.daemon.houses import build_house, ground
from flywheel.daemon.logs import configure_logs
from flywheel.daemon.settings import load_settings

ROUNDS = 100
WATCHED_SECONDS = 20
SETTINGS = """
home = "{home}"
lines = ["tool-calling"]
policies = "{home}/policies"
[bases.main]
path = "{home}"
served_as = "base"
[[sources]]
name = "agent"
path = "{home}/agent.db"
[[servers]]
url = "http://127.0.0.1:{port}"
"""
SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE task_runs (task_id TEXT PRIMARY KEY, success INTEGER, created_at TEXT);
CREATE TABLE llm_calls (id INTEGER PRIMARY KEY, task_id TEXT, call_type TEXT, model TEXT, prompt TEXT, response TEXT,
  timestamp TEXT);
CREATE INDEX llm_calls_task ON llm_calls (task_id);
"""


def write_agent(path, outcomes):
    answer = "<tool_call>" + json.dumps({"name": "read_file", "arguments": {"path": "a.py"}}) + "</tool_call>"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(SCHEMA)
    connection.execute("BEGIN")
    for number in range(outcomes):
        at = "2026-01-01T10:00:00Z"
        connection.execute("INSERT INTO task_runs VALUES (?, 1, ?)", (f"t{number}", at))
        row = (f"t{number}", "act", "m", f"question {number} " + "context " * 60, answer, at)
        connection.execute(
            "INSERT INTO llm_calls (task_id, call_type, model, prompt, response, timestamp) VALUES (?,?,?,?,?,?)", row
        )
    connection.execute("COMMIT")
    connection.close()


def bare_loop(path, target):
    """Read, parse and insert the same rows with nothing around it: what ingestion is compared with."""
    began = time.perf_counter()
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    writer = sqlite3.connect(target, isolation_level=None)
    writer.executescript("PRAGMA journal_mode = WAL; CREATE TABLE o (id INTEGER PRIMARY KEY, task TEXT, body JSON);")
    writer.execute("BEGIN")
    query = "SELECT c.*, t.success FROM llm_calls AS c JOIN task_runs AS t USING (task_id)"
    for row in reader.execute(query):
        body = json.dumps({"messages": [["user", row[4]]], "response": row[5], "success": row[7]})
        writer.execute("INSERT INTO o (task, body) VALUES (?, ?)", (row[1], json.dumps(json.loads(body))))
    writer.execute("COMMIT")
    reader.close()
    writer.close()
    return time.perf_counter() - began


class Server(BaseHTTPRequestHandler):
    """A model server with nothing to do: it lists its base."""

    def do_GET(self):
        """Answer every question with the list."""
        body = json.dumps({"object": "list", "data": [{"id": "base", "object": "model", "root": "base"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Say nothing."""


def write_home(home, port):
    shutil.copytree(Path(__file__).parent.parent / "policies", home / "policies")
    line = home / "policies" / "lines" / "tool-calling.toml"
    text = line.read_text()
    assert "[trigger]" in text
    head, _, tail = text.partition("[trigger]")
    rest = tail.partition("\n[")
    line.write_text(f"{head}[trigger]\nfresh_examples = 1000000000\n{rest[1]}{rest[2]}")
    (home / "flywheel.toml").write_text(SETTINGS.format(home=home, port=port))


async def ingested(home, outcomes, port):
    """Return a house that has read and admitted everything there is, and its store."""
    write_agent(home / "agent.db", outcomes)
    bare = bare_loop(home / "agent.db", home / "bare.db")
    write_home(home, port)
    settings = load_settings(home / "flywheel.toml")
    base = ground(settings, SystemClock())
    house = build_house(settings, base)
    began = time.perf_counter()
    while (await house.cycle.run()).changed:
        pass
    print(f"{outcomes:>9,} outcomes: ingested and admitted in {time.perf_counter() - began:.1f} s "
          f"(a bare read-parse-insert loop: {bare:.1f} s)")  # fmt: skip
    return house, base.store


async def measure(sizes, folder, port):
    """Return for each size the medians of a cycle and a look, in rounds that take turns: noise meets all of them."""
    houses = {size: await ingested(folder / str(size), size, port) for size in sizes}
    cycles, looks = {size: [] for size in sizes}, {size: [] for size in sizes}
    for _ in range(ROUNDS):
        for size, (house, _) in houses.items():
            cycles[size].append(await idle_cycle(house))
            looks[size].append(look(house))
    for house, store in houses.values():
        house.close()
        store.close()
    return {size: (statistics.median(cycles[size]), statistics.median(looks[size])) for size in sizes}


async def idle_cycle(house):
    began = time.perf_counter()
    report = await house.cycle.run()
    assert not report.changed, report.sentence
    return time.perf_counter() - began


def look(house):
    began = time.perf_counter()
    assert not house.changed()
    return time.perf_counter() - began


def watch_daemon(home):
    """Run the real daemon on this home; return its memory in MB and the share of a core it takes when idle."""
    argv = [sys.executable, "-m", "flywheel", "run", "--config", str(home / "flywheel.toml")]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    daemon = subprocess.Popen(argv, env=env, stderr=subprocess.DEVNULL)
    try:
        time.sleep(8)
        before = processor_seconds(daemon.pid)
        time.sleep(WATCHED_SECONDS)
        share = (processor_seconds(daemon.pid) - before) / WATCHED_SECONDS
        pages = int(Path(f"/proc/{daemon.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, share
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(20)


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def main(sizes):
    configure_logs(level=logging.WARNING)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            (Path(folder) / str(size)).mkdir()
        found = await measure(sizes, Path(folder), server.server_port)
        daemons = {size: watch_daemon(Path(folder) / str(size)) for size in sizes}
    for size, (cycle, looked) in found.items():
        memory, share = daemons[size]
        print(f"{size:>9,} outcomes: {cycle * 1e3:.2f} ms a cycle with nothing new, {looked * 1e3:.3f} ms a look; "
              f"the idle daemon: {memory:.0f} MB, {share:.2%} of a core")  # fmt: skip
    small, large = found[min(sizes)], found[max(sizes)]
    print(f"ratio of the cycles, {max(sizes):,} to {min(sizes):,} outcomes: {large[0] / small[0]:.2f}")
    server.shutdown()


if __name__ == "__main__":
    asyncio.run(main([int(argument) for argument in sys.argv[1:]] or [1_000, 200_000]))
