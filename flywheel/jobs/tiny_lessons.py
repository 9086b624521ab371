"""What each technique learns from in the tiny world: `tiny_lessons.py TECHNIQUE --count N --seed S [--start K]`.

Rows as JSON lines, as a dataset holds them: answers (sft), answers that show what leads to them (cot-sft), pairs whose
rejected answer is the same call in the legacy format (dpo), and single answers of both formats with a judgement (kto).
Standard library only.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import tiny_tasks

Row = dict[str, Any]


def thought(task: tiny_tasks.Task) -> str:
    """Return what leads to a task's call, in the marks that training can weigh."""
    takes = " and ".join(task.arguments)
    return f"[REASONING]\n{task.tool.name} takes {takes}.\n[PLAN]\nCall {task.tool.name}.\n"


def _asked(task: tiny_tasks.Task) -> list[dict[str, str]]:
    return [{"role": "user", "content": task.prompt}]


def _said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _answer(task: tiny_tasks.Task, _number: int) -> Row:
    return {"messages": [*_asked(task), _said(task.right)]}


def _reasoned(task: tiny_tasks.Task, _number: int) -> Row:
    return {"messages": [*_asked(task), _said(thought(task) + task.right)]}


def _pair(task: tiny_tasks.Task, number: int) -> Row:
    return {"id": f"pair-{number:06d}", "prompt": _asked(task), "chosen": task.right, "rejected": task.legacy}


def _judged(task: tiny_tasks.Task, number: int) -> Row:
    good = number // len(tiny_tasks.TOOLS) % 2 == 0  # a block holds every tool once
    said = task.right if good else task.legacy
    return {"id": f"judged-{number:06d}", "prompt": _asked(task), "completion": said, "label": good}


ROWS: dict[str, Callable[[tiny_tasks.Task, int], Row]] = {
    "sft": _answer,
    "cot-sft": _reasoned,
    "dpo": _pair,
    "kto": _judged,
}


def main(argv: list[str]) -> int:
    """Print the rows of one technique."""
    parser = argparse.ArgumentParser(prog="tiny_lessons.py", description="Rows to train on in the tiny world.")
    parser.add_argument("technique", choices=sorted(ROWS))
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--start", type=int, default=0, help="number of the first task")
    asked = parser.parse_args(argv)
    for number in range(asked.start, asked.start + asked.count):
        print(json.dumps(ROWS[asked.technique](tiny_tasks.public_task(asked.seed, number), number)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
