"""Rows of preferences turned into tokens: pairs of answers, and answers that were judged one by one.

Both are written exactly as an example for plain training would be: the prompt as a server renders it, each answer with
its end of turn, nothing cut. A pair whose answers are the same teaches nothing and is refused.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sft_rows
from train_specs import MisuseError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Tokens = dict[str, Any]


def _prompt(row: Any) -> list[dict[str, Any]]:
    messages = row.get("prompt") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise MisuseError("has no list of messages as its prompt")
    return messages


def _answer(tokenizer: PreTrainedTokenizerBase, row: Any, key: str) -> tuple[list[int], list[int]]:
    messages = _prompt(row)
    if not isinstance(row.get(key), str) or not row[key].strip():
        raise MisuseError(
            f"has no text as its {key} answer" if key != "completion" else "has no text as its completion"
        )
    whole = {"messages": [*messages, {"role": "assistant", "content": row[key]}], "tools": row.get("tools")}
    tokens = sft_rows.tokens_of(tokenizer, whole, whole["messages"])
    asked = next(place for place, label in enumerate(tokens["labels"]) if label != sft_rows.IGNORED)
    return tokens["input_ids"][:asked], tokens["input_ids"][asked:]


def _pair(tokenizer: PreTrainedTokenizerBase, row: Any) -> Tokens:
    prompt, chosen = _answer(tokenizer, row, "chosen")
    _, rejected = _answer(tokenizer, row, "rejected")
    if chosen == rejected:
        raise MisuseError("its chosen answer is its rejected one")
    return {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}


def _judged(tokenizer: PreTrainedTokenizerBase, row: Any) -> Tokens:
    prompt, completion = _answer(tokenizer, row, "completion")
    if not isinstance(row.get("label"), bool):
        raise MisuseError("its label is neither true nor false")
    return {"prompt_ids": prompt, "completion_ids": completion, "label": row["label"]}


def _read(path: Path, tokenizer: PreTrainedTokenizerBase, max_length: int, make: Any) -> list[Tokens]:
    made: list[Tokens] = []
    lengths: list[tuple[int, int]] = []
    for number, row in sft_rows.rows(path):
        try:
            tokens = make(tokenizer, row)
        except MisuseError as error:
            raise MisuseError(f"{path} row {number}: {error}") from error
        answers = [len(ids) for key, ids in tokens.items() if key not in {"prompt_ids", "label"}]
        lengths.append((number, len(tokens["prompt_ids"]) + max(answers)))
        made.append(tokens)
    sft_rows.refuse_long(path, lengths, max_length)
    return made


def read_pairs(path: Path, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[Tokens]:
    """Every pair of `path` as tokens: one prompt, a chosen and a rejected answer."""
    return _read(path, tokenizer, max_length, _pair)


def read_judged(path: Path, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[Tokens]:
    """Every judged answer of `path` as tokens."""
    return _read(path, tokenizer, max_length, _judged)


def refuse_lopsided(path: Path, rows: list[Tokens]) -> None:
    """Raise MisuseError unless there are good answers and bad ones to tell apart."""
    if len({row["label"] for row in rows}) == 1:
        only = "good" if rows[0]["label"] else "bad"
        raise MisuseError(f"{path} holds {only} answers alone; kto tells good ones from bad ones and needs both")


def mixed(rows: list[Tokens], seed: int) -> list[Tokens]:
    """Return the rows in an order that the seed alone decides."""
    return random.Random(f"mixed/{seed}").sample(rows, len(rows))


def with_strangers(rows: list[Tokens], batch: int) -> list[Tokens]:
    """Set beside each answer's question the answer to another one of its batch: what KTO measures the drift by.

    A last batch of one row would be its own stranger; it borrows from the batch before.
    """
    paired = []
    for first in range(0, len(rows), batch):
        together = rows[first : first + batch]
        before = together[-1] if len(together) > 1 else rows[first - 1]
        for row in together:
            paired.append({**row, "KL_completion_ids": before["completion_ids"]})
            before = row
    return paired


def balance(rows: list[Tokens]) -> tuple[float, float]:
    """Return how much a good and a bad answer count, so that both kinds weigh the same and none less than 1."""
    good = sum(row["label"] for row in rows)
    bad = len(rows) - good
    return max(1.0, bad / good), max(1.0, good / bad)
