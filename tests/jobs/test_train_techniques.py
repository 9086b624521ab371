"""Every technique trains for real on the tiny world, and lifts what it is there to lift, on tasks nobody has seen."""

import json
from pathlib import Path
from typing import Any

import pytest
from fixtures.techniques import adapter_bytes, lessons, run_many, scores, technique_spec, thinking_base
from fixtures.tiny import Json, digests

pytestmark = [pytest.mark.train, pytest.mark.timeout(1500)]

#: One setting for all runs: 16 rows a step, and no more steps than a lift needs.
STEP = {"batch_size": 16, "learning_rate": 2e-3}
FOUR_BITS = {"quantization": "nf4", "eval_steps": 10}
PREFERENCE = {**STEP, "learning_rate": 1e-3}


@pytest.fixture(scope="session")
def thinker(tiny_base: Path) -> Path:
    """Return the base that has seen answers with their reasoning."""
    return thinking_base(tiny_base)


def _specs(base: Path, folder: Path) -> dict[str, Path]:
    answers, pairs = lessons("sft", 320), lessons("dpo", 240)
    seconds = lessons("dpo", 128, start=400)
    by_length = sorted(answers, key=lambda row: len(row["messages"][-1]["content"]))
    later = {"learning_rate": 5e-4, "epochs": 2}
    made: dict[str, tuple[str, dict[str, list[Json]], dict[str, Any]]] = {
        # First: a process whose first run has no use for the quantiser never loads it.
        "nf4": ("sft", {"train": answers, "valid": lessons("sft", 16, 5000)}, {**STEP, "epochs": 1, **FOUR_BITS}),
        "sft": ("sft", {"train": answers}, {**STEP, "epochs": 2}),
        "dpo": ("dpo", {"pairs": pairs}, {**PREFERENCE, "epochs": 1.4}),
        "sft-dpo": ("sft-dpo", {"train": answers[:160], "pairs": seconds}, {**STEP, "epochs": 2, "preference": later}),
        "kto": ("kto", {"judged": lessons("kto", 320)}, {**PREFERENCE, "epochs": 1.5}),
        "curriculum": ("sft", {"train": by_length}, {**STEP, "epochs": 2, "ordered": True}),
        "layers": ("sft", {"train": answers}, {**STEP, "max_steps": 40, "layers": 1, "variant": "rslora"}),
    }
    return {name: technique_spec(base, folder / name, *body[:2], **body[2]) for name, body in made.items()}


def told(found: dict[str, Json]) -> dict[str, Json]:
    """Print the scores, for `-rP` and the docs."""
    for name, one in found.items():
        print(f"{name:<12} right {one['right']:.3f}  shows its reasoning {one['shown']:.2f}")
    return found


@pytest.fixture(scope="session")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Json]]:
    """Return the folder of all runs on the first base, and how each adapter scores."""
    folder = tmp_path_factory.mktemp("techniques")
    specs = _specs(tiny_base, folder)
    before = digests(tiny_base)
    run_many(list(specs.values()), afresh=True)  # one of them loads the quantiser
    assert digests(tiny_base) == before
    adapters = {name: folder / name / "out" / "adapter" for name in specs}
    adapters["first stage"] = folder / "sft-dpo" / "out" / "stage-1" / "adapter"
    found = scores(tiny_base, list(adapters.values()))
    return folder, told(dict(zip(["base", *adapters], found, strict=True)))


@pytest.fixture(scope="session")
def reasoned(thinker: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Json]]:
    """Return the folder of the runs on answers with their reasoning, and how each adapter scores."""
    folder = tmp_path_factory.mktemp("reasoned")
    rows = {"train": lessons("cot-sft", 320)}
    weights = {"span_weights": {"PLAN": 2.0, "REASONING": 0.5}}
    specs = [
        technique_spec(thinker, folder / "cot-sft", "cot-sft", rows, **STEP, epochs=2.5),
        technique_spec(thinker, folder / "weighted", "cot-sft", rows, **STEP, **weights, epochs=2.5),
    ]
    run_many(specs)
    found = scores(thinker, [spec.parent / "out" / "adapter" for spec in specs])
    return folder, told(dict(zip(["base", "cot-sft", "weighted"], found, strict=True)))


@pytest.mark.parametrize(
    ("technique", "least"),
    [("sft", 0.3), ("dpo", 0.25), ("sft-dpo", 0.3), ("kto", 0.25), ("curriculum", 0.25), ("nf4", 0.3)],
)
def test_a_technique_lifts_the_held_out_score(
    trained: tuple[Path, dict[str, Json]], technique: str, least: float
) -> None:
    """Well above the base, on tasks that neither the base nor the run has seen."""
    found = trained[1]
    assert found["base"]["right"] < 0.55
    assert found[technique]["right"] - found["base"]["right"] > least, found


def test_the_second_stage_adds_to_the_first(trained: tuple[Path, dict[str, Json]]) -> None:
    """Pairs after answers: the adapter of the first stage is kept, and what comes out is no worse."""
    folder, found = trained
    config = json.loads((folder / "sft-dpo" / "out" / "adapter" / "adapter_config.json").read_text())
    assert found["sft-dpo"]["right"] >= found["first stage"]["right"] - 0.03
    assert config["base_model_name_or_path"] == str(json.loads((folder / "sft-dpo" / "spec.json").read_text())["base"])


def test_a_targeted_run_trains_the_last_layers_alone(trained: tuple[Path, dict[str, Json]]) -> None:
    """So many steps, the last layer only, the prompt masked; and even that lifts the score."""
    folder, found = trained
    adapter = folder / "layers" / "out" / "adapter"
    config = json.loads((adapter / "adapter_config.json").read_text())
    result = json.loads((folder / "layers" / "out" / "result.json").read_text())
    header = (adapter / "adapter_model.safetensors").read_bytes()
    names = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])
    assert all(".layers.2." in name for name in names if name != "__metadata__")
    assert (config["layers_to_transform"], config["use_rslora"], result["steps"]) == ([2], True, 40)
    assert found["layers"]["right"] > found["base"]["right"] + 0.1, found


def test_reasoning_is_learned_with_the_answer(reasoned: tuple[Path, dict[str, Json]]) -> None:
    """The base shows no reasoning; after CoT-SFT nearly every answer does, and more calls are right than before."""
    found = reasoned[1]
    assert found["base"]["shown"] < 0.1
    assert found["cot-sft"]["shown"] > 0.9, found
    assert found["cot-sft"]["right"] > found["base"]["right"] + 0.25, found


def test_weighted_sections_lift_the_score_and_make_another_adapter(reasoned: tuple[Path, dict[str, Json]]) -> None:
    """Weights change what is learned, and not whether it is."""
    folder, found = reasoned
    assert adapter_bytes(folder / "cot-sft")[0] != adapter_bytes(folder / "weighted")[0]
    assert found["weighted"]["shown"] > 0.9, found
    assert found["weighted"]["right"] > found["base"]["right"] + 0.25, found
