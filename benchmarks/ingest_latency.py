"""How long after an agent's commit its outcome is in our store: the real daemon on a scratch home, p50 and p99.

A process of its own plays the agent: it commits one task with one call at a time, at uneven intervals, into a database
in WAL mode, and notes when each commit returned. This process looks at the daemon's store every millisecond and notes
when each outcome can be read. A stub answers in the model server's place.

Run: python benchmarks/ingest_latency.py [commits] [mean milliseconds between them]
"""

import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

from idle_cycle import SCHEMA, Server, write_home

BARS = (0.100, 0.400)
AGENT = """
import random, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
chance = random.Random(3)
for number in range(int(sys.argv[2])):
    time.sleep(chance.expovariate(1000 / float(sys.argv[3])))
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO task_runs VALUES (?, 1, '2026-01-01T10:00:00Z')", (f"t{number}",))
    connection.execute(
        "INSERT INTO llm_calls (task_id, call_type, model, prompt, response, timestamp) VALUES (?,?,?,?,?,?)",
        (f"t{number}", "act", "m", f"question {number} " + "context " * 60, "answer", "2026-01-01T10:00:01Z"))
    connection.execute("COMMIT")
    print(f"t{number} {time.time():.6f}", flush=True)
"""


def make_home(home, port):
    """Write settings, policies under which nothing is trained, and the agent's empty database."""
    write_home(home, port)
    connection = sqlite3.connect(home / "agent.db")
    connection.executescript(SCHEMA)
    connection.close()


def run_daemon(home):
    argv = [sys.executable, "-m", "flywheel", "run", "--config", str(home / "flywheel.toml")]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    with (home / "daemon.log").open("wb") as log:
        return subprocess.Popen(argv, env=env, stderr=log, stdout=log)


def wait_until_it_watches(home):
    """Wait until the daemon has stored a first outcome."""
    connection = sqlite3.connect(home / "agent.db", isolation_level=None)
    first = ("first", "question", "answer", "2026-01-01T10:00:00Z")
    connection.execute("INSERT INTO llm_calls (task_id, prompt, response, timestamp) VALUES (?, ?, ?, ?)", first)
    connection.close()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            store = sqlite3.connect(f"file:{home / 'flywheel.db'}?mode=ro", uri=True, isolation_level=None)
            if store.execute("SELECT 1 FROM outcomes").fetchone():
                return store
            store.close()
        except sqlite3.Error:
            pass
        time.sleep(0.2)
    raise TimeoutError((home / "daemon.log").read_text()[-2000:])


def watch_store(store, wanted, agent):
    """Return when each task could first be read in the store."""
    seen, after, version = {}, 1, None
    deadline = None
    while len(seen) < wanted and (deadline is None or time.monotonic() < deadline):
        if deadline is None and agent.poll() is not None:
            deadline = time.monotonic() + 30
        now = store.execute("PRAGMA data_version").fetchone()[0]
        if now == version:
            time.sleep(0.001)
            continue
        version = now
        rows = store.execute("SELECT seq, task FROM outcomes WHERE seq > ? ORDER BY seq", (after,)).fetchall()
        at = time.time()
        for seq, task in rows:
            after = seq
            seen.setdefault(task, at)
    return seen


def measure(home, commits, interval):
    """Return the seconds from commit to outcome, for each commit."""
    daemon = run_daemon(home)
    try:
        store = wait_until_it_watches(home)
        argv = [sys.executable, "-c", AGENT, str(home / "agent.db"), str(commits), str(interval)]
        agent = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        told = []
        reader = threading.Thread(target=lambda: told.extend(agent.stdout), daemon=True)
        reader.start()
        seen = watch_store(store, commits, agent)
        agent.wait(30)
        reader.join(10)
        store.close()
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(20)
    committed = {task: float(at) for task, at in (line.split() for line in told)}
    missing = [task for task in committed if task not in seen]
    assert not missing, f"{len(missing)} of {commits} never came, such as {missing[:3]}"
    return [seen[task] - at for task, at in committed.items()]


def main(commits, interval):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="flywheel-latency-") as folder:
        make_home(Path(folder), server.server_port)
        waits = sorted(measure(Path(folder), commits, interval))
    server.shutdown()
    p50, p99 = statistics.median(waits), waits[min(int(len(waits) * 0.99), len(waits) - 1)]
    print(f"{len(waits)} commits, {interval:g} ms apart on average: committed to ingested p50 {p50 * 1e3:.0f} ms, "
          f"p99 {p99 * 1e3:.0f} ms, worst {waits[-1] * 1e3:.0f} ms "
          f"(bars {BARS[0] * 1e3:.0f} and {BARS[1] * 1e3:.0f} ms)")  # fmt: skip


if __name__ == "__main__":
    numbers = [float(argument) for argument in sys.argv[1:]]
    given = numbers + [300.0, 100.0][len(numbers) :]
    main(int(given[0]), given[1])
