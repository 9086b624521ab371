"""What the acceptance tests share: a user's home around the real programs."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from nurseries import Nursling

from flywheel.cli.demos import worlds
from flywheel.cli.demos.agents import Call, ScriptedAgent, Task
from flywheel.cli.demos.processes import Processes, flywheel_command, free_port, wait_until
from flywheel.cli.demos.scenes import poisoned_call
from flywheel.core.events import Event
from flywheel.core.routing import Arm, Routing
from flywheel.store.ledger import events
from flywheel.store.listings import list_rows
from flywheel.store.stores import open_store, sqlite_url
from flywheel.train.adapters import is_whole

LINE = worlds.LINE


class Model(NamedTuple):
    """A model server and the base it serves."""

    url: str
    base: Path


def train_python() -> Path:
    """The train environment's interpreter, or a skip that says how to get it."""
    path = os.environ.get("FLYWHEEL_TRAIN_PYTHON")
    if not path:
        pytest.skip("the train environment is not built: make envs")
    return Path(path)


class World:
    """A home, its agent, its gateway and its daemon."""

    def __init__(self, home: Path, model: Model) -> None:
        home.mkdir(parents=True)
        self.home = home
        self.model = model
        self.paths = worlds.World(home=home, base=model.base, server=model.url, gateway_port=free_port())
        worlds.write_world(self.paths, train_python())
        self.edit(
            f"policies/lines/{LINE}.toml",
            ("suite_limit = 150", "suite_limit = 90"),
            ("max_steps = 100", "max_steps = 60"),
        )
        self.edit("policies/gates/demo.toml", ("samples = 2", "samples = 1"))
        self.processes = Processes(home / "processes")
        self.agent = ScriptedAgent(self.paths.agent_database, self.paths.gateway, LINE)
        self.daemon: subprocess.Popen[bytes] | Nursling | None = None

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        """Change a file of the home as a person would."""
        path = self.home / name
        text = path.read_text()
        for old, new in changes:
            assert old in text, f"{name} does not hold {old!r}"
            text = text.replace(old, new)
        path.write_text(text)

    def tasks(self, start: int, count: int) -> tuple[Task, ...]:
        """Tasks of the tiny world."""
        return worlds.tasks(train_python(), start, count)

    def write_lessons(self, count: int = 460, bad: int = 60) -> None:
        """Write a day's outcomes without asking a model: right answers that worked, wrong ones that did not."""
        lessons = self.tasks(1000, count + bad)
        tools = sorted({task.tool for task in lessons})
        self.agent.write_all([(task, [right_call(task)]) for task in lessons[:count]], solved=True)
        self.agent.write_all([(task, [poisoned_call(task, tools)]) for task in lessons[count:]], solved=False)

    def start_gateway(self) -> None:
        """Start the gateway and wait until it answers."""
        self.processes.start("gateway", flywheel_command("gateway", "--config", str(self.paths.config)))
        wait_until(lambda: self.get("/health"), 120, "the gateway", lambda: self.processes.check("gateway"))

    def start_daemon(self, **env: str) -> "subprocess.Popen[bytes]":
        """Start the daemon; what it says goes to a file."""
        with (self.home / "daemon.log").open("ab") as log:
            argv = flywheel_command("run", "--config", str(self.paths.config))
            self.daemon = subprocess.Popen(
                argv, env={**os.environ, **env}, stdout=log, stderr=log, start_new_session=True
            )
        return self.daemon

    def raise_daemon(self, **env: str) -> None:
        """Start the daemon as `start_daemon` does, without the second that Python takes to load it."""
        arguments = ["run", "--config", str(self.paths.config)]
        self.daemon = Nursling(arguments, {**os.environ, **env}, self.home / "daemon.log")

    def stop_daemon(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Stop the daemon; return its exit status."""
        if self.daemon is None:
            return 0
        if self.daemon.poll() is None:
            self.daemon.send_signal(how)
        status = self.daemon.wait(30)
        self.daemon = None
        return status

    def close(self) -> None:
        """End everything and leave the shared model server as it was."""
        self.stop_daemon(signal.SIGKILL)
        self.processes.stop()
        self.agent.close()
        for name in self.loaded():
            self.unload(name)

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run a command; return all it said."""
        argv = flywheel_command(*arguments, "--config", str(self.paths.config))
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        assert ended.returncode == status, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def get(self, path: str) -> Any:
        """Ask the gateway; None when it does not answer."""
        try:
            with urllib.request.urlopen(self.paths.gateway + path, timeout=5) as response:
                return json.loads(response.read() or b"null") or True
        except OSError:
            return None

    def loaded(self) -> list[str]:
        """The adapters the model server holds."""
        with urllib.request.urlopen(f"{self.model.url}/v1/models", timeout=10) as response:
            return [card["id"] for card in json.load(response)["data"] if card.get("parent")]

    def unload(self, name: str) -> None:
        """Unload one adapter."""
        body = json.dumps({"lora_name": name}).encode()
        request = urllib.request.Request(
            f"{self.model.url}/v1/unload_lora_adapter", body, {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).close()

    def events(self, *kinds: str) -> list[Event]:
        """What the ledger holds; cheap as long as it holds nothing of that kind, because tests wait for the first."""
        if not (self.home / "flywheel.db").exists() or (kinds and not any(map(self.has_seen, kinds))):
            return []
        with open_store(sqlite_url(self.home / "flywheel.db")) as store, store.read() as session:
            return events(session, kinds=kinds, limit=100_000)

    def has_seen(self, kind: str, subject: str = "") -> bool:
        """Tell whether something happened; cheap, because it is asked again and again."""
        if not (self.home / "flywheel.db").exists():
            return False
        wanted = "SELECT count(*) FROM ledger WHERE kind = ? AND (? = '' OR subject = ?)"
        with closing(sqlite3.connect(f"file:{self.home / 'flywheel.db'}?mode=ro", uri=True)) as ledger:
            try:
                return bool(ledger.execute(wanted, (kind, subject, subject)).fetchone()[0])
            except sqlite3.OperationalError:  # it is being made
                return False

    def rows(self, noun: str) -> list[dict[str, Any]]:
        """What a projection holds."""
        with open_store(sqlite_url(self.home / "flywheel.db")) as store, store.read() as session:
            return list_rows(session, noun, limit=100_000)

    def arms(self) -> tuple[Arm, ...]:
        """Where the line's alias leads."""
        path = self.home / "routing.json"
        routing = Routing.parse(path.read_bytes()) if path.is_file() else None
        return tuple(routing.aliases[LINE].arms) if routing and LINE in routing.aliases else ()

    def caught_up(self) -> bool:
        """Tell whether every call of the agent has become an outcome."""
        counts = []
        for path, table in ((self.paths.agent_database, "llm_calls"), (self.home / "flywheel.db", "outcomes")):
            database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            counts.append(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - two names
            database.close()
        return counts[0] == counts[1]

    def wait_for(self, kind: str, seconds: float = 120, subject: str = "") -> Event:
        """Wait until the ledger holds an event."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.has_seen(kind, subject):
                return [event for event in self.events(kind) if not subject or event.subject == subject][-1]
            assert self.daemon is None or self.daemon.poll() is None, self.log()
            time.sleep(0.2)
        raise AssertionError(f"{kind} did not come within {seconds} s\n{self.log()}")

    def log(self) -> str:
        """The end of what the daemon said."""
        return (self.home / "daemon.log").read_text(errors="replace")[-4000:]


def final_state(world: World) -> dict[str, Any]:
    """What must be the same however often the daemon died on the way."""
    routed = [(arm.model, arm.role) for arm in world.arms()]
    return {
        "datasets": sorted((row["line"], row["number"], row["hash"]) for row in world.rows("datasets")),
        "suites": sorted((row["hash"], row["problems"], row["live"]) for row in world.rows("suites")),
        "runs": sorted((row["id"], row["state"]) for row in world.rows("runs")),
        "adapters": sorted((row["name"], row["hash"]) for row in world.rows("adapters")),
        "releases": sorted((row["name"], row["state"], row["approved"]) for row in world.rows("releases")),
        "verdicts": sorted((row["adapter"], row["verdict"]) for row in world.rows("reports")),
        "routed": routed,
    }


def once_only(world: World) -> dict[str, int]:
    """How often each thing that happens once was written down."""
    kinds = (
        "curate.dataset_frozen", "gate.suite_frozen", "train.base_pinned", "train.run_started", "train.run_finished",
        "train.adapter_published", "rollout.adapter_registered", "gate.adapter_measured", "gate.adapter_passed",
        "rollout.canary_started", "rollout.adapter_promoted",
    )  # fmt: skip
    counted = Counter(event.kind for event in world.events(*kinds))
    return {kind: counted[kind] for kind in kinds}


def assert_nothing_torn(world: World) -> None:
    """Every published folder is whole, every call of the agent is one outcome, no example stands twice."""
    adapters = [path for path in (world.home / "adapters").glob("*/*") if not path.name.startswith(".")]
    assert adapters
    assert all(is_whole(path) for path in adapters)
    agent = sqlite3.connect(f"file:{world.paths.agent_database}?mode=ro", uri=True)
    calls = agent.execute("SELECT count(*) FROM llm_calls").fetchone()[0]
    agent.close()
    outcomes = world.rows("outcomes")
    assert len(outcomes) == calls, "an outcome was lost or doubled"
    examples = [row["id"] for row in world.rows("examples")]
    assert len(examples) == len(set(examples))


def right_call(task: Task) -> Call:
    """The answer that does what a task asks."""
    text = "".join(f"<tool_call>{json.dumps(call)}</tool_call>" for call in task.expected)
    return Call(response=text, model="tiny-base", latency_ms=5, at=_at(task))


def _at(task: Task) -> str:
    number = int("".join(c for c in task.id if c.isdigit()) or 0)
    return f"2026-01-01T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}+00:00"


def rss_mb(pid: int) -> float:
    """Resident memory of a process, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


PYTHON = sys.executable
