"""What each trainer can do and which environment it needs; what it cannot do is refused with the reason. Pure.

A line's policy is checked against this table, and so is every run before it starts: nothing is left out in silence.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import get_args

from flywheel.core.frozen import Frozen
from flywheel.core.training import Hyperparameters, Technique, TrainSpec

#: Adapters that the loop has no place for, whatever trains them.
FORBIDDEN: Mapping[str, str] = MappingProxyType(
    {
        "dora": "vLLM refuses to load DoRA adapters; use lora or rslora",
        "alora": "vLLM refuses to load aLoRA adapters; use lora or rslora",
        "pissa": "PiSSA changes the weights of the base, which is frozen; use lora or rslora",
        "olora": "OLoRA changes the weights of the base, which is frozen; use lora or rslora",
    }
)
#: What the seven modules are called inside a layer of the models MLX trains.
KNOWN_MODULES = frozenset({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"})

_EVERY: frozenset[Technique] = frozenset(get_args(Technique))
_ANSWERS: frozenset[Technique] = frozenset({"sft", "cot-sft"})


class Refusal(Frozen):
    """One thing a trainer is asked for and does not do: the key below `[train]`, and why."""

    key: str
    reason: str

    @property
    def sentence(self) -> str:
        """Return the one line a person reads."""
        return f"train.{self.key}: {self.reason}"


class Abilities(Frozen):
    """What a trainer does beyond plain LoRA on answers, and the environment it runs in.

    `optimizers` are the beginnings of the names it knows; none means any that its libraries know. `cannot` are keys
    of the hyperparameters that must keep the value which switches them off, each with the reason.
    """

    environment: str
    techniques: frozenset[Technique] = _EVERY
    ordered: str = ""
    optimizers: tuple[str, ...] = ()
    modules: frozenset[str] | None = None
    cannot: dict[str, str] = {}  # noqa: RUF012 - a field of a frozen model, copied for each


_NO_SPANS = "{} counts every learned token alike; the trl backend weighs spans"
_NO_LAYERS = "{} trains all layers; the trl backend trains the last ones alone"

TRAINERS: Mapping[str, Abilities] = MappingProxyType(
    {
        "trl": Abilities(environment="train"),
        "unsloth": Abilities(
            environment="unsloth",
            techniques=_ANSWERS,
            cannot={"span_weights": _NO_SPANS.format("the unsloth backend")},
        ),
        "llama-factory": Abilities(
            environment="llama-factory",
            techniques=_ANSWERS | {"dpo"},
            cannot={
                "span_weights": _NO_SPANS.format("LLaMA-Factory"),
                "layers": _NO_LAYERS.format("LLaMA-Factory"),
            },
        ),
        "mlx": Abilities(
            environment="mlx",
            techniques=_ANSWERS,
            ordered="MLX shuffles its batches, so a curriculum would be lost; use trl or switch dataset.curriculum off",
            optimizers=("adamw_torch", "adafactor", "sgd"),
            modules=KNOWN_MODULES,
            cannot={
                "span_weights": _NO_SPANS.format("MLX"),
                "quantization": "NF4 is a format of bitsandbytes, which MLX does not read; set it to none",
                "patience": "MLX never stops early; set it to 0",
            },
        ),
    }
)

_OFF = {"span_weights": {}, "quantization": "none", "patience": 0, "layers": 0}


def refusals(backend: str, technique: Technique, values: Hyperparameters, *, ordered: bool) -> list[Refusal]:
    """Return everything that this trainer is asked for and does not do; nothing when it may start."""
    can = TRAINERS.get(backend)
    if can is None:
        return [Refusal(key="backend", reason=f"there is no backend {backend!r}; choose from {', '.join(TRAINERS)}")]
    asked = [*_of_adapter(values), *_of_technique(backend, can, technique), *_of_values(backend, can, values, ordered)]
    return [*asked, *_of_pairing(technique, values)]


def why_refused(spec: TrainSpec) -> str:
    """Return in one sentence why this run may not start; nothing when it may."""
    found = refusals(spec.backend, spec.technique, spec.hyperparameters, ordered=spec.ordered)
    return "; ".join(refused.sentence for refused in found)


def _of_adapter(values: Hyperparameters) -> Iterator[Refusal]:
    if values.variant in FORBIDDEN:
        yield Refusal(key="hyperparameters.variant", reason=FORBIDDEN[values.variant])


def _of_technique(backend: str, can: Abilities, technique: Technique) -> Iterator[Refusal]:
    if technique not in can.techniques:
        known = ", ".join(sorted(can.techniques))
        yield Refusal(key="technique", reason=f"the {backend} backend does not do {technique}; it does {known}")


def _of_pairing(technique: Technique, values: Hyperparameters) -> Iterator[Refusal]:
    if values.span_weights and technique in {"dpo", "kto"}:
        reason = f"they weigh the answers that sft learns; {technique} has none of them"
        yield Refusal(key="hyperparameters.span_weights", reason=reason)
    if technique == "kto" and values.batch_size < 2:  # noqa: PLR2004 - an answer and a stranger's
        reason = "kto needs 2 or more: it sets each answer against another question of the batch"
        yield Refusal(key="hyperparameters.batch_size", reason=reason)


def _of_values(backend: str, can: Abilities, values: Hyperparameters, ordered: bool) -> Iterator[Refusal]:  # noqa: FBT001
    if ordered and can.ordered:
        yield Refusal(key="backend", reason=can.ordered)
    for key, reason in can.cannot.items():
        if getattr(values, key) != _OFF[key]:
            yield Refusal(key=f"hyperparameters.{key}", reason=reason)
    if can.optimizers and not values.optimizer.startswith(can.optimizers):
        known = ", ".join(can.optimizers)
        reason = f"the {backend} backend does not know the optimiser {values.optimizer!r}; it knows {known}"
        yield Refusal(key="hyperparameters.optimizer", reason=reason)
    if can.modules is not None and not isinstance(values.target_modules, str):
        for name in sorted(set(values.target_modules) - can.modules):
            reason = f"the {backend} backend does not know where {name!r} stands in a layer"
            yield Refusal(key="hyperparameters.target_modules", reason=reason)
