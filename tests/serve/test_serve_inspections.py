"""What must be true of an adapter before a model server may see it: each fault has its sentence."""

import json

import numpy as np
import pytest
from serve_house import HIDDEN, INNER, MODULE, RANK, lora, manifest_of, write_adapter, write_base, write_tensors

from flywheel.core.errors import CorruptError, UnavailableError
from flywheel.core.training import Base
from flywheel.proc.files import file_hash
from flywheel.proc.loras import base_shapes
from flywheel.proc.tensors import first_unsound, read_header
from flywheel.serve.inspections import Demands, inspect

WEIGHTS = "adapter_model.safetensors"
PARTS = {"weights": "a", "tokenizer": "b", "quantisation": "c", "configuration": "d"}


@pytest.fixture
def demands(tmp_path):
    write_base(tmp_path / "base")
    base = Base(name="tiny", path=str(tmp_path / "base"), served_as="tiny-base")
    return Demands(base=base, pinned="fp", largest_rank=16, parts=PARTS)


def inspected(tmp_path, demands, tensors=None, manifest=None, **config):
    folder = tmp_path / "adapter"
    files = write_adapter(folder, tensors, **config)
    return inspect(folder, manifest_of(files, **(manifest or {})), demands)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "F64"])
def test_a_sound_adapter_passes(tmp_path, demands, dtype):
    """An adapter of finite numbers in the shapes of its base has no fault."""
    tensors = {**lora(dtype=dtype), **lora("model.layers.0.mlp.up_proj", dtype=dtype, width_out=INNER)}
    config = {"target_modules": ["q_proj", "up_proj"]}
    assert inspected(tmp_path, demands, tensors, {"target_modules": ("q_proj", "up_proj")}, **config) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "F64"])
def test_numbers_that_are_not_finite_are_found_in_every_type(tmp_path, demands, dtype, value):
    """One bad number anywhere is enough."""
    tensors = lora(dtype=dtype)
    name = next(iter(tensors))
    array = tensors[name][1].copy()
    if dtype == "BF16":
        array[1, 3] = np.array([value], "<f4").view("<u4")[0] >> 16
    else:
        array[1, 3] = value
    tensors[name] = (dtype, array)
    assert inspected(tmp_path, demands, tensors) == f"tensor {name} holds numbers that are not finite"


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (lora(width_in=HIDDEN // 2), f"lora_A of {MODULE} is 2 x 4, base and rank ask for 2 x 8"),
        (lora(width_out=HIDDEN * 2), f"lora_B of {MODULE} is 16 x 2, base and rank ask for 8 x 2"),
        (lora(rank=4), "lora_A of model.layers.0.self_attn.q_proj is 4 x 8"),
        (lora("model.layers.7.self_attn.q_proj"), "the base has no module model.layers.7.self_attn.q_proj"),
        (lora("model.layers.0.mlp.up_proj", width_out=INNER), "is not among its targets q_proj"),
        (dict([next(iter(lora().items()))]), "has only half of its LoRA"),
        ({"model.embed.weight": ("F32", np.zeros((2, 2)))}, "tensor model.embed.weight is no part of a LoRA"),
        ({name: ("U8", tensor[1]) for name, tensor in lora().items()}, "holds numbers that are not finite"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, demands, tensors, words):
    """Shapes, ranks and modules are held against the base's own."""
    assert words in inspected(tmp_path, demands, tensors)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"use_dora": True}, "no plain LoRA"),
        ({"peft_type": "IA3"}, "no plain LoRA"),
        ({"bias": "all"}, "biases or whole modules"),
        ({"modules_to_save": ["lm_head"]}, "biases or whole modules"),
        ({"rank_pattern": {"q_proj": 4}}, "differ in rank"),
        ({"r": 4}, "its configuration says rank 4, its manifest 2"),
    ],
)
def test_what_servers_do_not_take_is_refused_beforehand(tmp_path, demands, config, words):
    """The configuration says what it is before a server stumbles over it."""
    assert words in inspected(tmp_path, demands, **config)


def test_a_rank_beyond_the_servers_is_refused(tmp_path, demands):
    """The server was started for a largest rank."""
    small = demands.model_copy(update={"largest_rank": 1})
    assert inspected(tmp_path, small) == "its rank is 2, the server was started for at most 1"


