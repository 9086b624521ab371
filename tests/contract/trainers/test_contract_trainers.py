"""What every trainer keeps, whichever program it is: one protocol, one kind of result, and no harm from a kill."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import SAVE, STEPS, Losses, Trainer, spec_of
from fixtures.tiny import answer, digests, tasks, write_rows

from flywheel.core.trainers import TRAINERS
from flywheel.train.backends.registry import BACKENDS

pytestmark = pytest.mark.train

Finished = tuple[Path, list[dict[str, Any]]]
ADAPTER = "adapter_model.safetensors"


def of(said: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    """The events of one kind."""
    return [one for one in said if one["event"] == event]


def result(folder: Path) -> dict[str, Any]:
    """What a run says it left."""
    return dict(json.loads((folder / "out" / "result.json").read_text()))


def test_a_command_is_pure_and_the_same_for_the_same_spec(trainer: Trainer, tmp_path: Path) -> None:
    """Nothing is written or started, and twice the same spec is twice the same command."""
    places = trainer.places(tmp_path / "run")
    backend, spec = BACKENDS[trainer.backend], spec_of(trainer.backend)
    assert backend.command(spec, places, 8) == backend.command(spec, places, 8)
    assert list(tmp_path.iterdir()) == []
    assert backend.command(spec, places, 8).argv[-1] == str(places.orders)


def test_a_run_speaks_the_protocol(finished: Finished) -> None:
    """Only events reach stdout: started first, every step, each look at the validation rows, finished last."""
    said = finished[1]
    assert (said[0]["event"], said[0]["steps"], said[0]["examples"]) == ("started", STEPS, STEPS * 8)
    assert said[0]["resumed_from"] is None
    assert [one["step"] for one in of(said, "step")] == list(range(1, STEPS + 1))
    assert {one["of"] for one in of(said, "step")} == {STEPS}
    assert all(one["loss"] > 0 and one["eta_seconds"] >= 0 for one in of(said, "step"))
    looks = [one["step"] for one in of(said, "eval")]
    assert (looks, len(looks) >= STEPS // SAVE) == (sorted(looks), True)
    assert looks[-1] in {STEPS, STEPS - 1}  # MLX looks before a step, the others after it
    assert (said[-1]["event"], said[-1]["steps"]) == ("finished", STEPS)
    assert said[-1]["eval_loss"] == of(said, "eval")[-1]["loss"]


def test_a_run_ends_with_a_whole_adapter_that_peft_loads(trainer: Trainer, finished: Finished, losses: Losses) -> None:
    """Two files under any user's eyes, the digest that was reported, plain LoRA, and rows that have become likelier."""
    adapter = finished[0] / "out" / "adapter"
    assert sorted(path.name for path in adapter.iterdir()) == ["adapter_config.json", ADAPTER]
    assert {path.stat().st_mode & 0o777 for path in adapter.iterdir()} == {0o644}
    assert result(finished[0])["sha256"] == digests(adapter)[str(adapter / ADAPTER)][0]
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["bias"], config["modules_to_save"]) == ("LORA", 8, "none", None)
    assert config["target_modules"] == sorted(config["target_modules"])
    assert config["base_model_name_or_path"] == str(trainer.base)
    found = losses(trainer.base, adapter, trainer.dataset / "valid.jsonl")
    assert found["finite"]
    assert found["changed"] == 3 * 7
    assert found["adapter"] < found["base"] / 2
    # What the trainer measured on these rows is what PEFT measures: the same tokens, labels and scale.
    assert found["adapter"] == pytest.approx(result(finished[0])["eval_loss"], rel=0.15)


def test_pairs_are_learned_where_a_backend_says_so(trainer: Trainer, losses: Losses, tmp_path: Path) -> None:
    """DPO by another project's trainer, too, makes the chosen answers likelier; the default one's is tested with it."""
    if trainer.backend == "trl" or "dpo" not in TRAINERS[trainer.backend].techniques:
        pytest.skip(f"the DPO of {trainer.backend} is tested elsewhere, or there is none")
    rejected = '<tool_call>{"name": "none", "arguments": {}}</tool_call>'
    for name, seed, count in (("pairs", 3, STEPS * 8), ("pairs_valid", 5, 8)):
        rows = [
            {"id": str(place), "prompt": task["messages"], "chosen": answer(task["expected"][0]), "rejected": rejected}
            for place, task in enumerate(tasks(count, seed=seed))
        ]
        write_rows(trainer.dataset / f"{name}.jsonl", rows)
    splits = {"pairs", "pairs_valid"}
    status, said = trainer.run(trainer.command(tmp_path, splits, technique="dpo", eval_steps=SAVE), tmp_path)
    assert status == 0, said
    assert (said[-1]["event"], said[-1]["steps"]) == ("finished", STEPS)
    found = losses(trainer.base, tmp_path / "out" / "adapter", trainer.dataset / "valid.jsonl")
    assert found["adapter"] < found["base"]


def test_a_run_leaves_no_copy_of_the_rows(finished: Finished) -> None:
    """What must be forgettable lies in the dataset alone, and the base is as it was."""
    kept = {path.suffix for path in (finished[0] / "out").rglob("*") if path.is_file()}
    assert kept.isdisjoint({".jsonl", ".arrow"})
    assert not list((finished[0] / "out").glob("work-*"))


def test_a_finished_run_is_not_done_again(trainer: Trainer, finished: Finished) -> None:
    """Started again it says that it is finished, and nothing is written."""
    before = digests(finished[0] / "out")
    status, said = trainer.run(trainer.command(finished[0], eval_steps=SAVE), finished[0])
    assert (status, [one["event"] for one in said]) == (0, ["finished"])
    assert digests(finished[0] / "out") == before


def group_ends(group: int) -> bool:
    """Whether nothing of a process group is left within ten seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_a_killed_run_leaves_nothing_running_and_ends_with_the_same_bytes(
    trainer: Trainer, finished: Finished, tmp_path: Path
) -> None:
    """After kill -9 of the program alone its children end too; started again it makes the very same adapter."""
    command = trainer.command(tmp_path, eval_steps=SAVE)
    with trainer.start(command, tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("step", 0) > SAVE:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert group_ends(process.pid)
    assert not (tmp_path / "out" / "result.json").exists()
    status, said = trainer.run(command, tmp_path)
    assert status == 0, said
    assert result(tmp_path)["sha256"] == result(finished[0])["sha256"]


NONSENSE = {
    "an unknown key": ({"colour": "red"}, {}, "unknown keys: colour"),
    "a base that is none": ({"base": "/nowhere"}, {}, "is not a model folder"),
    "a negative rank": ({}, {"rank": -1}, "rank must be"),
    "a variant that serving refuses": ({}, {"variant": "dora"}, "vLLM refuses"),
    "rows that would be cut": ({}, {"max_length": 8}, "longer than max_length 8"),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_is_refused_in_one_line(trainer: Trainer, tmp_path: Path, what: str) -> None:
    """Orders that cannot be carried out end with status 2, one `failed` event, and no adapter."""
    changes, values, reason = NONSENSE[what]
    command = trainer.command(tmp_path)
    orders = {**command.orders, **changes}
    orders["hyperparameters"] = {**orders["hyperparameters"], **values}
    trainer.places(tmp_path).orders.write_text(json.dumps(orders))
    status, said = trainer.run(command, tmp_path)
    assert (status, [one["event"] for one in said]) == (2, ["failed"])
    assert reason in said[0]["error"]
    assert "\n" not in said[0]["error"]
    assert not (tmp_path / "out" / "adapter").exists()
