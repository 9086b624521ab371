"""A home in which nothing was logged yet: histories that git made, a line that begins on the lowest rung, no source."""

import json
import os
import shutil
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from acceptance_house import Model, train_python

from flywheel.cli.demos.processes import flywheel_command
from flywheel.core.events import Event
from flywheel.daemon.places import shipped
from flywheel.store.ledger import events
from flywheel.store.listings import list_rows
from flywheel.store.stores import open_store, sqlite_url

LINE = "scope"
NOUNS = (
    "account", "batch", "branch", "buffer", "cache", "client", "column", "config", "cookie", "cursor", "device",
    "draft", "event", "field", "filter", "folder",
)  # fmt: skip
VERBS = ("apply", "build", "check", "clean", "count", "drop", "fetch", "flush", "join", "load", "merge", "parse")
TEACHERS = """
[[teachers]]
name = "large"
base_url = "{url}"
model = "large"
roles = ["primary"]
price_in = 1
price_out = 4
budget_run = 1
budget_month = 1

[[teachers]]
name = "second"
base_url = "{url}"
model = "second"
roles = ["cross"]
price_in = 0
price_out = 0
"""
SETTINGS = """\
home = "{home}"
policies = "{home}/policies"
train_python = "{python}"
lines = ["{line}"]

[bases.tiny]
path = "{base}"
served_as = "tiny-base"
parameters_billion = 0.0006

[[servers]]
url = "{server}"
max_loras = 4
max_cpu_loras = 4
max_lora_rank = 16
"""
LINE_FILE = """\
why = "Which files a task concerns, learned before the agent has produced a single run."
base = "tiny"
rung = 1
climbs_to = 4
gate = "quick"

[select]
call_types = ["scope"]

[dataset]
minimum_examples = 200
holdout = 0.3
suite_limit = 80
split_by = "task"

[trigger]
fresh_examples = 60

[train]
technique = "sft"

[train.hyperparameters]
rank = 8
alpha = 16
learning_rate = 2e-3
scheduler = "linear"
epochs = 4
max_steps = 48
batch_size = 16
max_length = 320
precision = "fp32"
gradient_checkpointing = false
eval_steps = 48
save_steps = 48
"""
GATE_FILE = """\
why = "The shipped gate's rules for judgements with fewer problems, because this lasts seconds."
metric = "choice"
minimum_problems = 40
minimum_groups = 5
largest_error_rate = 0.15
judge_latency = false

[sampling]
samples = 1
temperature = 0.2
max_tokens = 16
concurrency = 32
"""


def write_history(path: Path, name: str, *, commits: int, first: int) -> Path:
    """A clone whose commits each change the one file that their message names; its moments lie between others'."""
    path.mkdir(parents=True)
    folder = path.name
    _git(path, "init", "-q", "-b", "main")
    _git(path, "config", "remote.origin.url", f"git@example.org:{name}.git")
    files = {f"{folder}/{noun}.py": _module(noun, VERBS[:2]) for noun in NOUNS}
    files["LICENSE"] = "MIT License\n\nPermission is hereby granted, free of charge, to any person\n"
    told = [_commit(1, 0, first, "Begin", files)]
    for number in range(commits):
        noun, verb = NOUNS[(number * 7 + first) % len(NOUNS)], VERBS[2 + number // len(NOUNS) % 10]
        had = 2 + number // len(NOUNS)
        message = f"Add {verb} to the {folder} {noun}"
        text = _module(noun, VERBS[: had + 1])
        told.append(_commit(number + 2, number + 1, first + 600 * (number + 1), message, {f"{folder}/{noun}.py": text}))
    argv = ["git", "-C", str(path), "fast-import", "--quiet", "--force"]
    subprocess.run(argv, input="".join(told).encode(), check=True, capture_output=True, timeout=60)
    return path


def _module(noun: str, verbs: tuple[str, ...]) -> str:
    return "\n\n".join(f"def {verb}_{noun}(values):\n    return [{verb!r}, *values]\n" for verb in verbs)


def _commit(mark: int, parent: int, moment: int, message: str, files: dict[str, str]) -> str:
    came_from = f"from :{parent}\n" if parent else ""
    inline = "".join(f"M 100644 inline {name}\ndata {len(text)}\n{text}\n" for name, text in files.items())
    head = f"commit refs/heads/main\nmark :{mark}\ncommitter Ada <ada@example.org> {moment} +0000\n"
    return f"{head}data {len(message)}\n{message}\n{came_from}{inline}"


def _git(path: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(path), *arguments], check=True, capture_output=True, timeout=60)


def question(order: str, file: str) -> str:
    """What the line is asked, in the words in which mined commits ask it."""
    return (
        f"Task: {order}\n\nFile: {file} (language=python)\nholds: {VERBS[0]}_{Path(file).stem}, "
        f"{VERBS[1]}_{Path(file).stem}\n\nDoes the task concern this file? Answer yes or no."
    )


