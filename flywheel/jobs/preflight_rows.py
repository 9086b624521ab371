"""How long every row is as the trainer sees it, what of it is learned, and which rows cannot be learned from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import answer_sections
import preflight_tokenizers
import progress
import sft_rows
from sft_rows import MisuseError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NAMED = 20  # rows named of a kind; the count tells how many there are
_TOLD_EVERY = 1000
_SAMPLE_TOKENS = 4096

Json = dict[str, Any]


def conversations(row: Any) -> list[Json]:
    """Return the conversations the trainer makes of a row: one of an answer or a judgement, two of a pair."""
    if not isinstance(row, dict) or not isinstance(row.get("prompt"), list):
        return [row]
    answers = [row[key] for key in ("chosen", "rejected", "completion") if key in row]
    if not answers or not all(isinstance(answer, str) for answer in answers):
        raise MisuseError("it has neither a chosen and a rejected text nor a completion")
    if row.get("chosen") is not None and row.get("chosen") == row.get("rejected"):
        raise MisuseError("its chosen answer is its rejected one")
    tools = {"tools": row["tools"]} if row.get("tools") else {}
    return [{"messages": [*row["prompt"], {"role": "assistant", "content": answer}], **tools} for answer in answers]


class _Tally:
    """Rows of one kind of trouble: how many, and the first few with a word about each."""

    def __init__(self) -> None:
        self.count = 0
        self.rows: list[list[Any]] = []

    def add(self, number: int, word: Any) -> None:
        self.count += 1
        if len(self.rows) < NAMED:
            self.rows.append([number, word])

    def facts(self) -> Json:
        return {"count": self.count, "rows": self.rows}


def _percentile(lengths: list[int], share: float) -> int:
    return lengths[min(len(lengths) - 1, int(share * len(lengths)))] if lengths else 0


class Look(NamedTuple):
    """With what the rows of a file are looked at, as the trainer would."""

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    lesson: sft_rows.Lesson = sft_rows.PLAIN


def _coded(look: Look, path: Path, number: int, row: Any) -> Iterator[sft_rows.Tokens]:
    # The lesson is about answers in conversations; pairs and judged answers are learned as they stand.
    lesson = look.lesson if isinstance(row, dict) and "prompt" not in row else sft_rows.PLAIN
    for one in conversations(row):
        yield sft_rows.tokens_of(look.tokenizer, one, sft_rows.messages_of(path, number, one), lesson)


def _sections(row: Any) -> set[str]:
    answer = row["messages"][-1].get("content") if isinstance(row, dict) and row.get("messages") else ""
    return {one.name for one in answer_sections.sections(str(answer or ""))}


def file_facts(look: Look, path: Path) -> Json:
    """Return the lengths of a file's rows and the rows that are too long, unlearnable or unwritable."""
    from jinja2 import TemplateError

    lengths: list[int] = []
    long, unwritable, unended, unlearned, silent = (_Tally() for _ in range(5))
    total, sections, judged = 0, set[str](), set[bool]()
    for number, row in sft_rows.rows(path):
        total += 1
        if total % _TOLD_EVERY == 0:
            progress.tell("progress", file=path.name, rows=total)
        try:
            coded = list(_coded(look, path, number, row))
        except (MisuseError, TemplateError, TypeError, ValueError) as error:
            unwritable.add(number, " ".join(str(error).removeprefix(f"{path} row {number} ").split())[:200])
            continue
        sections |= _sections(row)
        judged |= {row["label"]} if isinstance(row.get("label"), bool) else set()
        longest = max(len(tokens["input_ids"]) for tokens in coded)
        lengths.append(longest)
        labels = [[label for label in tokens["labels"] if label != sft_rows.IGNORED] for tokens in coded]
        if longest > look.max_length:
            long.add(number, longest)
        if any(tokens["labels"][-1] != look.tokenizer.eos_token_id for tokens in coded):
            unended.add(number, longest)
        if not all(labels):
            unlearned.add(number, longest)
        elif any(len(learned) == 1 for learned in labels):
            silent.add(number, longest)
    lengths.sort()
    return {
        "name": path.stem,
        "rows": total,
        "tokens": sum(lengths),
        "lengths": {
            "p50": _percentile(lengths, 0.5),
            "p95": _percentile(lengths, 0.95),
            "max": max(lengths, default=0),
        },
        "long": long.facts(),
        "unwritable": unwritable.facts(),
        "unended": unended.facts(),
        "unlearned": unlearned.facts(),
        "silent": silent.facts(),
        "sections": sorted(sections),
        "judged": sorted(judged),
    }


def samples(tokenizer: PreTrainedTokenizerBase, path: Path) -> list[Json]:
    """Return the first row's prompt, and that of the first one with tools, to be compared with a server's."""
    found: dict[bool, Json] = {}
    for number, row in sft_rows.rows(path):
        try:
            one = conversations(row)[0]
            messages = sft_rows.messages_of(path, number, one)[:-1]
        except MisuseError:
            continue
        kind = bool(one.get("tools"))
        told = preflight_tokenizers.sample(tokenizer, f"row {number}", messages, one.get("tools"))
        if kind not in found and told is not None and len(told["tokens"]) <= _SAMPLE_TOKENS:
            found[kind] = told
        if len(found) == 2 or number > _TOLD_EVERY:  # noqa: PLR2004 - one with tools, one without
            break
    return list(found.values())
