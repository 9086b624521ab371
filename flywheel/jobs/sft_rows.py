"""Rows of conversations turned into tokens: only the last answer is learned, and nothing is ever cut silently."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft_specs import MisuseError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
EMPTY_THOUGHT = "<think>\n\n</think>\n\n"

Tokens = dict[str, list[int]]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise MisuseError(f"{path} row {number} is not JSON: {error}") from error
            yield number, row


def _messages(path: Path, number: int, row: Any) -> list[dict[str, Any]]:
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise MisuseError(f"{path} row {number} has no list of messages")
    if not messages or messages[-1].get("role") != "assistant":
        raise MisuseError(f"{path} row {number} does not end with an assistant message")
    return messages


def _texts(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], tools: Any) -> tuple[str, str]:
    """Return the prompt exactly as a server renders it, and the answer that is to follow it."""
    render = tokenizer.apply_chat_template
    prompt = str(render(messages[:-1], tools=tools, tokenize=False, add_generation_prompt=True))
    whole = str(render(messages, tools=tools, tokenize=False))
    if not whole.startswith(prompt):
        raise MisuseError("the chat template renders the prompt differently once the answer stands behind it")
    answer = whole[len(prompt) :].rstrip("\n")
    recorded = messages[-1].get("content") or ""
    if answer.startswith(EMPTY_THOUGHT) and not str(recorded).startswith("<think>"):
        # Qwen3's template thinks an empty thought into answers that had none; what was recorded is what is learned.
        answer = answer.removeprefix(EMPTY_THOUGHT)
    return prompt, answer


def _tokens(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], tools: Any) -> Tokens:
    # Apart, as at serving time: the prompt is tokenised before any of the answer exists.
    prompt, answer = (tokenizer.encode(text, add_special_tokens=False) for text in _texts(tokenizer, messages, tools))
    if not answer or answer[-1] != tokenizer.eos_token_id:
        raise MisuseError(f"the chat template does not end an answer with {tokenizer.eos_token}")
    return {"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer}


def read(path: Path, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[Tokens]:
    """Every row of `path` as tokens and labels; the labels end in the end-of-turn token and no row is too long."""
    examples: list[Tokens] = []
    long: list[tuple[int, int]] = []
    for number, row in _rows(path):
        messages = _messages(path, number, row)
        try:
            tokens = _tokens(tokenizer, messages, row.get("tools"))
        except MisuseError as error:
            raise MisuseError(f"{path} row {number}: {error}") from error
        examples.append(tokens)
        if len(tokens["input_ids"]) > max_length:
            long.append((number, len(tokens["input_ids"])))
    if long:
        first, length = long[0]
        raise MisuseError(
            f"{path}: {len(long)} of {len(examples)} rows are longer than max_length {max_length}; "
            f"the first is row {first} with {length} tokens"
        )
    if not examples:
        raise MisuseError(f"{path} has no rows")
    return examples
