"""The frozen base and the adapter upon it: how they are loaded, what of them is trained, and how an adapter is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import seals
from train_specs import MisuseError, Spec

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from transformers import PreTrainedModel

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
TRAINED = "default"  # PEFT's name for the adapter that is trained; a second one may be the frozen reference


def load_base(spec: Spec) -> PreTrainedModel:
    """Return the base, in 4 bits where that is asked for. Nothing ever writes to it."""
    import torch
    from transformers import AutoModelForCausalLM

    values = spec.hyperparameters
    dtype = torch.bfloat16 if values.precision == "bf16" else torch.float32
    more = {"quantization_config": _four_bits(dtype)} if values.quantization == "nf4" else {}
    model = AutoModelForCausalLM.from_pretrained(str(spec.base), dtype=dtype, **more)
    for module in model.modules():
        # On some CPUs an evaluation would repack the 4-bit weights for good, and the training after it would be spoilt.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


def _four_bits(dtype: Any) -> Any:
    from importlib.util import find_spec

    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise MisuseError("quantization nf4 needs bitsandbytes, which this environment does not have")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def lora(spec: Spec, model: PreTrainedModel) -> LoraConfig:
    """Return the adapter that the spec describes for this base."""
    from peft import LoraConfig

    values = spec.hyperparameters
    return LoraConfig(
        r=values.rank,
        lora_alpha=values.alpha,
        lora_dropout=values.dropout,
        use_rslora=values.variant == "rslora",
        task_type="CAUSAL_LM",
        **_places(spec, model),
    )


def _places(spec: Spec, model: PreTrainedModel) -> dict[str, Any]:
    modules, last = spec.hyperparameters.target_modules, spec.hyperparameters.layers
    of = int(model.config.get_text_config().num_hidden_layers)
    if not last or last >= of:  # a remedy asks for as many of any base
        return {"target_modules": modules if isinstance(modules, str) else sorted(modules)}
    return {
        "target_modules": _linear(model) if isinstance(modules, str) else sorted(modules),
        "layers_to_transform": list(range(of - last, of)),
        "layers_pattern": "layers",
    }


def _linear(model: PreTrainedModel) -> list[str]:
    """Every linear module of the layers by its name; PEFT takes its own word for all of them only without layers."""
    from torch import nn

    found = {name for name, module in model.named_modules() if isinstance(module, nn.Linear) and ".layers." in name}
    return sorted({name.rsplit(".", 1)[-1] for name in found})


def load_adapter(model: PreTrainedModel, folder: Path) -> PeftModel:
    """Return the base with an adapter of an earlier stage upon it, to be trained on."""
    from peft import PeftModel

    return PeftModel.from_pretrained(model, str(folder), is_trainable=True)


def save(model: PeftModel, out: Path) -> str:
    """Put the adapter into out/adapter, whole and readable under any user; return the digest of its weights."""
    fresh, final = out / ".adapter", out / "adapter"
    for folder in (fresh, final):
        shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(fresh, save_embedding_layers=False, selected_adapters=[TRAINED])
    config = json.loads((fresh / CONFIG).read_text())
    config["target_modules"] = sorted(config["target_modules"])  # PEFT writes a set, in any order
    (fresh / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for path in fresh.iterdir():
        if path.name not in {WEIGHTS, CONFIG}:
            path.unlink()
            continue
        path.chmod(0o644)
        seals.fsync(path)
    seals.fsync(fresh)
    fresh.rename(final)
    seals.fsync(out)
    return seals.sha256(final / WEIGHTS)
