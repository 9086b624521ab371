"""Preferences, stages, weights, run for real: the same bytes after a kill, a proved reference, the best step kept."""

import json
from pathlib import Path
from typing import Any

import pytest
from fixtures.nurslings import completed, environment
from fixtures.techniques import adapter_bytes, finished, killed, lessons, run_many, technique_spec
from fixtures.tiny import JOBS, Json, events, train_python

pytestmark = [pytest.mark.train, pytest.mark.timeout(900)]

SMALL = {"batch_size": 4, "save_steps": 2, "dropout": 0.1}
IMPATIENT = {"eval_steps": 2, "patience": 1, "learning_rate": 0.3, "epochs": 6}
LATER = {"preference": {"learning_rate": 1e-3}}
HASTY = {"preference": {"learning_rate": 0.3, "epochs": 6}}


def _runs(base: Path, folder: Path) -> dict[str, Path]:
    answers, pairs, judged = lessons("sft", 24), lessons("dpo", 24, start=100), lessons("kto", 24, start=200)
    reasoned, unseen = lessons("cot-sft", 16), lessons("dpo", 8, start=300)
    both: dict[str, list[Json]] = {"train": answers, "pairs": pairs}
    made: dict[str, tuple[str, dict[str, list[Json]], dict[str, Any]]] = {
        "dpo": ("dpo", {"pairs": pairs}, SMALL),
        "kto": ("kto", {"judged": judged}, SMALL),
        "sft-dpo": ("sft-dpo", both, {**SMALL, **LATER}),
        "impatient dpo": ("dpo", {"pairs": pairs, "pairs_valid": unseen}, {**SMALL, **IMPATIENT}),
        "impatient kto": (
            "kto",
            {"judged": judged, "judged_valid": lessons("kto", 16, start=400)},
            {**SMALL, **IMPATIENT},
        ),
        "impatient second": ("sft-dpo", {**both, "pairs_valid": unseen}, {**SMALL, **IMPATIENT, "epochs": 1, **HASTY}),
        "stock": ("sft", {"train": reasoned}, SMALL),
        "ones": ("sft", {"train": reasoned}, {**SMALL, "span_weights": {"PLAN": 1.0, "REASONING": 1.0}}),
        "16 x 1": ("sft", {"train": reasoned}, {**WEIGHTED, "batch_size": 16}),
        "4 x 4": ("sft", {"train": reasoned}, {**WEIGHTED, "batch_size": 4, "accumulation": 4}),
    }
    return {name: technique_spec(base, folder / name, *body[:2], **body[2]) for name, body in made.items()}


WEIGHTED = {"span_weights": {"PLAN": 3.0, "REASONING": 0.2}, "max_steps": 1, "ordered": True, "warmup": 0.0}


@pytest.fixture(scope="session")
def unbroken(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Json]]]:
    """Return the folder of runs that nobody disturbed, and what each said."""
    folder = tmp_path_factory.mktemp("stages")
    specs = _runs(tiny_base, folder)
    return folder, dict(zip(specs, run_many(list(specs.values())), strict=True))


def copied(unbroken: tuple[Path, dict[str, list[Json]]], name: str, folder: Path) -> Path:
    """Return the same spec for another folder."""
    body = json.loads((unbroken[0] / name / "spec.json").read_text())
    path = folder / "spec.json"
    path.write_text(json.dumps({**body, "out": str(folder / "out")}))
    return path


@pytest.mark.parametrize("technique", ["dpo", "kto"])
def test_a_killed_run_on_preferences_ends_with_the_same_bytes(
    unbroken: tuple[Path, dict[str, list[Json]]], tmp_path: Path, technique: str
) -> None:
    """Killed -9 behind its second checkpoint, it goes on from there, in another process."""
    path = copied(unbroken, technique, tmp_path)
    killed(path, "checkpoint", 4)
    assert finished(path)[0]["resumed_from"] == 4
    assert adapter_bytes(tmp_path) == adapter_bytes(unbroken[0] / technique)


def test_a_run_killed_in_both_stages_ends_with_the_same_bytes(
    unbroken: tuple[Path, dict[str, list[Json]]], tmp_path: Path
) -> None:
    """Once in the first stage, once in the second; the second never does the first again, and its reference stays."""
    path = copied(unbroken, "sft-dpo", tmp_path)
    killed(path, "checkpoint", 4)
    killed(path, "checkpoint", 8)
    said = finished(path)
    assert (said[0]["steps"], said[0]["resumed_from"], said[-1]["steps"]) == (12, 8, 12)
    assert adapter_bytes(tmp_path) == adapter_bytes(unbroken[0] / "sft-dpo")


