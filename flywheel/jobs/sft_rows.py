"""Rows of conversations turned into tokens: only the last answer is learned, and nothing is ever cut silently.

A row may name spans of its answer that are not learned: `"masks": [[start, end], ...]`, in characters of the answer's
content. A token that lies wholly inside one is context, not a label; one that reaches out of it is learned.
"""

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


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield every row of a file with its number; raises MisuseError for a line that is not JSON."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise MisuseError(f"{path} row {number} is not JSON: {error}") from error
            yield number, row


def messages_of(path: Path, number: int, row: Any) -> list[dict[str, Any]]:
    """Return a row's messages, the last of which is the answer."""
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise MisuseError(f"{path} row {number} has no list of messages")
    if not messages or messages[-1].get("role") != "assistant":
        raise MisuseError(f"{path} row {number} does not end with an assistant message")
    return messages


def _served(tools: Any) -> Any:
    """Return the schemas as vLLM hands them to the chat template: its keys, in its order."""
    if not isinstance(tools, list):
        return tools or None
    return [_served_tool(tool) for tool in tools] or None


def _served_tool(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict):
        return tool
    kept = {key: function.get(key) for key in ("name", "description", "parameters")}
    more = {key: function[key] for key in ("strict", "defer_loading") if function.get(key) is not None}
    return {"type": tool.get("type", "function"), "function": {**kept, **more}}


def _texts(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], tools: Any) -> tuple[str, str]:
    """Return the prompt exactly as a server renders it, and the answer that is to follow it."""
    render = tokenizer.apply_chat_template
    prompt = str(render(messages[:-1], tools=_served(tools), tokenize=False, add_generation_prompt=True))
    whole = str(render(messages, tools=_served(tools), tokenize=False))
    if not whole.startswith(prompt):
        raise MisuseError("the chat template renders the prompt differently once the answer stands behind it")
    answer = whole[len(prompt) :].rstrip("\n")
    recorded = messages[-1].get("content") or ""
    if answer.startswith(EMPTY_THOUGHT) and not str(recorded).startswith("<think>"):
        # Qwen3's template thinks an empty thought into answers that had none; what was recorded is what is learned.
        answer = answer.removeprefix(EMPTY_THOUGHT)
    return prompt, answer


def _masks(row: dict[str, Any], content: str) -> list[tuple[int, int]]:
    spans = row.get("masks") or []
    whole = isinstance(spans, list) and all(
        isinstance(span, list) and [type(place) for place in span] == [int, int] for span in spans
    )
    if not whole or not all(0 <= start < end <= len(content) for start, end in spans):
        raise MisuseError("its masks are not spans of its answer")
    return [(start, end) for start, end in spans]


def _labels(tokenizer: PreTrainedTokenizerBase, answer: str, content: str, masks: list[tuple[int, int]]) -> Tokens:
    """Return the answer's tokens, and as labels those that do not lie wholly inside a mask."""
    if not masks:
        tokens = tokenizer.encode(answer, add_special_tokens=False)
        return {"input_ids": tokens, "labels": list(tokens)}
    stripped = content.strip()  # templates strip what surrounds a content; where it stands in the answer tells how much
    at = answer.find(stripped) - (len(content) - len(content.lstrip()))
    if not stripped or stripped not in answer:
        raise MisuseError("its masks cannot be placed: the chat template does not write the answer as it is recorded")
    coded = tokenizer(answer, add_special_tokens=False, return_offsets_mapping=True)
    inside = [
        any(start + at <= first and last <= end + at for start, end in masks) for first, last in coded["offset_mapping"]
    ]
    labels = [IGNORED if quoted else token for token, quoted in zip(coded["input_ids"], inside, strict=True)]
    return {"input_ids": list(coded["input_ids"]), "labels": labels}


def tokens_of(tokenizer: PreTrainedTokenizerBase, row: dict[str, Any], messages: list[dict[str, Any]]) -> Tokens:
    """Return a row as tokens and labels; raises MisuseError when the template or the masks do not fit."""
    # Apart, as at serving time: the prompt is tokenised before any of the answer exists.
    asked, said = _texts(tokenizer, messages, row.get("tools"))
    content = str(messages[-1].get("content") or "")
    prompt = tokenizer.encode(asked, add_special_tokens=False)
    answer = _labels(tokenizer, said, content, _masks(row, content))
    if not answer["labels"] or answer["labels"][-1] != tokenizer.eos_token_id:
        raise MisuseError(f"the chat template does not end an answer with {tokenizer.eos_token}")
    return {
        "input_ids": prompt + answer["input_ids"],
        "labels": [IGNORED] * len(prompt) + answer["labels"],
    }


def read(path: Path, tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[Tokens]:
    """Every row of `path` as tokens and labels; the labels end in the end-of-turn token and no row is too long."""
    examples: list[Tokens] = []
    long: list[tuple[int, int]] = []
    for number, row in rows(path):
        messages = messages_of(path, number, row)
        try:
            tokens = tokens_of(tokenizer, row, messages)
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
