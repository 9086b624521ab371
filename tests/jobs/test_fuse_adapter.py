"""Fusing for real: a base that answers as its adapter did, whose every other file is the base's own."""

import json
import shutil
from pathlib import Path

import pytest
from fixtures.tiny import Json, conversations, digests, events, run, tasks, train_adapter, train_python

from flywheel.core.bases import PARTS
from flywheel.proc.loras import base_shapes, wrong_tensors
from flywheel.train.fingerprints import prints

pytestmark = pytest.mark.train


def orders(folder: Path, base: Path, adapter: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    told = {"base": str(base), "adapter": str(adapter), "out": str(folder / "out")}
    (folder / "spec.json").write_text(json.dumps(told))
    return folder / "spec.json"


def fuse(path: Path) -> tuple[int, list[Json]]:
    done = run("fuse_adapter.py", path, python=train_python())
    return done.returncode, events(done.stdout)


@pytest.fixture(scope="session")
def adapter(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of a few steps."""
    rows = conversations(tasks(64, seed=5))
    return train_adapter(tiny_base, tmp_path_factory.mktemp("first"), rows, max_steps=8)


def test_a_fused_base_is_trained_on_like_any_other(tiny_base: Path, adapter: Path, tmp_path: Path) -> None:
    """Only its weights differ from the base; it answers as the adapter did; an adapter on top of it fits it."""
    before, path = digests(tiny_base), orders(tmp_path / "fuse", tiny_base, adapter)
    status, told = fuse(path)
    assert (status, told[-1]["event"]) == (0, "finished")
    assert told[-1]["largest_gap"] < 1e-3
    assert digests(tiny_base) == before
    fused = tmp_path / "fuse" / "out" / "model"
    one, two = prints(tiny_base).parts, prints(fused).parts
    assert {part for part in PARTS if one[part] != two[part]} == {"weights", "configuration"}  # the base is sealed
    assert (fused / "config.json").read_bytes() == (tiny_base / "config.json").read_bytes()
    once = digests(fused)
    assert fuse(path)[0] == 0
    assert digests(fused) == once
    second = train_adapter(fused, tmp_path / "second", conversations(tasks(32, seed=6)), max_steps=4)
    targets = tuple(json.loads((second / "adapter_config.json").read_text())["target_modules"])
    assert wrong_tensors(second, 8, targets, base_shapes(fused)) is None


def test_what_cannot_be_fused_is_said(tiny_base: Path, adapter: Path, tmp_path: Path) -> None:
    """A quantised base is refused before anything heavy is loaded; so are orders that cannot be followed."""
    quantised = shutil.copytree(tiny_base, tmp_path / "quantised")
    config = json.loads((quantised / "config.json").read_text())
    (quantised / "config.json").write_text(json.dumps({**config, "quantization_config": {"bits": 4}}))
    status, told = fuse(orders(tmp_path / "one", quantised, adapter))
    assert status == 2
    assert "the base is quantised" in told[-1]["error"]
    status, told = fuse(orders(tmp_path / "two", tmp_path / "nowhere", adapter))
    assert status == 2
    assert not (tmp_path / "two" / "out").exists()


def test_an_adapter_that_does_not_fit_leaves_nothing(tiny_base: Path, adapter: Path, tmp_path: Path) -> None:
    """Numbers that are none come to no base; no half of a model stays under the name of a whole one."""
    broken = shutil.copytree(adapter, tmp_path / "broken")
    data = bytearray((broken / "adapter_model.safetensors").read_bytes())
    data[-4:] = b"\x00\x00\xc0\x7f"
    (broken / "adapter_model.safetensors").write_bytes(data)
    status, told = fuse(orders(tmp_path / "fuse", tiny_base, broken))
    assert (status, told[-1]["event"]) == (1, "failed")
    assert not (tmp_path / "fuse" / "out" / "model").exists()
    assert not (tmp_path / "fuse" / "out" / "result.json").exists()
