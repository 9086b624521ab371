"""The tiny world's second base: the first one, taught that an answer may show its reasoning and its plan before a call.

It shows them seldom, and what follows is in the right format only as often as before: so greedy decoding shows nothing
of it, and an adapter can bring it out. `tiny_thoughts.py FIRST OUT` makes it, whole or not at all.
"""

from __future__ import annotations

import itertools
import math
import os
import random
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import progress
import seals
import tiny_base
import tiny_lessons
import tiny_tasks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

STEPS = 120
BATCH = 32
LEARNING_RATE = 1.5e-3
SHOWN = 0.25  # how often an answer shows what leads to it


def _answers(seed: int) -> Any:
    draw = random.Random(f"thoughts/{seed}")
    for task in tiny_tasks.pretraining_tasks(seed + 1):
        shown = tiny_lessons.thought(task) if draw.random() < SHOWN else ""
        yield task, shown + (task.right if draw.random() < task.tool.right_share else task.legacy)


def _examples(tokenizer: PreTrainedTokenizerBase, seed: int) -> list[tuple[list[int], list[int]]]:
    start, end = tiny_base.START, tiny_base.END
    return [
        (
            tokenizer.encode(f"{start}user\n{task.prompt}{end}\n{start}assistant\n", add_special_tokens=False),
            tokenizer.encode(answer + end, add_special_tokens=False),
        )
        for task, answer in itertools.islice(_answers(seed), STEPS * BATCH)
    ]


def _pace(step: int) -> float:
    return min(1.0, (step + 1) / 10) * (0.55 + 0.45 * math.cos(math.pi * step / STEPS))


def _train(model: Any, examples: list[tuple[list[int], list[int]]], pad: int) -> float:
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _pace)
    model.train()
    for step in range(STEPS):
        # The module that has it is part of what the first base is made of, and a word in it would make another base.
        batch = tiny_base._batch(examples[step * BATCH : (step + 1) * BATCH], pad)  # noqa: SLF001
        loss = model(**batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if (step + 1) % 10 == 0:
            progress.tell("progress", step=step + 1, of=STEPS, loss=round(loss.item(), 4))
    return float(loss.item())


def _make(first: Path, folder: Path, seed: int) -> float:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    tokenizer = AutoTokenizer.from_pretrained(first)
    model = AutoModelForCausalLM.from_pretrained(first, dtype=torch.float32)
    loss = _train(model, _examples(tokenizer, seed), int(tokenizer.pad_token_id))
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return loss


def main(argv: list[str]) -> int:
    """Make the second base, or leave a whole one alone; the exit status is 0, or 2 for misuse."""
    if len(argv) != 2:  # noqa: PLR2004 - a base and a folder
        progress.failed("usage: tiny_thoughts.py FIRST OUT")
        return 2
    first, out = Path(argv[0]).absolute(), Path(argv[1]).absolute()
    if seals.is_whole(out):
        return 0
    began = time.monotonic()
    fresh = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        loss = _make(first, fresh, seed=0)
        seals.seal(fresh)
        fresh.rename(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    progress.tell("finished", seconds=round(time.monotonic() - began, 2), loss=round(loss, 4))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
