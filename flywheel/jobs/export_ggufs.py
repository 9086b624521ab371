"""GGUF: written by llama.cpp's own converter, read again by ourselves."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf_files
from sft_rows import MisuseError

CONVERTER = "convert_hf_to_gguf.py"
LORA_CONVERTER = "convert_lora_to_gguf.py"
_ALPHA = "adapter.lora.alpha"
_KINDS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "Q8_0": "q8_0"}
_OWN = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
_STUB = '''"""Stands for sentencepiece, which the converter imports before it looks whether a model needs it."""


class SentencePieceProcessor:
    """Never made: the model that is converted has no tokenizer.model."""
'''
#: A GGUF's names of the Qwen and ChatML families, and the model's own.
_NAMES = {
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip
_BLOCK = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")


def convert(llama_cpp: Path, model: Path, target: Path, precision: str) -> Path:
    """Let llama.cpp's converter write a model; `auto` keeps the numbers the model is kept in."""
    import export_checks

    kind = _OWN.get(export_checks.kept_in(model), "f16") if precision == "auto" else precision
    return _run([str(llama_cpp / CONVERTER), str(model), "--outtype", kind], target, model)


def convert_adapter(llama_cpp: Path, adapter: Path, base: Path, target: Path) -> Path:
    """Let llama.cpp's converter write an adapter that stays beside its base, in the adapter's own 32 bits."""
    line = [str(llama_cpp / LORA_CONVERTER), str(adapter), "--base", str(base), "--outtype", "f32"]
    return _run(line, target, base)


def _run(line: list[str], target: Path, model: Path) -> Path:
    whole = [sys.executable, *line, "--outfile", str(target)]
    done = subprocess.run(whole, env=_environment(target.parent, model), capture_output=True, text=True, check=False)
    if done.returncode != 0 or not target.is_file():
        said = [text for text in done.stderr.strip().splitlines() if text.strip()]
        raise MisuseError(f"llama.cpp's converter does not take this model: {said[-1] if said else done.returncode}")
    return target


def _environment(work: Path, model: Path) -> dict[str, str]:
    """Return the converter's environment, with a stand-in for sentencepiece where the model has no use for it."""
    if importlib.util.find_spec("sentencepiece") is not None or (model / "tokenizer.model").exists():
        return dict(os.environ)
    stubs = work / "stubs"
    stubs.mkdir(exist_ok=True)
    (stubs / "sentencepiece.py").write_text(_STUB)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(stubs), os.environ.get("PYTHONPATH")]))}


def load(gguf: Path, merged: Path) -> tuple[Any, str]:
    """Return the model whose every weight comes out of the GGUF, and the kind of numbers most of it is kept in."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    held = gguf_files.read(gguf)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(str(merged)), dtype=torch.float32)
    weights = {own_name(name): torch.from_numpy(one.numbers()) for name, one in held.tensors.items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    tied = {"lm_head.weight"} if model.config.get_text_config().tie_word_embeddings else set()
    if set(missing) - tied or unexpected:
        raise RuntimeError(f"the GGUF holds other weights than the model: {sorted({*missing, *unexpected} - tied)[:3]}")
    model.tie_weights()
    sizes: dict[str, int] = {}
    for one in held.tensors.values():
        sizes[one.kind] = sizes.get(one.kind, 0) + one.count
    return model.eval(), _KINDS[max(sizes, key=lambda kind: sizes[kind])]


def load_beside(adapter: Path, base: Path, base_gguf: Path | None) -> tuple[Any, str]:
    """Return the base, out of its GGUF where there is one, with an adapter added as llama.cpp adds it."""
    import export_checks
    import torch

    model, kept = load(base_gguf, base) if base_gguf else (export_checks.load(base), "float32")
    held = gguf_files.read(adapter)
    weights = dict(model.named_parameters())
    for name, one in held.tensors.items():
        if not name.endswith(".lora_a"):
            continue
        stem = name.removesuffix(".lora_a")
        low, high = (torch.from_numpy(half.numbers()) for half in (one, held.tensors[f"{stem}.lora_b"]))
        with torch.no_grad():
            weights[own_name(stem)] += held.told[_ALPHA] / low.shape[0] * (high @ low)
    return model, kept


def own_name(name: str) -> str:
    """Return what the model itself calls a tensor of a GGUF; raises MisuseError for one nobody knows."""
    block = _BLOCK.fullmatch(name)
    stem, _, part = name.rpartition(".")
    if block and block[2] in _NAMES:
        return f"model.layers.{block[1]}.{_NAMES[block[2]]}.{block[3]}"
    if stem in _NAMES:
        return f"{_NAMES[stem]}.{part}"
    raise MisuseError(f"tensor {name} of the GGUF cannot be compared: models of this kind are not known")