def questions(repos: Sequence[str], count: int) -> list[dict[str, str]]:
    """Questions that no commit asks, half of them about the file that the order names."""
    found = []
    for number in range(count):
        folder, noun = repos[number % len(repos)], NOUNS[number // len(repos) % len(NOUNS)]
        other = noun if number % 2 else NOUNS[(number // len(repos) + 5) % len(NOUNS)]
        order = f"Remove {VERBS[-1 - number % 3]} from the {folder} {noun}"
        found.append({"prompt": question(order, f"{folder}/{other}.py"), "group": f"own/{folder}", "licence": "MIT"})
    return found


def right_answer(asked: str) -> str:
    """Say whether the file is the one that the order names: what a large model sees at once."""
    order, _, file = asked.partition("File: ")
    return "yes" if file.partition(".py")[0].rpartition("/")[2] in order.split() else "no"


class ColdHome:
    """A home as a user's before the first run of an agent, and the commands one gives in it."""

    def __init__(self, home: Path, model: Model) -> None:
        self.home, self.model = home, model
        self.mined: dict[str, Any] = {}
        self.taught: dict[str, Any] = {}
        self.again: dict[str, Any] = {}
        self.refusal: list[str] = []
        self.config = home / "flywheel.toml"
        policies = home / "policies"
        shutil.copytree(shipped("policies"), policies)
        (policies / "lines" / f"{LINE}.toml").write_text(LINE_FILE)
        (policies / "gates" / "quick.toml").write_text(GATE_FILE)
        self.config.write_text(
            SETTINGS.format(home=home, python=train_python(), line=LINE, base=model.base, server=model.url)
        )

    def run(self, *arguments: str | Path, status: int = 0, **env: str) -> str:
        """Give a command; return what it said."""
        argv = flywheel_command(*map(str, arguments), "--config", str(self.config))
        told = {**os.environ, **env}
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=240, env=told)
        assert ended.returncode == status, ended.stdout + ended.stderr
        return ended.stdout if status == 0 else ended.stdout + ended.stderr

    @contextmanager
    def daemon(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the daemon, and let it leave in order."""
        with (self.home / "daemon.log").open("ab") as log:
            process = subprocess.Popen(flywheel_command("run", "--config", str(self.config)), stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)

    def until(self, what: Callable[[], object], seconds: float = 300) -> None:
        """Wait for something the daemon does."""
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, (self.home / "daemon.log").read_text()[-4000:]
            time.sleep(0.3)

    def count(self, table: str) -> int:
        """Return how many rows a table has; a look that costs the daemon nothing."""
        if not (self.home / "flywheel.db").exists():
            return 0
        with closing(sqlite3.connect(f"file:{self.home / 'flywheel.db'}?mode=ro", uri=True)) as store:
            known = store.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
            return int(store.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) if known else 0  # noqa: S608

    def rows(self, noun: str) -> list[dict[str, Any]]:
        """Return what a projection holds."""
        with open_store(sqlite_url(self.home / "flywheel.db")) as store, store.read() as session:
            return list_rows(session, noun, limit=10_000)

    def events(self, *kinds: str) -> list[Event]:
        """Return what the ledger holds of some kinds."""
        if not self.count("ledger"):
            return []
        with open_store(sqlite_url(self.home / "flywheel.db")) as store, store.read() as session:
            return events(session, kinds=kinds, limit=10_000)

    def close(self) -> None:
        """Leave the shared model server as it was."""
        with urllib.request.urlopen(f"{self.model.url}/v1/models", timeout=10) as response:
            names = [card["id"] for card in json.load(response)["data"] if card.get("parent")]
        for name in names:
            body = json.dumps({"lora_name": name}).encode()
            url = f"{self.model.url}/v1/unload_lora_adapter"
            request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=10).close()

    def hire(self, url: str) -> None:
        """Name two teachers in the settings, one of them for the second opinion."""
        self.config.write_text(self.config.read_text() + TEACHERS.format(url=url))

    def teach(self, rows: list[dict[str, str]], *more: str) -> dict[str, Any]:
        """Have questions answered by the line's teachers; return what the command tells."""
        file = self.home / "questions.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        argv = ("bootstrap", "teach", LINE, "--task", "answers", "--from", file, "--json", *more)
        told: dict[str, Any] = json.loads(self.run(*argv))
        return told

    def told(self, kind: str, intent: str) -> list[str]:
        """Return what was said to intents of a kind, in the words of the guardrails."""
        return [event.body["sentence"] for event in self.events(kind) if event.body["intent"]["kind"] == intent]

    def mine(self, repos: list[Path]) -> dict[str, Any]:
        """Mine clones as one's own; return what the command tells."""
        told: dict[str, Any] = json.loads(self.run("bootstrap", "mine", *repos, "--own", "--processes", "1", "--json"))
        return told
