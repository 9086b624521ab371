"""Rows of conversations turned into tokens: only the last answer is learned, and nothing is ever cut silently.

A row may name spans of its answer that are not learned: `"masks": [[start, end], ...]`, in characters of the answer's
content. A token that lies wholly inside one is context, not a label; one that reaches out of it is learned. A lesson
may want more: that every answer shows its reasoning, and that the marked sections of the answers are weighted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import answer_sections
from train_specs import MisuseError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
EMPTY_THOUGHT = "<think>\n\n</think>\n\n"

Tokens = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is wanted of the answers: reasoning that is learned with them; sections that count more or less."""

    reasoning: bool = False
    weights: Mapping[str, float] = field(default_factory=dict)


PLAIN = Lesson()


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


def _prompt(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], tools: Any) -> str:
    render = tokenizer.apply_chat_template
    return str(render(messages[:-1], tools=_served(tools), tokenize=False, add_generation_prompt=True))


def texts(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], tools: Any) -> tuple[str, str]:
    """Return the prompt exactly as a server renders it, and the answer that is to follow it."""
    prompt = _prompt(tokenizer, messages, tools)
    whole = str(tokenizer.apply_chat_template(messages, tools=_served(tools), tokenize=False))
    if not whole.startswith(prompt):
        raise MisuseError("the chat template renders the prompt differently once the answer stands behind it")
    answer = whole[len(prompt) :].rstrip("\n")
    recorded = messages[-1].get("content") or ""
    if answer.startswith(EMPTY_THOUGHT) and not str(recorded).startswith("<think>"):
        # Qwen3's template thinks an empty thought into answers that had none; what was recorded is what is learned.
        answer = answer.removeprefix(EMPTY_THOUGHT)
    return prompt, answer


def _reasoned(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], tools: Any) -> tuple[str, str]:
    """Return prompt and answer with the answer's reasoning in it, whatever the chat template does to reasoning."""
    recorded = str(messages[-1].get("content") or "").strip()
    if not answer_sections.reasons(recorded):
        raise MisuseError("its answer shows no reasoning: no <think>, [REASONING] or [PLAN] section with words in it")
    try:
        prompt, answer = texts(tokenizer, messages, tools)
    except MisuseError:
        prompt, answer = _prompt(tokenizer, messages, tools), ""
    opened = prompt.rstrip().endswith("<think>")  # some templates begin the thought themselves
    if answer_sections.keeps(answer.removesuffix(str(tokenizer.eos_token)), recorded):
        return prompt, answer
    # The template swallows reasoning; a model writes it, so it is learned as it was recorded.
    return prompt, (recorded.removeprefix("<think>").lstrip() if opened else recorded) + str(tokenizer.eos_token)


def asked_and_said(
    tokenizer: PreTrainedTokenizerBase, row: dict[str, Any], messages: list[dict[str, Any]], lesson: Lesson = PLAIN
) -> tuple[str, str]:
    """Return a row's prompt and answer as text, as the lesson wants the answer."""
    return (_reasoned if lesson.reasoning else texts)(tokenizer, messages, row.get("tools"))


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


def _weights(tokenizer: PreTrainedTokenizerBase, answer: str, weights: Mapping[str, float]) -> list[float]:
    """Return how much each token of the answer counts: a section's weight if it begins inside one, else 1."""
    said = answer.removesuffix(str(tokenizer.eos_token))
    sections = [one for one in answer_sections.sections(said) if one.name in weights]
    offsets = tokenizer(answer, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return [
        next((float(weights[one.name]) for one in sections if one.start <= first < one.end), 1.0)
        for first, _ in offsets
    ]


def tokens_of(
    tokenizer: PreTrainedTokenizerBase, row: dict[str, Any], messages: list[dict[str, Any]], lesson: Lesson = PLAIN
) -> Tokens:
    """Return a row as tokens and labels; raises MisuseError when the template, the masks or the answer do not fit."""
    # Apart, as at serving time: the prompt is tokenised before any of the answer exists.
    asked, said = asked_and_said(tokenizer, row, messages, lesson)
    content = str(messages[-1].get("content") or "")
    prompt = tokenizer.encode(asked, add_special_tokens=False)
    answer = _labels(tokenizer, said, content, _masks(row, content))
    if not answer["labels"] or answer["labels"][-1] != tokenizer.eos_token_id:
        raise MisuseError(f"the chat template does not end an answer with {tokenizer.eos_token}")
    tokens: Tokens = {
        "input_ids": prompt + answer["input_ids"],
        "labels": [IGNORED] * len(prompt) + answer["labels"],
    }
    if lesson.weights:
        tokens["loss_weights"] = [1.0] * len(prompt) + _weights(tokenizer, said, lesson.weights)
    return tokens


def refuse_long(path: Path, lengths: list[tuple[int, int]], max_length: int) -> None:
    """Raise MisuseError unless there are rows, by number and length, and none is longer than `max_length`."""
    if not lengths:
        raise MisuseError(f"{path} has no rows")
    long = [(number, length) for number, length in lengths if length > max_length]
    if long:
        first, length = long[0]
        raise MisuseError(
            f"{path}: {len(long)} of {len(lengths)} rows are longer than max_length {max_length}; "
            f"the first is row {first} with {length} tokens"
        )


def _refuse_unmarked(path: Path, marked: set[str], weights: Mapping[str, float]) -> None:
    if unmarked := sorted(set(weights) - marked):
        raise MisuseError(f"span_weights weigh [{unmarked[0]}], and no answer in {path} has such a section")


def read(path: Path, tokenizer: PreTrainedTokenizerBase, max_length: int, lesson: Lesson = PLAIN) -> list[Tokens]:
    """Every row of `path` as tokens and labels; the labels end in the end-of-turn token and no row is too long."""
    examples: list[Tokens] = []
    lengths: list[tuple[int, int]] = []
    marked: set[str] = set()
    for number, row in rows(path):
        messages = messages_of(path, number, row)
        try:
            examples.append(tokens_of(tokenizer, row, messages, lesson))
        except MisuseError as error:
            raise MisuseError(f"{path} row {number}: {error}") from error
        lengths.append((number, len(examples[-1]["input_ids"])))
        marked |= {one.name for one in answer_sections.sections(str(messages[-1].get("content") or ""))}
    refuse_long(path, lengths, max_length)
    _refuse_unmarked(path, marked, lesson.weights)
    return examples
