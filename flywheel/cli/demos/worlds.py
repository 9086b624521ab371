"""The demo's world: a base model, a home, settings and policies, written as a user would write them."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from flywheel.cli.demos.agents import Task
from flywheel.core.errors import PermanentError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import bytes_hash, short
from flywheel.daemon.places import shipped
from flywheel.train.backends.trl import ENV

LINE = "tool-calling"
BASE = "tiny-base"
SEED = 20
_JOBS = Path(__file__).parent.parent.parent / "jobs"

LINE_FILE = """\
why = "The demo's agent calls eight tools; its tiny base knows the right form of a call but often uses an older one."
base = "tiny"
rung = 3                          # it learns from what its own calls did
gate = "demo"
rollout = "demo"

[select]
sources = ["agent"]
call_types = ["tool_call"]

[labels]
require_tool_call = true

[dataset]
minimum_examples = 150
holdout = 0.35                    # a third of the tasks never teaches: it becomes the suite
suite_limit = 150

[trigger]
fresh_examples = 400

[train]
backend = "trl"
technique = "sft"
runs_per_day = 4

[train.hyperparameters]
rank = 8
alpha = 16
learning_rate = 2e-3
scheduler = "linear"
epochs = 4
max_steps = 100
batch_size = 16
max_length = 256
precision = "fp32"
gradient_checkpointing = false
eval_steps = 25
save_steps = 25
"""

GATE_FILE = """\
why = "The shipped gate's rules with fewer problems, because the whole demo lasts minutes."
metric = "tool_call"
minimum_problems = 80
judge_latency = false             # on a CPU a LoRA costs more time than the model: reported, not judged

[sampling]
samples = 2
temperature = 0.7
max_tokens = 64
concurrency = 12
"""

ROLLOUT_FILE = """\
why = "A large share and few outcomes, so that the canary is decided within a minute."
share = 0.3
minimum_outcomes = 30
tolerated_loss = 0.05
longest_hours = 1
"""


class World(Frozen):
    """Where everything of the demo lies."""

    home: Path
    base: Path
    server: str
    gateway_port: int
    web_port: int = 0

    @property
    def config(self) -> Path:
        """Return the settings file."""
        return self.home / "flywheel.toml"

    @property
    def agent_database(self) -> Path:
        """Return the agent's own database."""
        return self.home / "agent" / "agent.db"

    @property
    def gateway(self) -> str:
        """Return the gateway's address."""
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def dashboard(self) -> str:
        """Return where it can be looked at in a browser while it runs."""
        return f"http://127.0.0.1:{self.web_port}/"


def write_world(world: World, train_python: Path) -> None:
    """Write settings and policies into the demo's home."""
    world.agent_database.parent.mkdir(parents=True, exist_ok=True)
    policies = world.home / "policies"
    shutil.copytree(shipped("policies"), policies, dirs_exist_ok=True)
    for old in (policies / "lines").glob("*.toml"):
        old.unlink()
    (policies / "lines" / f"{LINE}.toml").write_text(LINE_FILE)
    (policies / "gates" / "demo.toml").write_text(GATE_FILE)
    (policies / "rollouts" / "demo.toml").write_text(ROLLOUT_FILE)
    _observe(policies / "guardrails")
    world.config.write_text(_settings(world, train_python))


def build_base(python: Path, cache: Path, told: Callable[[int, int], None]) -> Path:
    """Return the tiny base model, built once and kept under the hash of the scripts that build it."""
    scripts = [_JOBS / name for name in ("tiny_world.py", "tiny_base.py", "tiny_tasks.py")]
    target = cache / f"tiny-base-{short(bytes_hash(path.read_bytes() for path in scripts))}"
    cache.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second builder waits and finds it whole
        _build([str(python), str(scripts[0]), "build", "--out", str(target)], told)
    return target


def _build(argv: list[str], told: Callable[[int, int], None]) -> None:
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **ENV}
    ) as job:
        for line in job.stdout or ():
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "progress":
                told(event["step"], event["of"])
        errors = job.stderr.read() if job.stderr else ""
    if job.returncode != 0:
        raise PermanentError(
            "the tiny base model could not be built", (errors.strip().splitlines() or ["no output"])[-1]
        )


def tasks(python: Path, start: int, count: int) -> tuple[Task, ...]:
    """Return tasks of the tiny world; ranges that do not meet hold different tasks."""
    argv = [
        str(python),
        str(_JOBS / "tiny_world.py"),
        "tasks",
        "--count",
        str(count),
        "--start",
        str(start),
        "--seed",
        str(SEED),
    ]
    found = subprocess.run(argv, capture_output=True, text=True, check=True)
    return tuple(Task.model_validate_json(line) for line in found.stdout.splitlines())


def _observe(guardrails: Path) -> None:
    """Let the teacher guardrail speak without stopping: the demo's half-million-parameter base has no teacher."""
    path = guardrails / "teacher-below-6b.toml"
    path.write_text(path.read_text().replace('"enforce"', '"observe"', 1))


def _settings(world: World, train_python: Path) -> str:
    return f"""\
# Written by `flywheel demo`; a user's own file looks the same.
home = "{world.home}"
lines = ["{LINE}"]
policies = "{world.home / "policies"}"
train_python = "{train_python}"

[bases.tiny]
path = "{world.base}"
served_as = "{BASE}"
parameters_billion = 0.0006

[[sources]]
name = "agent"
path = "{world.agent_database}"

[[servers]]
url = "{world.server}"
max_loras = 4                     # the server was started for 5: docs/serving.md says why
max_cpu_loras = 4
max_lora_rank = 16

[gateway]
port = {world.gateway_port}

[web]
port = {world.web_port}
"""
