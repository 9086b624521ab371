"""Count the tokens of a dataset's rows: `count_tokens.py BASE FILE...`.

One JSON line a file: how many tokens each row has, prompt and answer together, exactly as the trainer would see them;
`null` stands for a row that the base's chat template cannot write. Exit status: 0 done, 2 asked for the impossible.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import progress
import sft_rows
import starts
import train_specs


def _count(tokenizer: Any, path: Path) -> dict[str, Any]:
    from jinja2 import TemplateError

    lengths: list[int | None] = []
    problem = ""
    for number, row in sft_rows.rows(path):
        try:
            messages = sft_rows.messages_of(path, number, row)
            lengths.append(len(sft_rows.tokens_of(tokenizer, row, messages)["input_ids"]))
        except (train_specs.MisuseError, TemplateError) as error:
            lengths.append(None)
            problem = problem or f"row {number}: {error}"
    return {"file": path.stem, "lengths": lengths, "problem": problem}


def main(argv: list[str]) -> int:
    """Count every file."""
    progress.keep_chatter_off()
    if len(argv) < 2:  # noqa: PLR2004 - a base and a file
        progress.failed("usage: count_tokens.py BASE FILE...")
        return 2
    try:
        with starts.undisturbed():
            from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(argv[0])
        for path in argv[1:]:
            progress.tell("counted", **_count(tokenizer, Path(path)))
    except (OSError, ValueError, train_specs.MisuseError) as error:
        progress.failed(f"{error}")
        return 2
    return 0


if __name__ == "__main__":
    starts.leave(main(sys.argv[1:]))