@pytest.mark.parametrize(
    ("manifest", "pinned", "words"),
    [
        ({"base_name": "other"}, "fp", "it was trained on base 'other', not on 'tiny'"),
        ({"base_fingerprint": "zz"}, "fp", "other bytes of base 'tiny' than the pinned ones"),
        (
            {"base_fingerprint": "zz", "base_parts": {**PARTS, "tokenizer": "x"}}, "fp",
            "other bytes of base 'tiny' than the pinned ones: the tokenizer of base 'tiny' changed",
        ),
        ({}, None, "were never pinned"),
    ],
)  # fmt: skip
def test_an_adapter_of_another_base_is_refused(tmp_path, demands, manifest, pinned, words):
    """An adapter never meets a base it was not trained on."""
    pinned_to = demands.model_copy(update={"pinned": pinned})
    assert words in inspected(tmp_path, pinned_to, manifest=manifest)


def test_every_file_is_the_one_of_the_manifest(tmp_path, demands):
    """A missing, changed or additional file is a fault; the folder itself may be gone."""
    folder = tmp_path / "adapter"
    manifest = manifest_of(write_adapter(folder))
    (folder / "manifest.json").write_text("{}")
    assert inspect(folder, manifest, demands) is None
    (folder / "adapter_model.bin").write_bytes(b"pickle")
    assert inspect(folder, manifest, demands) == "adapter_model.bin lies in its folder and not in its manifest"
    (folder / "adapter_model.bin").unlink()
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:-1] + b"\x01")
    assert inspect(folder, manifest, demands) == f"{WEIGHTS} is not the file its manifest names"
    (folder / WEIGHTS).unlink()
    assert inspect(folder, manifest, demands) == f"{WEIGHTS} is missing"
    assert inspect(tmp_path / "gone", manifest, demands) == "its folder gone is missing"


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-3], lambda b: b + b"x", lambda b: b"\xff" * 8 + b[8:], lambda b: b[:4]]
)
def test_a_damaged_file_is_refused_without_a_fault_of_ours(tmp_path, demands, damage):
    """Torn, padded and nonsensical files end in a sentence, also where the manifest agrees with them."""
    folder = tmp_path / "adapter"
    write_adapter(folder)
    path = folder / WEIGHTS
    path.write_bytes(damage(path.read_bytes()))
    files = {one.name: file_hash(one) for one in folder.iterdir()}
    assert WEIGHTS in inspect(folder, manifest_of(files), demands)


def test_a_base_that_cannot_be_read_is_not_the_adapters_fault(tmp_path, demands):
    """A missing base is worth another try and refuses nobody."""
    gone = demands.model_copy(update={"base": demands.base.model_copy(update={"path": str(tmp_path / "nowhere")})})
    with pytest.raises(UnavailableError, match="cannot be read"):
        inspected(tmp_path, gone)


def test_a_quantised_base_is_read_from_its_configuration(tmp_path):
    """Where the weights are packed, the widths come from the configuration."""
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text(
        '{"hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 6, "intermediate_size": 12,'
        ' "num_hidden_layers": 2, "quantization_config": {}}'
    )
    shapes = base_shapes(folder)
    assert shapes.of("model.layers.1.self_attn.q_proj") == (12, 8)
    assert shapes.of("model.layers.1.self_attn.k_proj") == (6, 8)
    assert shapes.of("model.layers.1.mlp.down_proj") == (8, 12)
    assert shapes.of("model.layers.2.mlp.down_proj") is None
    assert shapes.of("lm_head") is None


def test_headers_agree_with_the_reference_library(tmp_path):
    """Our reading of names and shapes is that of the safetensors library."""
    safe_open = pytest.importorskip("safetensors").safe_open
    path = tmp_path / "t.safetensors"
    write_tensors(path, lora(dtype="F16"))
    header = read_header(path)
    with safe_open(path, framework="np") as file:
        assert {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()} == {  # noqa: SIM118
            name: tensor.shape for name, tensor in header.items()
        }
    assert first_unsound(path, header) is None
    assert {tensor.shape for tensor in header.values()} == {(RANK, HIDDEN), (HIDDEN, RANK)}


def test_a_header_with_overlapping_tensors_is_corrupt(tmp_path):
    """Every byte belongs to exactly one tensor."""
    header = {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in "ab"}
    raw = json.dumps(header).encode()
    path = tmp_path / "t.safetensors"
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(8))
    with pytest.raises(CorruptError, match="do not fit"):
        read_header(path)
