"""Puts the shared fixtures within reach, and each trainer that is at hand."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the shared fixtures lie beside the rooms of the tests

import json
import os
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from fixtures.nurslings import completed, environment
from fixtures.tiny import HYPERPARAMETERS, conversations, tasks, tiny_base, train_python, write_rows

from flywheel.core.training import Hyperparameters, TrainSpec
from flywheel.train.backends.registry import BACKENDS
from flywheel.train.backends.seams import Command, Places

__all__ = ["tiny_base"]

#: Where each backend's interpreter is named; the default trainer is always at hand, the others when they are named.
PYTHONS = {
    "trl": "FLYWHEEL_TRAIN_PYTHON",
    "unsloth": "FLYWHEEL_UNSLOTH_PYTHON",
    "llama-factory": "FLYWHEEL_LLAMAFACTORY_PYTHON",
    "mlx": "FLYWHEEL_MLX_PYTHON",
}
STEPS, SAVE = 12, 4


def python_of(backend: str) -> Path:
    """Return a backend's interpreter, or a skip that says how to name it."""
    python = train_python() if backend == "trl" else os.environ.get(PYTHONS[backend])
    if not python:
        pytest.skip(f"{PYTHONS[backend]} does not name an interpreter of the {backend} environment")
    return Path(python)


def spec_of(backend: str, technique: str = "sft", **values: Any) -> TrainSpec:
    """Return a run of the tiny world; named hyperparameters replace the usual ones."""
    usual = {**HYPERPARAMETERS, "save_steps": SAVE, "dropout": 0.0, **values}
    return TrainSpec.model_validate(
        {
            "line": "l",
            "dataset": "d",
            "base_name": "tiny",
            "base_fingerprint": "f",
            "technique": technique,
            "backend": backend,
            "hyperparameters": Hyperparameters.model_validate(usual).model_dump(),
        }
    )


@dataclass(frozen=True)
class Trainer:
    """One backend with its interpreter, the base and a dataset."""

    backend: str
    python: Path
    base: Path
    dataset: Path

    def places(self, folder: Path, splits: Iterable[str] = ()) -> Places:
        """Return where a run in this folder finds everything."""
        found = {"train", "valid", *splits}
        return Places(python=self.python, base=self.base, dataset=self.dataset, folder=folder, splits=found)

    def command(self, folder: Path, splits: Iterable[str] = (), **values: Any) -> Command:
        """Write the orders of a run and return its command."""
        spec = spec_of(self.backend, **values)
        command = BACKENDS[self.backend].command(spec, self.places(folder, splits), 8)
        folder.mkdir(parents=True, exist_ok=True)
        self.places(folder).orders.write_text(json.dumps(command.orders))
        return command

    def start(self, command: Command, folder: Path) -> "subprocess.Popen[str]":
        """Start a run as the daemon does: in its folder, in a process group of its own."""
        return subprocess.Popen(
            command.argv, cwd=folder, env={**os.environ, **command.env}, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def run(self, command: Command, folder: Path) -> tuple[int, list[dict[str, Any]]]:
        """Do a run to its end; return its status and what it said."""
        with self.start(command, folder) as process:
            said, _ = process.communicate(timeout=280)
        return process.returncode, [json.loads(line) for line in said.splitlines()]


@pytest.fixture(scope="session", params=PYTHONS)
def trainer(request: pytest.FixtureRequest, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """Each backend that is at hand."""
    dataset = tmp_path_factory.mktemp("dataset")
    write_rows(dataset / "train.jsonl", conversations(tasks(STEPS * 8, seed=3)))
    write_rows(dataset / "valid.jsonl", conversations(tasks(8, seed=5)))
    return Trainer(request.param, python_of(request.param), tiny_base, dataset)


@pytest.fixture(scope="session")
def finished(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """Return a run that nobody disturbed: its folder and what it said."""
    folder = tmp_path_factory.mktemp("finished")
    status, said = trainer.run(trainer.command(folder, eval_steps=SAVE), folder)
    assert status == 0, said
    return folder, said


Losses = Callable[[Path, Path, Path], dict[str, Any]]

_LOSSES = """
import json, sys, torch
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import sft_rows
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, adapter, rows = sys.argv[2:]
tokenizer = AutoTokenizer.from_pretrained(base)
examples = sft_rows.read(Path(rows), tokenizer, 1024)
def loss(model):
    with torch.no_grad():
        pairs = [{key: torch.tensor([e[key]]) for key in ("input_ids", "labels")} for e in examples]
        each = [model(**pair).loss for pair in pairs]
    return float(sum(each) / len(each))
plain = loss(AutoModelForCausalLM.from_pretrained(base).eval())
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).eval()
changed = sum(1 for name, weight in model.named_parameters() if "lora_B" in name and float(weight.abs().sum()) > 0)
finite = all(bool(torch.isfinite(weight).all()) for weight in model.parameters())
print(json.dumps({"base": plain, "adapter": loss(model), "changed": changed, "finite": finite}))
"""


@pytest.fixture(scope="session")
def losses() -> Losses:
    """Return a measure of rows under the base alone and with an adapter, by PEFT in the train environment."""

    def measure(base: Path, adapter: Path, rows: Path) -> dict[str, Any]:
        jobs = Path(__file__).parents[3] / "flywheel" / "jobs"
        argv = [train_python(), "-c", _LOSSES, str(jobs), str(base), str(adapter), str(rows)]
        done = completed(argv, environment(), 200)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    return measure
