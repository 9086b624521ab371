"""Look at what a training run would meet, before it starts: `preflight.py ORDERS.json`.

Reads the base's tokenizer and configuration and every row, never the weights, and writes facts.json last. It judges
nothing: what the facts mean is decided where the run is. Progress is JSON lines on stdout. Exit status: 0 looked,
1 failed, 2 asked for the impossible, 143 ended by SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import preflight_rows
import preflight_tokenizers
import progress
import seals
import sft_rows
import starts
from sft_rows import MisuseError

RESULT = "facts.json"


def _end(_number: int, _frame: Any) -> NoReturn:
    os._exit(143)  # nothing to tidy up: the next start looks again


def _orders(path: Path) -> dict[str, Any]:
    try:
        orders: Any = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise MisuseError(f"cannot read {path}: {error}") from error
    asked = set(orders) - {"reasoning", "span_weights"} if isinstance(orders, dict) else set()
    if asked != {"base", "files", "max_length", "out"}:
        raise MisuseError(f"{path} must hold base, files, max_length and out")
    for name in (orders["base"], *orders["files"]):
        if not Path(name).exists():
            raise MisuseError(f"there is no {name}")
    return orders


def _look(orders: dict[str, Any]) -> dict[str, Any]:
    with starts.undisturbed():
        from transformers import AutoTokenizer

    base = Path(orders["base"])
    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError, KeyError) as error:
        raise MisuseError(f"the tokenizer in {base} cannot be read: {error}") from error
    facts: dict[str, Any] = {"base": preflight_tokenizers.base_facts(base)}
    facts["tokenizer"] = told = preflight_tokenizers.tokenizer_facts(tokenizer)
    if told["ending"] is not None:
        tokenizer.eos_token = told["ending"]  # a wrong EOS is one finding, and not one of every row
    paths = [Path(path) for path in orders["files"]]
    lesson = sft_rows.Lesson(orders.get("reasoning", False), orders.get("span_weights", {}))
    look = preflight_rows.Look(tokenizer, orders["max_length"], lesson)
    facts["files"] = [preflight_rows.file_facts(look, path) for path in paths]
    facts["samples"] = [*preflight_tokenizers.samples(tokenizer), *preflight_rows.samples(tokenizer, paths[0])]
    return facts


def main(argv: list[str]) -> int:
    """Look once; the exit status tells how it ended."""
    if len(argv) != 1:
        progress.failed("usage: preflight.py ORDERS.json")
        return 2
    signal.signal(signal.SIGTERM, _end)
    progress.keep_chatter_off()
    try:
        orders = _orders(Path(argv[0]))
        progress.tell("started", files=len(orders["files"]))
        out = Path(orders["out"])
        out.mkdir(parents=True, exist_ok=True)
        facts = _look(orders)
        seals.write_last(out / RESULT, json.dumps(facts, indent=1) + "\n")
        progress.tell("finished", rows=sum(one["rows"] for one in facts["files"]))
    except MisuseError as error:
        progress.failed(str(error))
        return 2
    except Exception as error:  # noqa: BLE001 - the edge of the process: whatever went wrong is told in one line
        traceback.print_exc()
        progress.failed(f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    starts.leave(main(sys.argv[1:]))
