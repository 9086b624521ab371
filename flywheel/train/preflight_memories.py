"""How much memory a run needs, from the base's configuration and the spec alone. Pure arithmetic, no measuring.

Every term is the bytes of something that is really held: weights, the adapter with its gradients and optimiser states,
what each layer keeps for the way back, the logits. docs/training.md tells how far it was off where it was measured.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from flywheel.core.frozen import Frozen
from flywheel.core.training import Hyperparameters, Technique

GIB = 1 << 30
_MIB = 1 << 20
_FLOAT = 4
#: NF4 holds a number in 4 bits; of each 64 one scale of 8 bits, of each 256 scales one of 32 (double quantisation).
_NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
#: Of each logit: the number, its float32 copy where it is shorter, its log-probability, and the gradient of both.
_LOGIT = {"bf16": 2 + 4 + 4 + 4, "fp32": 4 + 4 + 4}
#: TRL works logits out in tiles of so many tokens and so many words; other trainers hold all of them at once. On a GPU
#: one kernel works in the tile itself; on a CPU seven float32 copies of it live at once on the way back.
_TILE = (4096, 32768)
_TILED_LOGIT = {"gpu": 8, "ram": 28}
#: What a process with torch holds before any weight: on a CPU as measured, on a GPU its context and workspaces.
_PROCESS = {"ram": 720 * _MIB, "gpu": 800 * _MIB}
#: Techniques whose answers stand alone; a pair is two, and a judged one is compared with another question's.
_ALONE: frozenset[Technique] = frozenset({"sft", "cot-sft"})


class Shape(Frozen):
    """The widths of a base that decide what it costs to train."""

    hidden: int
    inner: int
    layers: int
    heads: int
    keys: int
    head: int
    vocabulary: int
    tied: bool
    experts: int = 0

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self | None:
        """Return the shape a configuration tells, or None when it is none of the families this arithmetic knows."""
        try:
            heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
            experts = int(config.get("num_experts") or config.get("num_local_experts") or 0)
            return cls(
                hidden=hidden,
                inner=int((config.get("moe_intermediate_size") if experts else None) or config["intermediate_size"]),
                layers=int(config["num_hidden_layers"]),
                heads=heads,
                keys=int(config.get("num_key_value_heads") or heads),
                head=int(config.get("head_dim") or hidden // heads),
                vocabulary=int(config["vocab_size"]),
                tied=bool(config.get("tie_word_embeddings", False)),
                experts=experts,
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            return None

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """Return a layer's linear modules with their widths (out, in)."""
        wide, narrow = self.heads * self.head, self.keys * self.head
        return {
            "q_proj": (wide, self.hidden), "k_proj": (narrow, self.hidden), "v_proj": (narrow, self.hidden),
            "o_proj": (self.hidden, wide), "gate_proj": (self.inner, self.hidden),
            "up_proj": (self.inner, self.hidden), "down_proj": (self.hidden, self.inner),
        }  # fmt: skip

    @property
    def linear_parameters(self) -> int:
        """Return how many numbers the layers' linear modules hold, every expert's included."""
        held = {name: out * into for name, (out, into) in self.linears.items()}
        mlp = sum(held.pop(name) for name in ("gate_proj", "up_proj", "down_proj"))
        return self.layers * (sum(held.values()) + mlp * max(1, self.experts))

    @property
    def other_parameters(self) -> int:
        """Return how many numbers embeddings, head and norms hold: what is never quantised."""
        norms = self.layers * (2 * self.hidden + 2 * self.head) + self.hidden
        return (
            self.vocabulary * self.hidden * (1 if self.tied else 2) + norms + self.layers * self.hidden * self.experts
        )

    @property
    def parameters(self) -> int:
        """Return how many numbers the base holds."""
        return self.linear_parameters + self.other_parameters


class Need(Frozen):
    """What a run needs, in bytes, by what needs it."""

    weights: int
    adapter: int
    activations: int
    logits: int
    process: int

    @property
    def total(self) -> int:
        """Return all of it."""
        return self.weights + self.adapter + self.activations + self.logits + self.process

    @property
    def sentence(self) -> str:
        """Return the sum and its parts, in words."""
        parts = {"weights": self.weights, "adapter and optimiser": self.adapter, "activations": self.activations,
                 "logits": self.logits, "the process itself": self.process}  # fmt: skip
        told = ", ".join(f"{name} {shown(size)}" for name, size in parts.items())
        return f"{shown(self.total)} ({told})"


class Load(Frozen):
    """What a run is made of, beside the base's shape; `stored` is the size of a base that comes quantised."""

    values: Hyperparameters
    length: int
    technique: Technique = "sft"
    backend: str = "trl"
    where: Literal["gpu", "ram"] = "gpu"
    stored: int | None = None

    @property
    def tokens(self) -> int:
        """Return the tokens of a step that are held at once, every row as long as the longest."""
        return self.values.batch_size * self.length * (1 if self.technique in _ALONE else 2)


