"""One command for each adapter, and one for each layer: a preset line with data, and the real daemon."""

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sources"))  # opencode's double lies with the tests of its source

from acceptance_house import train_python
from opencode_agents import Opencode, bash, edit

from flywheel.cli.demos.processes import flywheel_command
from flywheel.daemon.places import shipped
from flywheel.store.ledger import events
from flywheel.store.listings import list_rows
from flywheel.store.stores import open_store, sqlite_url

pytestmark = [pytest.mark.train, pytest.mark.timeout(280)]

WORDS = [
    "parse", "cache", "token", "stream", "buffer", "index", "frame", "lease", "codec", "router", "mutex", "arena",
    "slice", "trait", "shard", "queue",
]  # fmt: skip
SETTINGS = """\
home = "{home}"
policies = "{home}/policies"
train_python = "{python}"
lines = ["build-rust"]

[bases.main]
path = "{base}"
served_as = "tiny-base"

[[sources]]
kind = "opencode"
name = "opencode"
path = "{home}/opencode.db"

[[servers]]
url = "http://127.0.0.1:9"
max_lora_rank = 16
"""


def write_history(path: Path, sessions: int) -> None:
    """Sessions in Rust: something was edited, and the tests passed after it."""
    rng, agent = random.Random(7), Opencode(path)
    agent.now = 1_700_000_000_000
    for number in range(sessions):
        name = agent.session(f"ses_{number}")
        wish = " ".join(rng.choices(WORDS, k=12))
        agent.ask(name, f"{wish} {number}")
        file = f"src/{'_'.join(rng.choices(WORDS, k=3))}_{number}.rs"
        agent.answer(name, edit(file), text=" ".join(rng.choices(WORDS, k=6)))
        agent.answer(name, bash(f"cargo test {' '.join(rng.choices(WORDS, k=4))}", output="test result: ok. 4 passed"))
    agent.close()


class House:
    """A home as a user's, and the commands one gives in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home / "flywheel.toml"

    @contextmanager
    def daemon(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the daemon, and let it leave in order."""
        with (self.home / "daemon.log").open("ab") as log:
            argv = flywheel_command("run", "--config", str(self.config))
            process = subprocess.Popen(argv, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)

    def until(self, what: Callable[[], object], seconds: float = 200) -> None:
        """Wait for something the daemon does."""
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, (self.home / "daemon.log").read_text()[-3000:]
            time.sleep(0.3)

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Give a command."""
        argv = flywheel_command(*arguments, "--config", str(self.config))
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=180)

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

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Return what the ledger's events of a kind say."""
        with open_store(sqlite_url(self.home / "flywheel.db")) as store, store.read() as session:
            return [event.body for event in events(session, kinds=[kind])]


def rewrite(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A home in which `flywheel train build-rust` was said: the preset, cut to a run that a CPU does in seconds."""
    house = House(tmp_path_factory.mktemp("home"))
    shutil.copytree(shipped("policies"), house.home / "policies")
    rewrite(
        house.home / "policies" / "lines" / "build-rust.toml",
        ("fresh_examples = 75\nafter_days     = 30", "fresh_examples = 100000"),  # nothing but the wish starts it
        ("epochs        = 3", "max_steps     = 3"),
        ('optimizer     = "adamw_8bit"', 'optimizer     = "adamw_torch"'),
        ("max_length    = 8192", "max_length    = 512"),
    )
    write_history(house.home / "opencode.db", 210)
    house.config.write_text(SETTINGS.format(home=house.home, python=train_python(), base=tiny_base))
    with house.daemon() as daemon:
        house.until(lambda: house.count("examples") >= 380 or daemon.poll() is not None)
        assert house.count("datasets") == 0
        asked = house.command("train", "build-rust", "--wait", "120")
        assert asked.returncode == 0, asked.stdout + asked.stderr
        assert asked.stdout.startswith("froze dataset 1 of build-rust: ")
        house.until(lambda: house.count("adapters"))
    return house


def test_a_preset_line_is_trained_by_one_command(trained: House) -> None:
    """The history becomes examples by itself; the command freezes them, trains, and leaves `build-rust@1`."""
    (adapter,), (run,) = trained.rows("adapters"), trained.rows("runs")
    assert (adapter["name"], adapter["run"], run["state"]) == ("build-rust@1", run["id"], "finished")
    numbers = run["spec"]["hyperparameters"]
    assert (numbers["rank"], numbers["alpha"], numbers["learning_rate"]) == (16, 16, 1e-4)
    assert (numbers["batch_size"], numbers["accumulation"]) == (1, 8)
    (pinned,) = trained.told("train.base_pinned")
    assert set(pinned["parts"]) == {"weights", "tokenizer", "quantisation", "configuration"}
    assert adapter["body"]["base_parts"] == pinned["parts"]


def test_layers_are_for_operators_who_changed_the_guardrail(trained: House) -> None:
    """Refused as shipped, with the reason; allowed by a change of the policy, the adapter is fused into a base."""
    fuse = ("adapters", "fuse", "build-rust@1", "--as", "main-1", "--wait", "120")
    with trained.daemon() as daemon:
        refused = trained.command(*fuse)
        assert refused.returncode == 1
        assert "base.is_adapter is true, needs false" in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1
        rewrite(trained.home / "policies" / "guardrails" / "base-not-an-adapter.toml", ('"enforce"', '"observe"'))
        daemon.send_signal(signal.SIGHUP)
        trained.until(lambda: trained.told("daemon.settings_reloaded"))
        done = trained.command(*fuse)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "base main-1 is main + build-rust@1" in done.stdout
        rewrite(trained.home / "policies" / "lines" / "build-rust.toml", ('base = "main"', 'base = "main-1"'))
        daemon.send_signal(signal.SIGHUP)
        trained.until(lambda: len(trained.told("daemon.settings_reloaded")) > 1)
    assert trained.told("policy.policies_rejected") == trained.told("daemon.settings_rejected") == []
    (fused,) = trained.told("train.base_fused")
    assert fused["lineage"] == json.loads((trained.home / "bases" / "main-1" / "lineage.json").read_text())
    assert fused["lineage"]["original"] == "main"
