"""Whether what was exported answers as the adapter does: the same prompts, greedily, and logit beside logit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import starts

with starts.undisturbed():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

ANSWER = 32  # tokens of an answer
MOST_PROMPTS = 8
#: How far logits may be off, as a part of their spread: by the numbers the weights are kept in.
TOLERANCES = {"float32": 1e-3, "bfloat16": 0.03, "float16": 0.01, "q8_0": 0.06}
_QUESTIONS = (
    "Read the file src/app.py.",
    "Which tests fail, and why?",
    "Write a function that reverses a list.",
    "Rename parse to parse_line everywhere.",
)


class Asked(NamedTuple):
    """What was asked, what the adapter said, how sure it was of each token, and how many answers it changed."""

    prompts: list[list[int]]
    answers: list[list[int]]
    logits: list[torch.Tensor]
    unlike_base: int


def ask(base: Path, adapter: Path, prompts: Path | None) -> Asked:
    """Let the adapter answer on its base, in 32 bits."""
    starts.leave_quantizer(base)
    with starts.undisturbed():
        from peft import PeftModel

    asked = _prompts(base, prompts)
    model = load(base)
    plain = [_answer(model, one) for one in asked]
    taught = PeftModel.from_pretrained(model, str(adapter)).eval()
    answers = [_answer(taught, one) for one in asked]
    logits = [_logits(taught, one, said) for one, said in zip(asked, answers, strict=True)]
    unlike = sum(one != other for one, other in zip(plain, answers, strict=True))
    return Asked(asked, answers, logits, unlike)


def load(folder: Path) -> Any:
    """Return the model of a folder, in 32 bits."""
    return AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32).eval()


def kept_in(folder: Path) -> str:
    """Return the kind of numbers that a folder's weights are kept in."""
    config = json.loads((folder / "config.json").read_text())
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")


def compare(model: Any, asked: Asked, kept: str) -> dict[str, Any]:
    """Return how far the export is off; raises RuntimeError where it would say something else."""
    worst, same = 0.0, 0
    for prompt, answer, wanted in zip(asked.prompts, asked.answers, asked.logits, strict=True):
        found = _logits(model, prompt, answer)
        spread = float(wanted.max() - wanted.min())
        gap = float((found - wanted).abs().max()) / max(spread, 1e-9)
        if not gap <= TOLERANCES[kept]:  # a gap that is no number is no proof either
            raise RuntimeError(
                f"the export answers otherwise than the adapter: logits are off by {gap:.2%} of their spread"
            )
        worst, same = max(worst, gap), same + (_answer(model, prompt) == answer)
    if kept == "float32" and same < len(asked.prompts):
        raise RuntimeError(f"the export says something else than the adapter to {len(asked.prompts) - same} prompts")
    return {
        "prompts": len(asked.prompts), "same_answers": same, "unlike_base": asked.unlike_base,
        "largest_gap": round(worst, 6), "weights": kept,
    }  # fmt: skip


def _prompts(base: Path, rows: Path | None) -> list[list[int]]:
    tokenizer = AutoTokenizer.from_pretrained(base)
    asked = [[{"role": "user", "content": text}] for text in _QUESTIONS]
    told = [json.loads(line)["messages"][:-1] for line in rows.open(encoding="utf-8")] if rows else []
    chosen = [*asked, *[messages for messages in told if messages]][:MOST_PROMPTS]
    render = tokenizer.apply_chat_template
    texts = [str(render(messages, tokenize=False, add_generation_prompt=True)) for messages in chosen]
    return [tokenizer.encode(text, add_special_tokens=False) for text in texts]


def _answer(model: Any, prompt: list[int]) -> list[int]:
    with torch.no_grad():
        said = model.generate(torch.tensor([prompt]), max_new_tokens=ANSWER, do_sample=False)
    return said[0, len(prompt) :].tolist()


def _logits(model: Any, prompt: list[int], answer: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 :].float()
