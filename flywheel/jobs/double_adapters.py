"""Which adapters the double accepts: the same ones as vLLM, refused with the same reasons."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from double_errors import RefusalError, worker_failed
from safetensors import SafetensorError, safe_open

REQUIRED = {"r", "lora_alpha", "target_modules"}
PLAIN_INITS = {"gaussian", "eva", "orthogonal", "mica", "lora_ga"}
TARGETS = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "embed_tokens", "lm_head"}
UNSUPPORTED = {
    "lora_bias": "vLLM does not support LoRA bias (lora_bias).",
    "alora_invocation_tokens": "vLLM does not support Activated LoRA (aLoRA).",
    "layer_replication": "vLLM does not support layer_replication.",
    "use_bdlora": "vLLM does not support block-diagonal LoRA (BD-LoRA).",
    "use_qalora": "vLLM does not support QALoRA.",
}


@dataclass(slots=True, eq=False)
class Adapter:
    """An adapter that is loaded: a server name, where it came from, and the model that answers for it.

    Whoever takes its name away need not look after the weights: they go with the last answer that holds them.
    """

    name: str
    path: str
    model: Any


def check(name: str, path: str, max_rank: int) -> None:
    """Refuse what vLLM would refuse."""
    folder = Path(path)
    try:
        config = json.loads((folder / "adapter_config.json").read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        shown = "<path>" if folder.is_absolute() else path
        message = f"Loading lora {name} failed: No adapter found for {shown}"
        raise RefusalError(message, "NotFoundError", code=404) from error
    except (OSError, ValueError) as error:
        raise worker_failed(str(error)) from error
    if problems := _problems(config, max_rank):
        raise worker_failed(" ".join(problems))
    _check_weights(folder)


def _problems(config: dict[str, Any], max_rank: int) -> list[str]:
    if missing := REQUIRED - set(config):
        return [f"Missing required configuration fields: {missing}"]
    problems = []
    if saved := [name for name in config.get("modules_to_save") or [] if name not in {"classifier", "score"}]:
        problems.append(
            'vLLM only supports modules_to_save being either None or ["classifier", "score"] for classification '
            f"models. Unsupported modules_to_save: {saved}"
        )
    if config.get("use_dora"):
        problems.append("vLLM does not yet support DoRA.")
    init = config.get("init_lora_weights", True)
    if isinstance(init, str) and init.lower() not in PLAIN_INITS:
        problems.append(f"vLLM does not support init_lora_weights={init!r}.")
    problems += [reason for key, reason in UNSUPPORTED.items() if config.get(key)]
    rank = max([config["r"], *(config.get("rank_pattern") or {}).values()])
    if rank > max_rank:
        problems.append(f"LoRA rank {rank} is greater than max_lora_rank {max_rank}.")
    if config.get("bias", "none") != "none":
        problems.append("Adapter bias is not supported.")
    return problems


def _check_weights(folder: Path) -> None:
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file():
        raise worker_failed("<path> doesn't contain tensors")
    try:
        with safe_open(weights, framework="pt") as tensors:
            names = [name.split(".lora_")[0].removeprefix("base_model.model.") for name in tensors.keys()]  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise worker_failed(str(error)) from error
    if unexpected := [name for name in names if name.rsplit(".", 1)[-1] not in TARGETS]:
        raise worker_failed(
            f"While loading <path>, expected target modules in {TARGETS} but received {unexpected}. "
            "Please verify that the loaded LoRA module is correct"
        )