def test_two_stages_are_one_run_to_who_watches(unbroken: tuple[Path, dict[str, list[Json]]]) -> None:
    """Steps go on counting over the stages, and the first says already how many there will be."""
    said = unbroken[1]["sft-dpo"]
    steps = [event for event in said if event["event"] == "step"]
    assert [event["step"] for event in steps] == list(range(1, 13))
    assert {event["of"] for event in steps} == {12}
    assert [event["steps"] for event in said if event["event"] == "started"] == [12, 12]
    assert [event["step"] for event in said if event["event"] == "checkpoint"] == [2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize(("name", "most"), [("impatient dpo", 36), ("impatient kto", 36), ("impatient second", 42)])
def test_preferences_stop_early_with_their_best_step(
    unbroken: tuple[Path, dict[str, list[Json]]], name: str, most: int
) -> None:
    """The held-out loss is told, ends a run that gets worse, and what is left is the step where it was least."""
    folder, told = unbroken
    losses = {event["step"]: event["loss"] for event in told[name] if event["event"] == "eval"}
    result = told[name][-1]["result"]
    best = min(losses, key=lambda step: losses[step])
    before = 6 if name == "impatient second" else 0
    checkpoint = folder / name / "out" / "checkpoints" / f"checkpoint-{best - before}"
    assert result["steps"] < most
    assert result["eval_loss"] == pytest.approx(losses[best], abs=1e-5)
    assert (checkpoint / "adapter_model.safetensors").read_bytes() == adapter_bytes(folder / name)[0]


def test_weights_of_one_are_the_stock_loss(unbroken: tuple[Path, dict[str, list[Json]]]) -> None:
    """Byte for byte."""
    assert adapter_bytes(unbroken[0] / "ones") == adapter_bytes(unbroken[0] / "stock")


def test_weights_do_not_depend_on_how_a_batch_is_cut(unbroken: tuple[Path, dict[str, list[Json]]]) -> None:
    """16 x 1 is 4 x 4 accumulated: the same loss over the same step, but for the order of a sum."""
    whole, cut = (
        next(event for event in unbroken[1][name] if event["event"] == "step") for name in ("16 x 1", "4 x 4")
    )
    assert whole["loss"] == pytest.approx(cut["loss"], abs=2e-6)


PROOF = """
import json, sys
sys.path.insert(0, sys.argv[1])
import progress
progress.keep_chatter_off()
import stage_runs, train_specs, train_stages, torch
from pathlib import Path
for path, astray in ((sys.argv[2], False), (sys.argv[3], True)):
    spec = train_specs.read(Path(path))
    for stage in train_stages.stages(spec)[-1:]:
        trainer = stage_runs._trainer(spec, stage, 0, 0)
        for name, weight in trainer.model.named_parameters():
            if astray and "lora_B.default" in name:
                weight.data.add_(0.05)
        try:
            trainer.train()
        except Exception as error:
            progress.tell("failed", error=f"{type(error).__name__}: {error}")
        progress.tell("proved", loss=trainer.first_loss, trained=sorted({
            name.split(".")[-2] for name, weight in trainer.model.named_parameters() if weight.requires_grad
        }))
"""


@pytest.fixture(scope="session")
def proofs(
    tiny_base: Path, unbroken: tuple[Path, dict[str, list[Json]]], tmp_path_factory: pytest.TempPathFactory
) -> list[Json]:
    """Return what the proof said of a second stage as it is, and of a run whose model is not its reference."""
    folder = tmp_path_factory.mktemp("proofs")
    astray = technique_spec(tiny_base, folder, "dpo", {"pairs": lessons("dpo", 8)}, **{**SMALL, "save_steps": 0})
    body = json.loads((unbroken[0] / "sft-dpo" / "spec.json").read_text())
    (folder / "second").mkdir()
    (folder / "second" / "out").symlink_to(unbroken[0] / "sft-dpo" / "out")
    second = folder / "second" / "spec.json"
    body["hyperparameters"] |= {"save_steps": 0, "preference": {"max_steps": 1}}
    second.write_text(json.dumps({**body, "out": str(folder / "second" / "out")}))
    done = completed([train_python(), "-c", PROOF, str(JOBS), str(second), str(astray)], environment(), 280)
    assert done.returncode == 0, done.stderr
    return [said for said in events(done.stdout) if said["event"] in {"failed", "proved"}]


def test_the_first_loss_proves_the_reference(proofs: list[Json]) -> None:
    """Ln 2 where the model starts as its reference: here the adapter of the first stage, which itself stays frozen."""
    assert (proofs[0]["event"], proofs[0]["trained"]) == ("proved", ["default"])
    assert proofs[0]["loss"] == pytest.approx(0.693147, abs=1e-4)


def test_a_run_that_is_not_its_own_reference_fails_by_name(proofs: list[Json]) -> None:
    """Nothing is trained against the wrong reference."""
    assert proofs[1]["event"] == "failed"
    assert proofs[1]["error"].startswith("WrongReferenceError: the first loss against the reference is ")
    assert "and not ln 2" in proofs[1]["error"]
