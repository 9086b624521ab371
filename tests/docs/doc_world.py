"""The world that the commands of the documents are run in: a home with one of everything, and the names they use."""

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

from documents import ROOT
from fixtures.homes import Home
from typer.main import get_command

from flywheel.cli.main import app, main
from flywheel.core.clocks import ManualClock
from flywheel.keep.shelves import FolderShelf
from flywheel.store.stores import open_store, sqlite_url

AGENT = """
CREATE TABLE task_runs (id TEXT PRIMARY KEY, success INTEGER, created_at TEXT, finished_at TEXT);
CREATE TABLE llm_calls (id INTEGER PRIMARY KEY, task_id TEXT, prompt TEXT, response TEXT, created_at TEXT);
INSERT INTO task_runs VALUES ('t1', 1, '2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z');
INSERT INTO llm_calls VALUES (1, 't1', 'What is 2 + 2?', '4', '2026-01-01T00:00:30Z');
"""
#: A clone of two commits: a project of one file, and a lesson in it.
CLONE = """\
commit refs/heads/main
mark :1
committer Ada <ada@example.org> 1767225600 +0000
data 15
Start a project
M 100644 inline sums.py
data 71
def add(left: int, right: int) -> int:
    return left - right


X = 1

commit refs/heads/main
mark :2
committer Ada <ada@example.org> 1767229200 +0000
data 29
Add the numbers, as it should
from :1
M 100644 inline sums.py
data 71
def add(left: int, right: int) -> int:
    return left + right


X = 1
"""
CALL = '<tool_call>\n{"name": "add", "arguments": {"n": %d}}\n</tool_call>'


def _rows(numbers):
    """Return rows of a dataset that somebody might bring along: questions, half of them answered by a tool."""
    for number in numbers:
        answer = CALL % number if number % 2 else str(2 * number)
        messages = [{"role": "user", "content": f"{number} + {number}?"}, {"role": "assistant", "content": answer}]
        yield json.dumps({"messages": messages}) + "\n"


class World:
    """A person's home folder with settings, an agent's database, and a flywheel that has been at work."""

    def __init__(self, path):
        self.path = path
        self.person = path / "person"
        self.home = Home(self.person / ".local" / "share" / "flywheel")
        self.home.clock = ManualClock(datetime.now(UTC) - timedelta(days=1))
        self.home.furnish(1)
        self.home.furnish(2)
        self.under_way = self.home.run(9, next((self.home.path / "datasets").iterdir()).name, ended=False)
        self.backups = path / "backups"
        self.backup = self.home.back_up(FolderShelf(self.backups)).id
        self.home.close()
        self.names = self._names()
        self._agent()
        self._clone()
        self._settings()
        shutil.copytree(ROOT / "policies", path / "here" / "policies")
        (path / "here" / "my-dataset").mkdir()
        for name, numbers in {"train": range(20), "valid": range(20, 24)}.items():
            (path / "here" / "my-dataset" / f"{name}.jsonl").write_text("".join(_rows(numbers)))

    def _agent(self):
        (self.person / "agent").mkdir(parents=True)
        with closing(sqlite3.connect(self.person / "agent" / "agent.db")) as connection:
            connection.executescript(AGENT)

    def _clone(self):
        clone = self.person / "src" / "project"
        for words, given in (
            (["init", "-q", "-b", "main"], ""),
            (["fast-import", "--quiet"], CLONE),
            (["reset", "-q", "--hard"], ""),
        ):
            clone.mkdir(parents=True, exist_ok=True)
            subprocess.run(["git", "-C", clone, *words], input=given.encode(), check=True, timeout=60)

    def _settings(self, *, there=True):
        """Let the settings be this world's, or not be there."""
        base = self.path / "base"
        base.mkdir(exist_ok=True)
        (base / "config.json").write_text("{}")
        config = self.person / ".config" / "flywheel" / "flywheel.toml"
        shutil.rmtree(config.parent, ignore_errors=True)
        if not there:
            return
        config.parent.mkdir(parents=True)
        config.write_text(
            f'lines = ["tool-calling", "build-rust", "build-python"]\n[bases.main]\npath = "{base}"\nserved_as = "b"\n'
            f'[[sources]]\nname = "agent"\npath = "~/agent/agent.db"\n[keep]\nbackups = "{self.backups}"\n'
            '[[teachers]]\nname = "large"\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "m"\n'
            "price_in = 0\nprice_out = 0\n"
        )

    def _names(self):
        """Return what the documents call things, and what they are called here."""
        adapter = next((self.home.path / "adapters" / "tool-calling").glob("1-*"))
        run = next(path.name for path in (self.home.path / "runs").iterdir() if path.name != self.under_way)
        dataset = next(path.name for path in (self.home.path / "datasets").iterdir())
        return {
            "cancel run-1a2b3c4d": f"cancel {self.under_way}",
            "run-1a2b3c4d": run,
            "1a2b3c4d": dataset[:8],
            "plan@3": "tool-calling@1",
            "plan@4": "tool-calling@2",
            "train plan": "train tool-calling",
            "/opt/flywheel/bin/flywheel": "flywheel",
            "/mnt/backups/flywheel": str(self.backups),
            "1-3f382d12": adapter.name,
            "20261121T0315": self.backup,
        }

    def here(self, line):
        """Return the words of a command with the names of this world."""
        for there, name in self.names.items():
            line = line.replace(there, name)
        line = re.sub(r"(^|\s)~/", rf"\1{self.person}/", line)
        return shlex.split(line, comments=True)[1:]

    def run(self, line, monkeypatch):
        """Run a command in this process as a person would type it; return its exit status."""
        words = self.here(line)
        if _waits(words):
            words += ["--wait", "0"]  # it is asked; who answers is tested elsewhere
        self._settings(there=words[0] != "init")
        self._enter(monkeypatch)
        monkeypatch.setattr(sys, "argv", ["flywheel", *words])
        try:
            main()
        except SystemExit as left:
            return int(left.code or 0)
        return 0

    def _enter(self, monkeypatch):
        for variable in [name for name in os.environ if name.startswith(("FLYWHEEL_", "XDG_"))]:
            monkeypatch.delenv(variable)
        monkeypatch.setenv("HOME", str(self.person))
        monkeypatch.chdir(self.path / "here")

    def empty(self):
        """Let the home hold nothing."""
        shutil.rmtree(self.home.path)

    def live(self):
        """Let the home hold a store, whatever was done to it before."""
        if not self.home.store_path.exists():
            open_store(sqlite_url(self.home.store_path)).close()


def _waits(words):
    """Tell whether a command asks the daemon for something."""
    command, rest = get_command(app), list(words)
    while rest and hasattr(command, "commands") and rest[0] in command.commands:
        command = command.commands[rest.pop(0)]
    return any("--wait" in option.opts for option in command.params) and "--wait" not in words
