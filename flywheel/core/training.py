"""What a training run is asked to do and what it leaves: specs, bases, adapters."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from flywheel.core.bases import Lineage
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash, served_name, short

#: What is learned from: answers; answers with their reasoning; pairs; answers and then pairs; single judgements.
Technique = Literal["sft", "cot-sft", "dpo", "sft-dpo", "cot-sft-dpo", "kto"]
#: The files of a dataset that a technique learns from.
LEARNED_FROM: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sft": ("train",),
        "cot-sft": ("train",),
        "dpo": ("pairs",),
        "sft-dpo": ("train", "pairs"),
        "cot-sft-dpo": ("train", "pairs"),
        "kto": ("judged",),
    }
)
#: Techniques that learn from answers with their reasoning, and from no others.
REASONED = frozenset({"cot-sft", "cot-sft-dpo"})
Variant = Literal["lora", "rslora", "dora", "pissa", "olora", "alora"]


class Base(Frozen):
    """A frozen base model on this machine; the fingerprint pins its bytes, the revision says where they are from.

    A base that adapters were fused into says so by its `lineage`; `server` is where it is asked, when not at the first.
    """

    name: str
    path: str
    served_as: str
    fingerprint: str | None = None
    parameters: float | None = Field(default=None, gt=0)
    revision: str = ""
    lineage: Lineage | None = None
    server: str | None = None


class Preference(Frozen):
    """How pairs and single judgements are learned from: the second stage of `sft-dpo`, and all of `dpo` and `kto`.

    `beta`: how dear it is to leave the reference; `sft_weight`: how much of the plain loss on the chosen answer is
    added; learning rate, epochs and steps are those of the second stage of `sft-dpo` and of nothing else.
    """

    beta: float = Field(default=0.1, gt=0)
    sft_weight: float = Field(default=1.0, ge=0)
    learning_rate: float = Field(default=1e-5, gt=0)
    epochs: float = Field(default=1, gt=0)
    max_steps: int = Field(default=-1, ge=-1)


class Hyperparameters(Frozen):
    """Everything a run's outcome depends on beside data and base. A step is always an optimiser step.

    `layers`: only the last so many are trained; 0, or more than there are, means all. `span_weights`: how much a token
    of a marked section of the answer counts, by the section's name (`REASONING`, `PLAN`); every other token counts 1.
    """

    rank: int = Field(default=16, gt=0)
    alpha: int = Field(default=32, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] | Literal["all-linear"] = (
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    )  # fmt: skip
    learning_rate: float = Field(default=2e-4, gt=0)
    scheduler: Literal["linear", "cosine", "constant"] = "cosine"
    epochs: float = Field(default=3, gt=0)
    max_steps: int = Field(default=-1, ge=-1)
    batch_size: int = Field(default=4, gt=0)
    accumulation: int = Field(default=1, gt=0)
    warmup: float = Field(default=0.03, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    max_length: int = Field(default=2048, gt=0)
    optimizer: str = "adamw_torch"
    precision: Literal["bf16", "fp32"] = "bf16"
    gradient_checkpointing: bool = True
    eval_steps: int = Field(default=0, ge=0)
    save_steps: int = Field(default=100, gt=0)
    patience: int = Field(default=0, ge=0)
    variant: Variant = "lora"
    quantization: Literal["none", "nf4"] = "none"
    layers: int = Field(default=0, ge=0)
    span_weights: dict[str, float] = Field(default_factory=dict)
    preference: Preference = Preference()


class TrainSpec(Frozen):
    """One run, completely: the same spec on the same machine gives the same bytes.

    `attempt` counts the runs a person asked for after one on the same dataset had failed; `ordered` rows are a
    curriculum, which is gone through as it stands; `remedies` name what the line's last reports changed about it;
    `halved` runs stand for one that ran out of memory: their batch is the next smaller one.
    """

    line: str
    dataset: str
    base_name: str
    base_fingerprint: str
    technique: Technique = "sft"
    backend: str = "trl"
    seed: int = 0
    attempt: int = Field(default=1, ge=1)
    hyperparameters: Hyperparameters = Hyperparameters()
    ordered: bool = False
    remedies: tuple[str, ...] = ()
    halved: bool = False

    @property
    def run_id(self) -> str:
        """Return the run's name: one run for one spec, so asking twice never trains twice."""
        return f"run-{short(content_hash(self.model_dump(mode='json')))}"


class AdapterManifest(Frozen):
    """What lies in an adapter's folder and where it came from; `hash` covers the files.

    One that is `private` learned from what stands under no known licence: it is not passed on.
    """

    hash: str
    line: str
    number: int
    run: str
    dataset: str
    base_name: str
    base_fingerprint: str
    rank: int
    target_modules: tuple[str, ...]
    files: dict[str, str]
    base_parts: dict[str, str] = Field(default_factory=dict)
    private: bool = False

    @property
    def name(self) -> str:
        """Return the immutable name it is served under."""
        return served_name(self.line, self.number)

    @property
    def folder(self) -> str:
        """Return the folder's name below `adapters/<line>/`."""
        return f"{self.number}-{short(self.hash)}"
