"""Train one LoRA adapter with Unsloth: `train_unsloth.py SPEC.json`.

Orders, protocol, seals and the going on after a kill are those of train_adapter.py, whose work this is; only the model
is loaded, wrapped and made faster by Unsloth. It runs in an environment of its own, which holds older libraries.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import stage_runs
import starts
import train_adapter
from train_specs import MisuseError, Spec

if TYPE_CHECKING:
    from train_stages import Stage
    from trl import SFTTrainer


def _train(spec: Spec) -> dict[str, Any]:
    """Refuse what Unsloth does not do here, and let it change the libraries before anything else loads them."""
    if spec.technique not in {"sft", "cot-sft"}:
        raise MisuseError(f"the unsloth backend does not do {spec.technique}; it does cot-sft, sft")
    if spec.hyperparameters.span_weights:
        raise MisuseError("the unsloth backend counts every learned token alike; leave span_weights away")
    import unsloth  # noqa: F401 - it must come before transformers and trl, which it patches

    stage_runs.MAKERS["sft"] = _sft
    return train_adapter.train(spec)


def _sft(spec: Spec, stage: Stage, train: list[dict[str, Any]], **given: Any) -> SFTTrainer:
    import train_settings
    from trl import SFTTrainer

    settings = train_settings.sft(spec, stage, len(train))
    return SFTTrainer(model=_model(spec), args=settings, **given)


def _model(spec: Spec) -> Any:
    import torch
    from unsloth import FastLanguageModel

    values = spec.hyperparameters
    if values.quantization == "nf4" and not torch.cuda.is_available():
        raise MisuseError("Unsloth trains in 4 bits on a CUDA GPU only, and there is none")
    model, _ = FastLanguageModel.from_pretrained(
        str(spec.base),
        max_seq_length=values.max_length,
        dtype=torch.bfloat16 if values.precision == "bf16" else torch.float32,
        load_in_4bit=values.quantization == "nf4",
    )
    return FastLanguageModel.get_peft_model(
        model,
        r=values.rank,
        lora_alpha=values.alpha,
        lora_dropout=values.dropout,
        use_rslora=values.variant == "rslora",
        bias="none",
        random_state=spec.seed,
        use_gradient_checkpointing="unsloth" if values.gradient_checkpointing else False,
        **_places(spec, model),
    )


def _places(spec: Spec, model: Any) -> dict[str, Any]:
    import lora_models

    # Of the same layers and modules as with TRL: PEFT's own words for them.
    places = lora_models.lora(spec, model)
    found: dict[str, Any] = {"target_modules": places.target_modules}
    if not isinstance(places.target_modules, str):
        found["target_modules"] = sorted(places.target_modules)
    if places.layers_to_transform is not None:
        found |= {"layers_to_transform": places.layers_to_transform, "layers_pattern": places.layers_pattern}
    return found


if __name__ == "__main__":
    starts.leave(train_adapter.main(sys.argv[1:], _train))
