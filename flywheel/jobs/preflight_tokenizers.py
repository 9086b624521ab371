"""What a base's tokenizer and configuration files say, and how its chat template renders what a server is sent."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sft_rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: What the checks read; nothing else of the files is carried on.
CONFIG_KEYS = (
    "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "tie_word_embeddings", "max_position_embeddings", "num_experts",
    "num_local_experts", "moe_intermediate_size", "quantization_config", "eos_token_id", "pad_token_id",
)  # fmt: skip
GENERATION_KEYS = ("eos_token_id", "pad_token_id")

_TOOL = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Read a file.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
}
#: Conversations that show where templates differ: a system message, a second turn, a tool.
_PROBES: tuple[dict[str, Any], ...] = (
    {"messages": [{"role": "user", "content": "Where is the parser?"}]},
    {
        "messages": [
            {"role": "system", "content": "Answer briefly."},
            {"role": "user", "content": "Where is the parser?"},
            {"role": "assistant", "content": "In parser.py."},
            {"role": "user", "content": "  Show it to me.\n"},
        ],
        "tools": [_TOOL],
    },
)
_ANSWER = "An answer."


def _object(path: Path) -> dict[str, Any] | None:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def _kept(held: dict[str, Any] | None, keys: tuple[str, ...]) -> dict[str, Any] | None:
    return None if held is None else {key: held[key] for key in keys if key in held}


def base_facts(base: Path) -> dict[str, Any]:
    """Return what the base's configuration files say; `generation` is null where there is no such file."""
    weights = [*base.glob("*.safetensors"), *base.glob("*.bin")]
    config = _object(base / "config.json") or {}
    return {
        "config": _kept(config.get("text_config") or config, CONFIG_KEYS),
        "generation": _kept(_object(base / "generation_config.json"), GENERATION_KEYS),
        "weight_bytes": sum(path.stat().st_size for path in weights),
    }


def _ending(tokenizer: PreTrainedTokenizerBase) -> tuple[str | None, str]:
    """Return the token that the chat template ends an answer with, or why that cannot be told."""
    from jinja2 import TemplateError

    messages = [{"role": "user", "content": "A question."}, {"role": "assistant", "content": _ANSWER}]
    try:
        whole = str(tokenizer.apply_chat_template(messages, tokenize=False))
    except (TemplateError, ValueError, TypeError) as error:
        return None, str(error)
    behind = whole.rpartition(_ANSWER)[2].rstrip("\n")
    tokens = tokenizer.encode(behind, add_special_tokens=False)
    if len(tokens) != 1:
        return None, f"it writes {behind!r} behind an answer, which is {len(tokens)} tokens"
    return str(tokenizer.convert_ids_to_tokens(tokens[0])), ""


def tokenizer_facts(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return the special tokens, what an answer ends with, and the template's digest."""
    ending, problem = _ending(tokenizer) if tokenizer.chat_template else (None, "there is no chat template")
    return {
        "eos": tokenizer.eos_token,
        "eos_id": tokenizer.eos_token_id,
        "pad": tokenizer.pad_token,
        "pad_id": tokenizer.pad_token_id,
        "ending": ending,
        "ending_id": None if ending is None else tokenizer.convert_tokens_to_ids(ending),
        "ending_problem": problem,
        "template": hashlib.sha256(str(tokenizer.chat_template or "").encode()).hexdigest(),
        "tokens": len(tokenizer),
    }


def sample(
    tokenizer: PreTrainedTokenizerBase, name: str, messages: list[dict[str, Any]], tools: Any
) -> dict[str, Any] | None:
    """Return a prompt with the tokens that the trainer sees, or None where the template cannot write it."""
    from jinja2 import TemplateError

    try:
        served = sft_rows._served(tools)  # noqa: SLF001 - there stands how a server hands schemas to a template
        text = tokenizer.apply_chat_template(messages, tools=served, tokenize=False, add_generation_prompt=True)
    except (TemplateError, ValueError, TypeError):
        return None
    tokens = tokenizer.encode(str(text), add_special_tokens=False)
    return {"name": name, "messages": messages, "tools": tools or None, "tokens": tokens}


def samples(tokenizer: PreTrainedTokenizerBase) -> list[dict[str, Any]]:
    """Return prompts of our own making, which show where two templates differ."""
    names = ("a question", "a second turn with a tool")
    told = [
        sample(tokenizer, name, one["messages"], one.get("tools")) for name, one in zip(names, _PROBES, strict=True)
    ]
    return [one for one in told if one is not None]
