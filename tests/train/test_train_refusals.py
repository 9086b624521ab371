"""What is never published, and what is never trained on: each refused by name."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.tiny import conversations, events, run, spec, tasks, tiny_base, train_python, write_rows, write_spec
from train_house import BASE, LORA, MODULES, WIDTH, House, write_tensors

from flywheel.core.attempts import Done
from flywheel.daemon.places import shipped
from flywheel.policy.judging import judge
from flywheel.policy.loading import load_policies
from flywheel.proc.files import file_hash

__all__ = ["tiny_base"]

WEIGHTS = "adapter_model.safetensors"


def damaged(folder: Path, damage: Callable[[Path], object]) -> None:
    """Damage an adapter so that the run's own report still agrees with the bytes."""
    damage(folder / "adapter")
    told = json.loads((folder / "result.json").read_text())
    if (folder / "adapter" / WEIGHTS).exists():
        told["sha256"] = file_hash(folder / "adapter" / WEIGHTS)
    (folder / "result.json").write_text(json.dumps(told))


def of_another_base(adapter: Path) -> None:
    wider = {name: tuple(2 * side if side == WIDTH else side for side in shape) for name, shape in LORA.items()}
    write_tensors(adapter / WEIGHTS, {name: (shape[0], shape[1]) for name, shape in wider.items()})


def a_module_too_many(adapter: Path) -> None:
    more = {name.replace("layers.0", "layers.9"): shape for name, shape in LORA.items()}
    write_tensors(adapter / WEIGHTS, {**LORA, **more})


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (
        lambda adapter: (adapter / WEIGHTS).write_bytes((adapter / WEIGHTS).read_bytes()[:-3]),
        f"{WEIGHTS}: the bytes of base_model.model.{MODULES[1]}.lora_B.weight do not fit|{WEIGHTS} is ",
    ),
    "torn in its header": (
        lambda adapter: (adapter / WEIGHTS).write_bytes((adapter / WEIGHTS).read_bytes()[:40]),
        f"{WEIGHTS} is no safetensors file",
    ),
    "not a number": (
        lambda adapter: write_tensors(adapter / WEIGHTS, LORA, float("nan")),
        "holds numbers that are not finite",
    ),
    "infinite": (
        lambda adapter: write_tensors(adapter / WEIGHTS, LORA, float("inf")),
        "holds numbers that are not finite",
    ),
    "another base's shapes": (of_another_base, f"lora_A of {MODULES[0]} is 2 x 8, base and rank ask for 2 x 4"),
    "another base's layers": (a_module_too_many, "the base has no module model.layers.9.self_attn.q_proj"),
    "a pickle beside it": (
        lambda adapter: (adapter / "adapter_model.bin").write_bytes(b"\x80\x04."),
        "adapter_model.bin is a pickle, which runs code when it is read",
    ),
    "a pickle alone": (
        lambda adapter: (adapter / WEIGHTS).rename(adapter / "adapter_model.bin"),
        "adapter_model.bin is a pickle, which runs code when it is read",
    ),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", DAMAGES)
async def test_an_adapter_that_is_not_sound_is_not_published(house: House, name: str) -> None:
    """Also when the trainer's report fits its bytes: the run fails by name, and no folder is made."""
    damage, words = DAMAGES[name]
    made = await house.trained()
    damaged(house.places.runs / made / "out", damage)
    attempt = await house.do("train.publish_adapter")
    assert isinstance(attempt, Done)
    assert any(word in attempt.sentence for word in words.split("|")), attempt.sentence
    assert made in attempt.sentence
    assert house.run(made).state == "failed"
    assert (house.adapters(), house.places.adapters.exists()) == ([], False)


def one_byte(path: Path) -> None:
    """Change one byte in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.asyncio
async def test_a_base_that_changed_by_a_byte_before_a_run_is_refused_by_policy(house: House) -> None:
    """The pinned bytes are compared before every run; the guardrail's sentence names what it looked at."""
    await house.trained()
    await house.do("train.publish_adapter")
    one_byte(house.base / "model.safetensors")
    house.freeze()
    wish = await house.proposal("train.start_run")
    decision = judge(wish.intent, wish.facts, load_policies(shipped("policies")))
    assert decision.judgement.value == "refuse"
    assert "base.fingerprint_is_frozen is false, needs true" in decision.sentence


