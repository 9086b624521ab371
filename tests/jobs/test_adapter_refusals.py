"""What a training job does not do, refused in one line before anything heavy is imported."""

import json
from pathlib import Path
from typing import Any

import pytest
from fixtures.techniques import technique_spec
from fixtures.tiny import Json, events, run

ANSWER: Json = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return a folder that passes for a model's."""
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def refusal(path: Path) -> str:
    """Return the one line with which a run says no; this interpreter has no torch."""
    done = run("train_adapter.py", path)
    (said,) = events(done.stdout)
    assert (done.returncode, said["event"]) == (2, "failed"), done.stderr
    return str(said["error"])


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        ("dora", "vLLM refuses to serve DoRA adapters; use lora or rslora"),
        ("alora", "vLLM refuses to serve aLoRA adapters"),
        ("pissa", "PiSSA takes its start out of the base's weights and leaves the base changed; the base is frozen"),
        ("olora", "OLoRA takes its start out of the base's weights"),
        ("eva", 'variant must be "lora" or "rslora"'),
    ],
)
def test_a_variant_that_serving_or_the_frozen_base_forbids_is_refused(
    base: Path, tmp_path: Path, variant: str, reason: str
) -> None:
    """With the reason."""
    assert reason in refusal(technique_spec(base, tmp_path / "run", "sft", {"train": [ANSWER]}, variant=variant))
    assert not (tmp_path / "run" / "out").exists()


@pytest.mark.parametrize(
    ("technique", "files", "more", "reason"),
    [
        ("dpo", {"train": [ANSWER]}, {}, "technique dpo needs a pairs file"),
        ("kto", {"train": [ANSWER]}, {}, "technique kto needs a judged file"),
        ("cot-sft-dpo", {"train": [ANSWER]}, {}, "technique cot-sft-dpo needs a pairs file"),
        ("ppo", {"train": [ANSWER]}, {}, 'technique must be "sft" or "cot-sft" or "dpo"'),
        ("kto", {"judged": [{}]}, {"batch_size": 1}, "kto needs a batch_size of 2 or more"),
        ("dpo", {"pairs": [{}]}, {"span_weights": {"PLAN": 2}}, "span_weights weigh the answers that sft learns"),
        (
            "sft",
            {"train": [ANSWER]},
            {"span_weights": {"PLANS": 2}},
            "span_weights must be weights from 0 by the names",
        ),
        ("sft", {"train": [ANSWER]}, {"span_weights": {"PLAN": -1}}, "span_weights must be weights from 0"),
        ("sft", {"train": [ANSWER]}, {"quantization": "int8"}, 'quantization must be "none" or "nf4"'),
        ("sft", {"train": [ANSWER]}, {"preference": {"bet": 1}}, "unknown preference keys: bet"),
        ("sft", {"train": [ANSWER]}, {"preference": {"beta": 0}}, "beta must be a number above 0"),
        ("dpo", {"pairs": [{}]}, {"eval_steps": 2}, "eval_steps needs a pairs_valid file"),
        ("dpo", {"pairs": [{}], "valid": [ANSWER]}, {"eval_steps": 2}, "eval_steps needs a pairs_valid file"),
    ],
)
def test_a_technique_that_cannot_be_done_so_is_refused(
    base: Path, tmp_path: Path, technique: str, files: dict[str, list[Json]], more: dict[str, Any], reason: str
) -> None:
    """One line that names the key."""
    assert reason in refusal(technique_spec(base, tmp_path / "run", technique, files, **more))


def test_a_spec_from_before_the_techniques_claims_the_same_folder(base: Path, tmp_path: Path) -> None:
    """A run that an older flywheel began is gone on with: what it did not know and does not use leaves no trace."""
    path = technique_spec(base, tmp_path, "sft", {"train": [ANSWER]})
    body = json.loads(path.read_text())
    older = {key: body[key] for key in ("base", "hyperparameters", "out", "seed", "train", "valid")}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "started.json").write_text(json.dumps(older, indent=1, sort_keys=True) + "\n")
    assert "is not a model" in (said := claimed(path)) or "No module named" in said


def claimed(path: Path) -> str:
    """Return how a run ended that got past its claim: this interpreter has no trainer, and the base is none."""
    done = run("train_adapter.py", path)
    assert done.returncode == 1, done.stdout
    return str(events(done.stdout)[-1]["error"])
