"""`flywheel gate` as a person types it, against a running server: verdicts as statuses, and nothing left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from acceptance_house import Model
from proofs_house import post, publish_exam

from flywheel.cli.demos.processes import flywheel_command
from flywheel.cli.gate_visits import _host
from flywheel.daemon.places import shipped

pytestmark = [pytest.mark.train, pytest.mark.timeout(280)]

SETTINGS = """\
home = "{home}"
policies = "{home}/policies"

[bases.tiny]
path = "{base}"
served_as = "tiny-base"

[[servers]]
url = "{server}"
max_lora_rank = 16
"""
GATE = """\
why = "Few problems, one answer to each: the command is what is tried here."
metric = "tool_call"
minimum_problems = {least}
minimum_groups = 5
largest_error_rate = 0.2
judge_latency = false

[sampling]
samples = 1
max_tokens = 64
concurrency = 32
"""


class Home:
    """A home with settings, a small suite, and no store: nobody has run a daemon here."""

    def __init__(self, folder: Path, model: Model) -> None:
        self.folder, self.model = folder, model
        self.config = folder / "flywheel.toml"
        self.config.write_text(SETTINGS.format(home=folder, base=model.base, server=model.url))
        shutil.copytree(shipped("policies"), folder / "policies")
        for name, least in (("quick", 30), ("strict", 400)):
            (folder / "policies" / "gates" / f"{name}.toml").write_text(GATE.format(least=least))
        self.suite = publish_exam(folder / "suites", 40)

    def gate(self, *arguments: str | Path) -> list[str]:
        """The command line that measures something here."""
        return [*flywheel_command("gate"), *map(str, arguments), "--config", str(self.config)]

    def run(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        """Measure something."""
        return subprocess.run(self.gate(*arguments), capture_output=True, text=True, check=False, timeout=200)


@pytest.fixture(scope="module")
def home(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that all tests measure in."""
    return Home(tmp_path_factory.mktemp("home"), model)


def names(model: Model) -> list[str]:
    """What the server holds of ours."""
    with urllib.request.urlopen(f"{model.url}/v1/models", timeout=10) as response:
        return [card["id"] for card in json.load(response)["data"] if card["id"].startswith("flywheel-gate-")]


def test_a_foreign_folder_passes_and_nothing_is_left(
    home: Home, known_adapters: dict[str, Path], tmp_path: Path
) -> None:
    """A PEFT folder with a trainer's litter: measured, passed, told as JSON; the server and the home are as before."""
    foreign = tmp_path / "made-elsewhere"
    shutil.copytree(known_adapters["sft"], foreign)
    (foreign / "training_args.bin").write_bytes(b"a pickle that nobody reads")
    (foreign / "checkpoint-1").mkdir()
    page = tmp_path / "page.html"
    said = home.run(foreign, "--suite", home.suite.name[:12], "--gate", "quick", "--json", "--out", page)
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert (told["verdict"], told["status"], told["name"], told["recorded"]) == ("pass", 0, "made-elsewhere", False)
    assert (told["alpha_spent"], told["measured_before"], told["suite"]) == (0, False, home.suite.name)
    assert "made-elsewhere" in page.read_text().partition("</h1>")[0]
    assert "Nothing of the suite&#x27;s chance of a false promotion was spent." in page.read_text()
    assert names(home.model) == []
    assert not (home.folder / "flywheel.db").exists()
    assert not list(home.folder.glob("trials/*/*/adapter*"))
    again = home.run(foreign, "--suite", home.suite.name[:12], "--gate", "quick")
    assert again.returncode == 0
    assert "measured before" in again.stdout
    assert "nothing was recorded or promoted" in again.stdout


def test_a_failing_adapter_and_too_little_evidence_have_their_own_status(
    home: Home, known_adapters: dict[str, Path]
) -> None:
    """3 for fail and 4 for insufficient evidence, with the sentence that says why; the server may be named by hand."""
    by_hand = ("--server", f"{home.model.url}/v1", "--base", "tiny-base", "--suite", home.suite.name)
    failed = home.run(known_adapters["shuffled-labels"], *by_hand, "--gate", "quick")
    assert failed.returncode == 3, failed.stderr
    assert "fail: points gained: lost" in failed.stdout
    little = home.run(known_adapters["sft"], *by_hand, "--gate", "strict")
    assert little.returncode == 4, little.stderr
    assert "360 more problems" in little.stdout


def test_the_format_alone_is_told_without_a_verdict(home: Home, known_adapters: dict[str, Path]) -> None:
    """Some dozens of prompts, the formats by parser, base beside candidate; exit status 0 whatever was seen."""
    said = home.run(known_adapters["sft"], "--suite", home.suite.name, "--gate", "quick", "--format-only", "--json")
    told = json.loads(said.stdout)
    assert said.returncode == 0
    assert (told["prompts"], told["trained_format"]) == (40, "json")
    assert told["formats"]["candidate"]["json"] > told["formats"]["base"]["json"]
    assert told["low"] < told["in_format"] <= told["high"]
    assert "verdict" not in told
    assert names(home.model) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_unloads_and_goes_on_later(
    home: Home, known_adapters: dict[str, Path], tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C in the middle: the adapter is off the server, no process is left, and the next time it goes on."""
    foreign = tmp_path / f"interrupted-{number.name}"
    shutil.copytree(known_adapters["breaks-one-tool"], foreign)
    (foreign / "adapter_config.json").write_text((foreign / "adapter_config.json").read_text() + " " * number)
    before = set(home.folder.glob("trials/*/*/out/answers.jsonl"))
    argv = home.gate(foreign, "--suite", home.suite.name, "--gate", "quick")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        kept = _wait_for(lambda: _begun(home, before), 60)
        assert names(home.model) == [f"flywheel-gate-{_host()}-{process.pid}"]
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert names(home.model) == []
    assert not _at_work(kept.parent.parent)
    assert not list(home.folder.glob("trials/*/*/adapter*"))
    if number is signal.SIGINT:
        before_it_ended = kept.read_bytes().splitlines()
        assert subprocess.run(argv, capture_output=True, check=False, timeout=200).returncode in {0, 3}
        assert kept.read_bytes().splitlines()[: len(before_it_ended)] == before_it_ended


def test_what_a_killed_visit_left_is_taken_off_by_the_next(home: Home, known_adapters: dict[str, Path]) -> None:
    """A name of a process that is gone goes; one of a process that lives, or of another machine, stays."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    ours, living, foreign = (
        f"flywheel-gate-{_host()}-{gone.pid}", f"flywheel-gate-{_host()}-{os.getpid()}", "flywheel-gate-abcdef-1"
    )  # fmt: skip
    for name in (ours, living, foreign):
        post(f"{home.model.url}/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(known_adapters["sft"])})
    try:
        home.run(known_adapters["sft"], "--suite", home.suite.name, "--gate", "quick", "--format-only")
        assert names(home.model) == sorted([living, foreign])
    finally:
        for name in (living, foreign):
            post(f"{home.model.url}/v1/unload_lora_adapter", {"lora_name": name})


def _begun(home: Home, before: set[Path]) -> Path | None:
    fresh = [path for path in home.folder.glob("trials/*/*/out/answers.jsonl") if path not in before]
    return next((path for path in fresh if path.stat().st_size), None)


def _wait_for(what: Callable[[], Path | None], seconds: float) -> Path:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not begin")


def _at_work(folder: Path) -> list[str]:
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    return [line.decode(errors="replace") for line in lines if str(folder).encode() in line]
