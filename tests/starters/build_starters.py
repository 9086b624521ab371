"""Write the shipped starter suites anew: `python tests/starters/build_starters.py`. Running it twice changes nothing."""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent))

import calls_coding
import calls_office
import functions_dates
import functions_dicts
import functions_formats
import functions_grids
import functions_lists
import functions_numbers
import functions_parsing
import functions_strings
import functions_structures
import programs
from starter_calls import BOXES
from starter_functions import FUNCTIONS, SCRIPTS, Function, Script

from flywheel.core.examples import prompt_key
from flywheel.core.outcomes import Message

MODULES = (
    functions_strings, functions_lists, functions_dicts, functions_numbers, functions_dates, functions_parsing,
    functions_structures, functions_grids, functions_formats, programs, calls_coding, calls_office,
)  # fmt: skip
STARTERS = Path(__file__).parents[2] / "flywheel" / "starters"


def rows_of_python() -> Iterator[dict[str, Any]]:
    """The suite `python-functions`."""
    for function in FUNCTIONS:
        expected = {"language": "python", "entry": function.name, "tests": function.tests, "seconds": 5}
        yield _row("code_calls", f"python/{function.name}", function, function.question, expected)
    for one in SCRIPTS:
        tests = [{"stdin": text, "stdout": printed(one.code, text)} for text in one.inputs]
        expected = {"language": "python", "tests": tests, "seconds": 5}
        if one.tolerance is not None:
            expected["tolerance"] = one.tolerance
        shown = f"For the input\n\n```\n{tests[0]['stdin']}```\n\nit prints\n\n```\n{tests[0]['stdout']}```"
        question = f"Write a Python program that reads standard input and prints to standard output.\n\n{one.wording}\n\n{shown}"
        yield _row("code_io", f"python/{one.name}", one, question, expected)


def rows_of_tool_calls() -> Iterator[dict[str, Any]]:
    """The suite `tool-calling`."""
    for box in BOXES:
        for number, asked in enumerate(box.asked, 1):
            name = f"tools/{box.group}-{number}"
            made = row(name, "tool_call", asked.category, f"tools/{box.group}", asked.question)
            yield made | {"expected": list(asked.calls), "tools": list(box.tools)}


def printed(code: str, text: str) -> str:
    """What a reference program prints for an input; it is ours and runs right here."""
    out = io.StringIO()
    with redirect_stdout(out), patch("sys.stdin", io.StringIO(text)):
        exec(compile(code, "reference", "exec"), {"__name__": "__main__"})
    return out.getvalue()


def _row(kind: str, name: str, one: Function | Script, question: str, expected: dict[str, Any]) -> dict[str, Any]:
    return row(name, kind, one.category, one.group, question) | {"expected": expected}


def row(name: str, kind: str, category: str, group: str, question: str) -> dict[str, Any]:
    """A problem in the shape of a suite's file, but for what is expected."""
    messages = [{"role": "user", "content": question}]
    key = prompt_key(tuple(Message.model_validate(one) for one in messages))
    return {"id": name, "kind": kind, "category": category, "group": group, "messages": messages, "prompt_key": key}


def text_of(rows: Iterator[dict[str, Any]]) -> str:
    """Rows as the lines of a file."""
    return "".join(json.dumps(one, sort_keys=True) + "\n" for one in rows)


def build() -> dict[str, str]:
    """The files by their names."""
    return {
        "python-functions.jsonl": text_of(rows_of_python()),
        "tool-calling.jsonl": text_of(rows_of_tool_calls()),
    }


if __name__ == "__main__":
    STARTERS.mkdir(exist_ok=True)
    for name, text in build().items():
        (STARTERS / name).write_text(text, encoding="utf-8")
        print(name, text.count("\n"))
