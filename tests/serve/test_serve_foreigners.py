"""An adapter made elsewhere fits a base by its fingerprint, or by its shapes, or is refused by name."""

import json

import pytest
from serve_house import HIDDEN, lora, manifest_of, write_adapter, write_base

from flywheel.core.training import Base
from flywheel.serve.foreigners import inspect_foreigner
from flywheel.serve.inspections import Demands


@pytest.fixture
def demands(tmp_path):
    write_base(tmp_path / "base")
    base = Base(name="main", path=str(tmp_path / "base"), served_as="tiny-base")
    return Demands(base=base, pinned="fp", largest_rank=16, parts={"weights": "a", "tokenizer": "b"})


def found(folder, demands, tensors=None):
    write_adapter(folder, tensors)
    return inspect_foreigner(folder, demands)


def test_one_without_a_fingerprint_is_told_by_its_shapes(tmp_path, demands):
    """It fits as far as that can be told, and the finding says by what."""
    finding = found(tmp_path / "one", demands)
    assert (finding.wrong, finding.by) == (None, "shapes")
    finding = found(tmp_path / "two", demands, lora(width_in=HIDDEN // 2))
    assert "base and rank ask for" in finding.wrong


def test_one_that_was_published_is_told_by_its_fingerprint(tmp_path, demands):
    """Whatever the base is called in the other house, its bytes decide; a difference is named."""
    files = write_adapter(tmp_path / "adapter")
    for fingerprint, wrong in (
        ("fp", None),
        (
            "zz",
            "it was trained on other bytes of base 'main' than the pinned ones: the tokenizer of base 'main' changed",
        ),
    ):
        parts = {"weights": "a", "tokenizer": "x"}
        told = manifest_of(files, base_name="theirs", base_fingerprint=fingerprint, base_parts=parts)
        (tmp_path / "adapter" / "manifest.json").write_text(told.model_dump_json())
        finding = inspect_foreigner(tmp_path / "adapter", demands)
        assert (finding.wrong, finding.by) == (wrong, "fingerprint")


@pytest.mark.parametrize("name", ["adapter_model.bin", "optimizer.pt", "x.pkl"])
def test_a_pickle_is_never_taken(tmp_path, demands, name):
    """Reading one runs what is in it."""
    write_adapter(tmp_path / "adapter")
    (tmp_path / "adapter" / name).write_bytes(b"\x80\x04.")
    assert inspect_foreigner(tmp_path / "adapter", demands).wrong.startswith(f"{name} is a pickle")


@pytest.mark.parametrize(
    ("config", "words"),
    [("{", "is no JSON"), ("[]", "is no table"), ("{}", "names no rank"), (json.dumps({"r": True}), "names no rank")],
)
def test_a_configuration_that_says_nothing_is_refused(tmp_path, demands, config, words):
    """By the file's name."""
    write_adapter(tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_config.json").write_text(config)
    assert words in inspect_foreigner(tmp_path / "adapter", demands).wrong


def test_what_is_not_there_is_said(tmp_path, demands):
    """No folder, and a folder without weights."""
    assert inspect_foreigner(tmp_path / "nowhere", demands).wrong == "nowhere cannot be read: No such file or directory"
    write_adapter(tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_model.safetensors").unlink()
    assert inspect_foreigner(tmp_path / "adapter", demands).wrong.startswith("adapter_model.safetensors is missing")