@pytest.mark.asyncio
async def test_a_base_that_changes_between_the_decision_and_the_deed_starts_nothing(house: House) -> None:
    """The bytes are read anew right before the start: what was allowed is no longer what would be done."""
    house.freeze()
    wish = await house.proposal("train.start_run")
    one_byte(house.base / "model.safetensors")
    attempt = await house.room.perform(wish.intent, wish.cause)
    assert attempt == Done(sentence=f"{wish.intent.subject} is no longer wanted", changed=False)
    assert house.events("train.run_started") == []


@pytest.mark.asyncio
async def test_a_base_that_changed_by_a_byte_during_a_run_fails_it(house: House) -> None:
    """What was trained on other bytes is not published; with the bytes restored a person may ask again."""
    await house.trained()
    one_byte(house.base / "model.safetensors")
    attempt = await house.do("train.publish_adapter")
    assert isinstance(attempt, Done)
    assert "base 'tiny'" in attempt.sentence
    assert "changed while" in attempt.sentence
    assert house.adapters() == []
    write_tensors(house.base / "model.safetensors", BASE)
    assert "`flywheel train l` tries again" in (await house.plan()).waits["l"]


@pytest.mark.train
def test_a_dataset_with_an_example_that_is_too_long_is_refused_by_name(tiny_base: Path, tmp_path: Path) -> None:
    """Nothing is cut silently: before the first step, with the file, the row and its tokens."""
    rows = conversations(tasks(8, seed=3))
    rows[5]["messages"][0]["content"] = "again " * 400
    body = spec(tiny_base, write_rows(tmp_path / "train.jsonl", rows), tmp_path / "out")
    done = run("train_adapter.py", write_spec(tmp_path / "spec.json", body), python=train_python())
    (said,) = events(done.stdout)
    assert (done.returncode, said["event"]) == (2, "failed")
    assert "train.jsonl: 1 of 8 rows are longer than max_length 128; the first is row 6 with" in said["error"]


@pytest.mark.train
def test_a_real_adapter_of_another_base_is_refused_by_its_shapes(tiny_base: Path, tmp_path: Path) -> None:
    """What PEFT itself wrote for the tiny base passes on it, and on no base of other widths."""
    from flywheel.core.errors import CorruptError
    from flywheel.core.training import AdapterManifest
    from flywheel.train.adapters import refuse_unsound

    made = tmp_path / "run" / "out" / "adapter"
    body = spec(tiny_base, write_rows(tmp_path / "t.jsonl", conversations(tasks(8, seed=3))), made.parent, max_steps=1)
    done = run("train_adapter.py", write_spec(tmp_path / "spec.json", body), python=train_python())
    assert done.returncode == 0, done.stderr
    config = json.loads((made / "adapter_config.json").read_text())
    manifest = AdapterManifest(
        hash="h", line="l", number=1, run="run-1", dataset="d", base_name="tiny", base_fingerprint="f",
        rank=config["r"], target_modules=tuple(config["target_modules"]), files={},
    )  # fmt: skip
    refuse_unsound(manifest, made, tiny_base)
    other = shutil.copytree(tiny_base, tmp_path / "other")
    header_length = struct.unpack("<Q", (other / "model.safetensors").read_bytes()[:8])[0]
    header = json.loads((other / "model.safetensors").read_bytes()[8 : 8 + header_length])
    shapes = {n: (t["shape"][0] * 2, t["shape"][1]) for n, t in header.items() if len(t.get("shape", ())) == 2}
    write_tensors(other / "model.safetensors", shapes)
    with pytest.raises(CorruptError, match=r"the adapter of run-1 is refused: lora_B of .* base and rank ask for"):
        refuse_unsound(manifest, made, other)
