"""An adapter's folder is whole or absent; what does not match its word is refused by name."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flywheel.core.errors import CorruptError
from flywheel.core.training import AdapterManifest, TrainSpec
from flywheel.train.adapters import FILES, describe, is_whole, publish, read_result

SPEC = TrainSpec(line="l", dataset="d", base_name="tiny", base_fingerprint="f")
CONFIG: dict[str, Any] = {"r": 8, "target_modules": ["v_proj", "q_proj"]}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Leave what a trainer leaves."""
    adapter = tmp_path / "run-1" / "out" / "adapter"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text(json.dumps(CONFIG))
    (adapter / "adapter_model.safetensors").write_bytes(b"tensors")
    result = {"sha256": hashlib.sha256(b"tensors").hexdigest(), "loss": 0.5}
    (tmp_path / "run-1" / "out" / "result.json").write_text(json.dumps(result))
    return tmp_path / "run-1"


@pytest.fixture
def source(run: Path) -> Path:
    return run / "out" / "adapter"


@pytest.fixture
def manifest(source: Path) -> AdapterManifest:
    return describe(SPEC, 3, source)


def test_a_result_is_believed_when_the_bytes_agree(run: Path) -> None:
    """What the trainer says about itself comes back whole."""
    assert read_result(run)["loss"] == 0.5


@pytest.mark.parametrize("fault", ["no result", "no adapter", "no json", "a list", "wrong", "no hash", "changed"])
def test_a_result_that_does_not_fit_is_refused(run: Path, fault: str) -> None:
    """Missing, unreadable, or about other bytes than lie there."""
    result, tensors = run / "out" / "result.json", run / "out" / "adapter" / "adapter_model.safetensors"
    writes = {"no json": "{", "a list": "[]", "wrong": '{"sha256": "0"}', "no hash": "{}"}
    if fault in writes:
        result.write_text(writes[fault])
    elif fault == "changed":
        tensors.write_bytes(b"tensorz")
    else:
        (result if fault == "no result" else tensors).unlink()
    with pytest.raises(CorruptError, match=r"run-1.*train again"):
        read_result(run)


def test_a_manifest_says_what_lies_there_and_whence(manifest: AdapterManifest) -> None:
    """Name, place, origin and every file's hash."""
    assert (manifest.name, manifest.folder) == ("l@3", f"3-{manifest.hash[:8]}")
    assert (manifest.run, manifest.dataset, manifest.base_fingerprint) == (SPEC.run_id, "d", "f")
    assert (manifest.rank, manifest.target_modules) == (8, ("q_proj", "v_proj"))
    assert manifest.files["adapter_model.safetensors"] == hashlib.sha256(b"tensors").hexdigest()


def test_all_linear_is_one_word(source: Path) -> None:
    """Target modules may be a word instead of a list."""
    (source / "adapter_config.json").write_text('{"r": 8, "target_modules": "all-linear"}')
    assert describe(SPEC, 1, source).target_modules == ("all-linear",)


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"r": "x", "target_modules": []}', '{"r": 8}'])
def test_an_adapter_without_a_configuration_cannot_be_described(source: Path, text: str | None) -> None:
    """The run is named."""
    if text is None:
        (source / "adapter_config.json").unlink()
    else:
        (source / "adapter_config.json").write_text(text)
    with pytest.raises(CorruptError, match=f"{SPEC.run_id} cannot be described"):
        describe(SPEC, 1, source)


def test_publishing_twice_is_publishing_once(manifest: AdapterManifest, source: Path, tmp_path: Path) -> None:
    """The folder is whole, readable by others, and the second time nothing is touched."""
    first = publish(manifest, source, tmp_path / "adapters")
    assert first == tmp_path / "adapters" / "l" / manifest.folder
    assert sorted(p.name for p in first.iterdir()) == sorted([*FILES, "manifest.json"])
    assert AdapterManifest.model_validate_json((first / "manifest.json").read_bytes()) == manifest
    assert is_whole(first)
    before = first.stat().st_ino
    assert publish(manifest, source, tmp_path / "adapters").stat().st_ino == before


def test_publishing_again_needs_no_source(manifest: AdapterManifest, source: Path, tmp_path: Path) -> None:
    """Once whole, the adapter no longer depends on the run's folder."""
    publish(manifest, source, tmp_path / "adapters")
    (source / "adapter_model.safetensors").unlink()
    assert is_whole(publish(manifest, source, tmp_path / "adapters"))


TEARS: dict[str, Callable[[Path], object]] = {
    "torn": lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"tens"),
    "missing": lambda folder: (folder / "adapter_config.json").unlink(),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "torn manifest": lambda folder: (folder / "manifest.json").write_text("{"),
    "empty manifest": lambda folder: _manifest(folder, files={}),
    "other manifest": lambda folder: _manifest(folder, hash="0" * 64),
    "empty": lambda folder: [path.rename(folder.parent / path.name) for path in folder.iterdir()],
}


def _manifest(folder: Path, **changed: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


@pytest.mark.parametrize("tear", TEARS)
def test_a_torn_folder_is_told_and_repaired(manifest: AdapterManifest, source: Path, tmp_path: Path, tear: str) -> None:
    """Whatever is wrong with it, it is not whole, and publishing makes it whole."""
    folder = publish(manifest, source, tmp_path / "adapters")
    TEARS[tear](folder)
    assert not is_whole(folder)
    assert is_whole(publish(manifest, source, tmp_path / "adapters"))


def test_a_publication_that_fails_leaves_nothing(manifest: AdapterManifest, source: Path, tmp_path: Path) -> None:
    """With a file of the source gone there is no folder, not half of one."""
    (source / "adapter_model.safetensors").unlink()
    with pytest.raises(FileNotFoundError):
        publish(manifest, source, tmp_path / "adapters")
    assert not (tmp_path / "adapters" / "l" / manifest.folder).exists()
