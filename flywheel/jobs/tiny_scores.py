"""How much of the tiny world is answered rightly: `tiny_scores.py BASE [ADAPTER...] --count N --seed S [--start K]`.

One JSON line for the base and one for each adapter: the share of held-out tasks whose answer ends in exactly the right
call, the share whose answer shows what leads to it, and the share right of each tool. Greedy, on a CPU.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import progress
import starts
import tiny_base
import tiny_lessons
import tiny_tasks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH = 80
LONGEST = 100


def answers(model: Any, tokenizer: PreTrainedTokenizerBase, tasks: list[tiny_tasks.Task]) -> list[str]:
    """Return what the model says to each task."""
    import torch

    said = []
    for first in range(0, len(tasks), BATCH):
        turns = [[{"role": "user", "content": task.prompt}] for task in tasks[first : first + BATCH]]
        prompts = [tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True) for turn in turns]
        coded = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False)
        with torch.no_grad():
            tokens = model.generate(**coded, max_new_tokens=LONGEST, do_sample=False)
        texts = tokenizer.batch_decode(tokens[:, coded["input_ids"].shape[1] :])
        said += [text.split(tiny_base.END)[0] for text in texts]
    return said


def score(tasks: list[tiny_tasks.Task], said: list[str]) -> dict[str, Any]:
    """Return which share of the answers is right, which shows its reasoning, and the share right of each tool."""
    right = [text.endswith(task.right) for task, text in zip(tasks, said, strict=True)]
    shown = [text.startswith(tiny_lessons.thought(task)) for task, text in zip(tasks, said, strict=True)]
    tools: dict[str, list[bool]] = {}
    for task, good in zip(tasks, right, strict=True):
        tools.setdefault(task.tool.name, []).append(good)
    return {
        "right": _share(right),
        "shown": _share(shown),
        "tools": {name: _share(tools[name]) for name in sorted(tools)},
    }


def _share(found: list[bool]) -> float:
    return round(sum(found) / len(found), 4)


def main(argv: list[str]) -> int:
    """Score the base and every adapter."""
    parser = argparse.ArgumentParser(prog="tiny_scores.py", description="Scores on the tiny world's held-out tasks.")
    parser.add_argument("base")
    parser.add_argument("adapters", nargs="*")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--start", type=int, default=4000, help="number of the first task")
    asked = parser.parse_args(argv)
    progress.keep_chatter_off()
    starts.leave_quantizer(Path(asked.base))
    with starts.undisturbed():
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(asked.base)
    tasks = [tiny_tasks.public_task(asked.seed, number) for number in range(asked.start, asked.start + asked.count)]
    for adapter in (None, *asked.adapters):
        model = AutoModelForCausalLM.from_pretrained(asked.base).eval()
        if adapter:
            model = PeftModel.from_pretrained(model, adapter).eval()
        progress.tell("scored", adapter=adapter, **score(tasks, answers(model, tokenizer, tasks)))
    return 0


if __name__ == "__main__":
    starts.leave(main(sys.argv[1:]))