def estimate(shape: Shape, load: Load) -> Need:
    """Return the memory a run needs at its worst moment: the way back from its longest rows."""
    values = load.values
    return Need(
        weights=load.stored if load.stored is not None else _weights(shape, values),
        adapter=adapter_parameters(shape, values) * (_FLOAT + _FLOAT + _states(values.optimizer)),
        activations=round(load.tokens * _activations(shape, values)),
        logits=_logits(shape, load),
        process=_PROCESS[load.where],
    )


def _logits(shape: Shape, load: Load) -> int:
    if load.backend == "trl":
        return min(load.tokens, _TILE[0]) * min(shape.vocabulary, _TILE[1]) * _TILED_LOGIT[load.where]
    return load.tokens * shape.vocabulary * _LOGIT[load.values.precision]


def adapter_parameters(shape: Shape, values: Hyperparameters) -> int:
    """Return how many numbers the adapter trains: a row and a column of the rank for every target module."""
    layers = min(values.layers or shape.layers, shape.layers)
    targets = _targets(shape, values)
    return layers * values.rank * sum(sum(shape.linears[name]) for name in targets)


def adapter_bytes(shape: Shape, values: Hyperparameters) -> int:
    """Return the size of the adapter's file."""
    return adapter_parameters(shape, values) * _FLOAT


def checkpoint_bytes(shape: Shape, values: Hyperparameters) -> int:
    """Return the size of one checkpoint: the adapter and its optimiser's states, and a mebibyte of small files."""
    return adapter_parameters(shape, values) * (_FLOAT + _states(values.optimizer)) + _MIB


def shown(size: float) -> str:
    """Return a number of bytes as a person reads it."""
    return f"{size / GIB:,.1f} GiB" if size >= GIB else f"{size / _MIB:,.0f} MiB"


def _targets(shape: Shape, values: Hyperparameters) -> list[str]:
    named = values.target_modules
    everywhere = [name for name in shape.linears if named == "all-linear" or name in named]
    # Experts are held as one block, which a LoRA on linear modules does not reach.
    return [name for name in everywhere if not (shape.experts and name in {"gate_proj", "up_proj", "down_proj"})]


def _states(optimizer: str) -> int:
    if "8bit" in optimizer:
        return 2
    return {"sgd": 0, "adafactor": 0, "adamw_torch_4bit": 1}.get(optimizer, 2 * _FLOAT)


def _weights(shape: Shape, values: Hyperparameters) -> int:
    size = 2 if values.precision == "bf16" else _FLOAT
    linear = _NF4 if values.quantization == "nf4" else size
    return round(shape.linear_parameters * linear) + shape.other_parameters * size


def _activations(shape: Shape, values: Hyperparameters) -> float:
    """Return the bytes a token keeps for the way back."""
    size = 2 if values.precision == "bf16" else _FLOAT
    kept = _layer(shape, values, size)
    if values.gradient_checkpointing:
        # Each layer keeps its input alone; one layer at a time is worked out again, with its gradients beside it.
        return shape.layers * shape.hidden * size + 2 * kept
    trained = min(values.layers or shape.layers, shape.layers)
    return trained * kept


def _layer(shape: Shape, values: Hyperparameters, size: int) -> float:
    wide, narrow = shape.heads * shape.head, shape.keys * shape.head
    inner = shape.inner * max(1, min(shape.experts, 8))  # a mixture works with a few experts a token
    norms = 2 * shape.hidden * _FLOAT + (wide + narrow) * _FLOAT
    attention = 4 * wide * size
    between = 3 * inner * size
    return norms + attention + between + _adapter_inputs(shape, values, size, inner)


def _adapter_inputs(shape: Shape, values: Hyperparameters, size: int, inner: int) -> float:
    """Return the bytes of what adapters keep of their inputs: shared in float32, cast for each where it is shorter."""
    targets = set(_targets(shape, values))
    if values.precision == "fp32" and values.dropout == 0:
        groups: list[tuple[set[str], int]] = [
            ({"q_proj", "k_proj", "v_proj"}, shape.hidden), ({"gate_proj", "up_proj"}, shape.hidden),
            ({"down_proj"}, inner),
        ]  # fmt: skip
        return size * sum(width for names, width in groups if names & targets)
    copies = 1 if values.dropout == 0 else 2  # dropout keeps its mask and what it let through
    widths = {name: into for name, (_out, into) in shape.linears.items()} | {"down_proj": inner}
    return copies * size * sum(widths[name] for name in targets)
