"""Trainers behind one seam: what each can do is known before anything starts, and what it cannot is refused by name."""

from pathlib import Path
from typing import Any, get_args

import pytest
from train_house import House

from flywheel.core.attempts import Failed
from flywheel.core.lines import Line
from flywheel.core.trainers import FORBIDDEN, TRAINERS, refusals, why_refused
from flywheel.core.training import Hyperparameters, Technique, TrainSpec, Variant
from flywheel.proc.environments import TRAINER_KINDS
from flywheel.train.backends.registry import BACKENDS
from flywheel.train.backends.seams import Places

PLACES = Places(python=Path("/env/bin/python"), base=Path("/base"), dataset=Path("/data"), folder=Path("/runs/run-1"))


def spec(backend: str, technique: str = "sft", ordered: bool = False, **values: Any) -> TrainSpec:  # noqa: FBT001, FBT002
    """Return a run on one of the backends."""
    given = {"line": "l", "dataset": "d", "base_name": "b", "base_fingerprint": "f", "ordered": ordered}
    return TrainSpec.model_validate(
        {**given, "backend": backend, "technique": technique, "hyperparameters": Hyperparameters(**values).model_dump()}
    )


def test_every_backend_has_its_abilities_and_its_environment() -> None:
    """The closed registry, the table of abilities and the environments that can be built name the same trainers."""
    assert set(BACKENDS) == set(TRAINERS)
    assert {can.environment for can in TRAINERS.values()} == {"train", *TRAINER_KINDS}
    assert set(FORBIDDEN) == set(get_args(Variant)) - {"lora", "rslora"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_command_names_its_job_and_its_orders(backend: str) -> None:
    """Every backend runs a script that exists, with the interpreter it is given, on one form of orders."""
    command = BACKENDS[backend].command(spec(backend), PLACES, 8)
    assert command.argv[0] == str(PLACES.python)
    assert Path(command.argv[1]).is_file()
    assert command.argv[-1] == str(PLACES.orders)
    assert command.orders == BACKENDS["trl"].command(spec(backend), PLACES, 8).orders
    assert (command.env["HF_HUB_OFFLINE"], command.env["PYTHONHASHSEED"]) == ("1", "0")


REFUSED = {
    ("trl", "variant"): ({"variant": "dora"}, "vLLM refuses to load DoRA adapters"),
    ("unsloth", "variant"): ({"variant": "alora"}, "vLLM refuses to load aLoRA adapters"),
    ("llama-factory", "variant"): ({"variant": "pissa"}, "PiSSA changes the weights of the base"),
    ("mlx", "variant"): ({"variant": "olora"}, "OLoRA changes the weights of the base"),
    ("mlx", "quantization"): ({"quantization": "nf4"}, "NF4 is a format of bitsandbytes"),
    ("mlx", "patience"): ({"patience": 2}, "MLX never stops early"),
    ("mlx", "optimizer"): ({"optimizer": "adamw_8bit"}, "does not know the optimiser 'adamw_8bit'"),
    ("mlx", "target_modules"): ({"target_modules": ("q_proj", "gate")}, "does not know where 'gate' stands"),
    ("mlx", "span_weights"): ({"span_weights": {"PLAN": 2.0}}, "counts every learned token alike"),
    ("unsloth", "span_weights"): ({"span_weights": {"PLAN": 2.0}}, "counts every learned token alike"),
    ("llama-factory", "span_weights"): ({"span_weights": {"PLAN": 2.0}}, "counts every learned token alike"),
    ("llama-factory", "layers"): ({"layers": 4}, "LLaMA-Factory trains all layers"),
}


@pytest.mark.parametrize(("backend", "key"), REFUSED)
def test_what_a_trainer_cannot_do_is_refused_by_name_and_reason(backend: str, key: str) -> None:
    """The sentence names the key of the policy and why."""
    values, reason = REFUSED[backend, key]
    sentence = why_refused(spec(backend, **values))
    assert sentence.startswith(f"train.hyperparameters.{key}: ")
    assert reason in sentence


@pytest.mark.parametrize("technique", get_args(Technique))
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_technique_is_done_or_refused(backend: str, technique: Technique) -> None:
    """The default trainer does everything; the others say what they do instead."""
    found = refusals(backend, technique, Hyperparameters(), ordered=False)
    assert bool(found) == (technique not in TRAINERS[backend].techniques)
    assert TRAINERS["trl"].techniques == set(get_args(Technique))
    for one in found:
        assert (one.key, f"does not do {technique}; it does" in one.reason) == ("technique", True)


def test_a_curriculum_and_an_unknown_backend_are_refused() -> None:
    """MLX would shuffle a curriculum; a misspelt backend is told with those there are. All reasons are told at once."""
    assert "a curriculum would be lost" in why_refused(spec("mlx", ordered=True))
    assert why_refused(spec("llama-factory", ordered=True)) == ""
    assert "choose from trl, unsloth, llama-factory, mlx" in why_refused(spec("tlr"))
    both = why_refused(spec("mlx", technique="kto", quantization="nf4"))
    assert "train.technique" in both
    assert "train.hyperparameters.quantization" in both


@pytest.mark.parametrize(
    ("technique", "values", "sentence"),
    [
        ("dpo", {"span_weights": {"plan": 2.0}}, "train.hyperparameters.span_weights: they weigh the answers that sft"),
        ("kto", {"span_weights": {"plan": 2.0}}, "train.hyperparameters.span_weights: they weigh the answers that sft"),
        ("kto", {"batch_size": 1}, "train.hyperparameters.batch_size: kto needs 2 or more"),
        ("sft-dpo", {"span_weights": {"plan": 2.0}, "batch_size": 1}, ""),
    ],
)
def test_values_that_a_technique_has_no_use_for_are_refused(
    technique: Technique, values: dict[str, Any], sentence: str
) -> None:
    """Before a process starts: weights of spans where none is learned, a batch that leaves nothing to compare."""
    assert why_refused(spec("trl", technique=technique, **values)).startswith(sentence)
    assert bool(sentence) == bool(why_refused(spec("trl", technique=technique, **values)))


@pytest.mark.asyncio
async def test_a_refused_run_waits_and_says_why(house: House) -> None:
    """No intent is proposed for it, so nothing is started, pinned or written."""
    house.lines["l"] = Line.model_validate(
        {"name": "l", "why": "w", "base": "tiny", "train": {"hyperparameters": {"variant": "dora"}}}
    )
    house.freeze()
    plan = await house.plan()
    assert plan.proposals == ()
    assert plan.waits["l"].startswith("this run is refused: train.hyperparameters.variant: vLLM refuses")


@pytest.mark.asyncio
async def test_each_backend_runs_in_its_own_environment(house: House) -> None:
    """Without it the run fails naming the command that builds it; with it the job is started by its interpreter."""
    train = {"backend": "mlx", "hyperparameters": {}}
    house.lines["l"] = Line.model_validate({"name": "l", "why": "w", "base": "tiny", "train": train})
    house.freeze()
    attempt = await house.do("train.start_run")
    assert attempt == Failed(reason="the mlx environment is not there", mend="run `flywheel env create mlx`")
    assert house.events("train.run_started") == []
    own = house.folder / "mlx-python"
    own.write_bytes(house.places.python.read_bytes())
    house.places = house.places.model_copy(update={"others": {"mlx": own}})
    run = (await house.proposal("train.start_run")).intent.subject
    await house.do("train.start_run")
    assert house.job(run).spec["argv"][0] == str(own)
    assert "mlx" in house.job(run).spec["argv"]
