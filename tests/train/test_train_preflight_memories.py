"""The arithmetic of memory against models that are known."""

import pytest

from flywheel.core.training import Hyperparameters
from flywheel.train.preflight_memories import (
    Load,
    Shape,
    adapter_bytes,
    adapter_parameters,
    checkpoint_bytes,
    estimate,
    shown,
)

GIB = 1 << 30

#: Published widths, and how many numbers the published weights hold.
KNOWN = {
    "Qwen3-0.6B": ((1024, 3072, 28, 16, 8, 128, 151936, True), 596_049_920),
    "Qwen2.5-7B": ((3584, 18944, 28, 28, 4, 128, 152064, False), 7_615_616_512),
    "Qwen3-30B-A3B": ((2048, 768, 48, 32, 4, 128, 151936, False), 30_532_122_624),
}


def shape(name: str) -> Shape:
    """Return a known model's shape, as its configuration tells it."""
    hidden, inner, layers, heads, keys, head, vocabulary, tied = KNOWN[name][0]
    config = {
        "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": keys, "head_dim": head, "vocab_size": vocabulary, "tie_word_embeddings": tied,
    }  # fmt: skip
    if "A3B" in name:
        config |= {"num_experts": 128, "moe_intermediate_size": inner, "intermediate_size": 6144}
    found = Shape.of(config)
    assert found is not None
    return found


@pytest.mark.parametrize("name", KNOWN)
def test_the_parameters_of_known_models_come_out(name: str) -> None:
    """From widths alone the size is right to a tenth of a per cent (biases and the like are left out)."""
    assert shape(name).parameters == pytest.approx(KNOWN[name][1], rel=1e-3)


def test_a_configuration_of_another_family_has_no_shape() -> None:
    """What is not known is not guessed."""
    assert Shape.of({"model_type": "mamba", "d_model": 768}) is None
    assert Shape.of({"hidden_size": 8, "num_attention_heads": 0}) is None


def test_an_adapter_is_two_thin_matrices_for_each_module() -> None:
    """Rank times the sum of the widths, over all layers or the last few; its file has four bytes a number."""
    one = shape("Qwen3-0.6B")
    values = Hyperparameters(rank=16)
    a_layer = 16 * sum(sum(widths) for widths in one.linears.values())
    assert adapter_parameters(one, values) == 28 * a_layer == 10_092_544
    assert adapter_parameters(one, values.model_copy(update={"layers": 4})) == 4 * a_layer
    assert adapter_bytes(one, values) == 4 * 28 * a_layer
    assert checkpoint_bytes(one, values) > 3 * adapter_bytes(one, values)
    attention = Hyperparameters(rank=16, target_modules=("q_proj", "v_proj"))
    assert adapter_parameters(one, attention) == 28 * 16 * (2048 + 1024 + 1024 + 1024)


def test_experts_are_not_reached_by_an_adapter() -> None:
    """A mixture's experts are one block of weights: their numbers count, a LoRA on linear modules leaves them."""
    one = shape("Qwen3-30B-A3B")
    every = adapter_parameters(one, Hyperparameters(rank=8))
    attention = Hyperparameters(rank=8, target_modules=("q_proj", "k_proj", "v_proj", "o_proj"))
    assert every == adapter_parameters(one, attention)


@pytest.mark.parametrize(
    ("changed", "part", "less"),
    [
        ({"quantization": "nf4"}, "weights", 0.5), ({"optimizer": "adamw_8bit"}, "adapter", 0.7),
        ({"gradient_checkpointing": True}, "activations", 0.25), ({"batch_size": 1}, "activations", 0.26),
    ],
)  # fmt: skip
def test_what_saves_memory_saves_it_where_it_should(changed: dict[str, object], part: str, less: float) -> None:
    """Each of the mends that a finding names makes its own part smaller."""
    values = Hyperparameters(gradient_checkpointing=False, batch_size=4)
    plain = estimate(shape("Qwen2.5-7B"), Load(values=values, length=2048))
    spared = estimate(shape("Qwen2.5-7B"), Load(values=values.model_copy(update=changed), length=2048))
    assert getattr(spared, part) < less * getattr(plain, part)
    assert spared.total < plain.total


def test_pairs_stand_side_by_side_and_other_trainers_hold_all_logits() -> None:
    """A pair is two rows at once; only TRL works the logits out in tiles."""
    values = Hyperparameters(batch_size=4)
    one = shape("Qwen3-0.6B")
    plain = estimate(one, Load(values=values, length=2048))
    pairs = estimate(one, Load(values=values, length=2048, technique="dpo"))
    assert pairs.activations == 2 * plain.activations
    whole = estimate(one, Load(values=values, length=2048, backend="llama-factory"))
    assert whole.logits == 4 * 2048 * 151936 * 14 > plain.logits


def test_seven_billion_with_nf4_fit_a_card_of_sixteen() -> None:
    """The recipe of the shipped lines (rank 16, 2048 tokens, checkpointing) is not refused where it is known to fit."""
    values = Hyperparameters(rank=16, batch_size=2, quantization="nf4", optimizer="adamw_8bit")
    need = estimate(shape("Qwen2.5-7B"), Load(values=values, length=2048))
    assert 5 * GIB < need.total < 16 * GIB


def test_bytes_are_shown_as_people_read_them() -> None:
    """Below a gibibyte in mebibytes."""
    assert (shown(3 * GIB / 2), shown(50 << 20)) == ("1.5 GiB", "50 MiB")
