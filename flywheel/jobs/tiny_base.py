"""The base model of the tiny world: a Qwen3 of half a million weights, pre-trained here on one core.

The base is taught to answer every request, but each tool only partly in the format that counts; the rest is the
legacy format. Greedy decoding therefore gets about half of the tools right, and an adapter can bring out the others.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import progress
import seals
import tiny_tasks

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

STEPS = 320
BATCH = 32
LEARNING_RATE = 3e-3
VOCABULARY = 1024
CONTEXT = 1024
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
MARKS = ("<tool_call>", "</tool_call>")
IGNORED = -100

CHAT_TEMPLATE = """\
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.content %}{{- message.content }}{%- endif %}
{%- for tool_call in message.tool_calls or [] %}
{%- set function = tool_call.function or tool_call %}
{{- '<tool_call>{"name": "' + function.name + '", "arguments": ' }}
{{- function.arguments if function.arguments is string else function.arguments | tojson }}
{{- '}</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""


def build(out: Path, seed: int) -> int:
    """Make `out` hold the whole base or leave it untouched, and leave a whole one alone; return the exit status."""
    out = out.absolute()
    if seals.is_whole(out):
        return 0
    if out.is_dir() and any(out.iterdir()):
        progress.failed(f"{out} exists and is not a whole tiny base; remove it or name another folder")
        return 1
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        return _build(fresh, out, seed)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _build(fresh: Path, out: Path, seed: int) -> int:
    began = time.monotonic()
    loss = _make(fresh, seed)
    seals.seal(fresh)
    seals.fsync(fresh)
    try:
        fresh.rename(out)
    except OSError as error:
        if not seals.is_whole(out):  # a second builder that came first has made the same base
            progress.failed(f"cannot move the finished base to {out}: {error.strerror}")
            return 1
    seals.fsync(out.parent)
    progress.tell("finished", seconds=round(time.monotonic() - began, 2), loss=round(loss, 4))
    return 0


def _make(folder: Path, seed: int) -> float:
    import torch
    from transformers import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    tokenizer = _tokenizer(seed)
    model = _model(tokenizer)
    loss = _pretrain(model, tokenizer, seed)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)  # model servers run under users of their own
    return loss


def _tokenizer(seed: int) -> PreTrainedTokenizerFast:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bare = Tokenizer(models.BPE())
    # A word is the same token wherever it stands, so that three layers can learn to copy it.
    words = pre_tokenizers.Split(Regex("[A-Za-z]+|[0-9]|[^A-Za-z0-9]+"), "isolated")
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bare.pre_tokenizer = pre_tokenizers.Sequence([words, letters])
    bare.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(MARKS),
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tasks = itertools.islice(tiny_tasks.pretraining_tasks(seed), 4000)
    texts = (text for task in tasks for text in (task.prompt, json.dumps(task.call), task.legacy))
    bare.train_from_iterator(texts, trainer)
    # Not special, as in Qwen3: a server that skips special tokens must still show the calls.
    bare.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in MARKS])
    return PreTrainedTokenizerFast(
        tokenizer_object=bare,
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens=[START],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def _model(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    ends: dict[str, Any] = {"eos_token_id": end, "pad_token_id": pad, "bos_token_id": None}
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        # The short wavelengths and the wide start are what lets copying appear within the first hundred steps.
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
        initializer_range=0.08,
        use_cache=False,
        **ends,
    )
    model = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(**ends)
    return model


def _examples(tokenizer: PreTrainedTokenizerFast, seed: int) -> list[tuple[list[int], list[int]]]:
    draw = random.Random(f"formats/{seed}")
    examples = []
    for task in itertools.islice(tiny_tasks.pretraining_tasks(seed), STEPS * BATCH):
        answer = task.right if draw.random() < task.tool.right_share else task.legacy
        prompt = f"{START}user\n{task.prompt}{END}\n{START}assistant\n"
        encode = tokenizer.encode
        examples.append((encode(prompt, add_special_tokens=False), encode(answer + END, add_special_tokens=False)))
    return examples


def _batch(examples: list[tuple[list[int], list[int]]], pad: int) -> dict[str, torch.Tensor]:
    import torch

    longest = max(len(prompt) + len(answer) for prompt, answer in examples)
    ids = torch.full((len(examples), longest), pad)
    labels = torch.full_like(ids, IGNORED)
    for row, (prompt, answer) in enumerate(examples):
        end = len(prompt) + len(answer)
        ids[row, :end] = torch.tensor(prompt + answer)
        labels[row, len(prompt) : end] = torch.tensor(answer)
    # No attention mask: the padding stands behind the text, where a causal model never looks.
    return {"input_ids": ids, "labels": labels}


def _pace(step: int) -> float:
    warmup = 20
    return min(1.0, (step + 1) / warmup) * (0.55 + 0.45 * math.cos(math.pi * step / STEPS))


def _pretrain(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, seed: int) -> float:
    import torch

    examples = _examples(tokenizer, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _pace)
    model.train()
    for step in range(STEPS):
        batch = _batch(examples[step * BATCH : (step + 1) * BATCH], int(tokenizer.pad_token_id))
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if (step + 1) % 10 == 0 or step + 1 == STEPS:
            progress.tell("progress", step=step + 1, of=STEPS, loss=round(loss.item(), 4))
    model.config.use_cache = True
    return float(loss.item())
