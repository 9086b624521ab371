"""Sequences of edits of many files, as rows to keep: each file's edits as diffs, and the seed that gives them again."""

import hashlib
from collections.abc import Iterable
from typing import Any

from flywheel.bootstrap.lint_sequences import NotSequencedError, as_diff, lint_sequence
from flywheel.bootstrap.python_files import Found

Row = dict[str, Any]


def sequence_files(found: Iterable[Found], seed: int, most: int) -> tuple[list[Row], list[tuple[str, str]]]:
    """Return a row for every file, and which gave none and why. A file's dice hang on its name, not on the others."""
    rows: list[Row] = []
    left_out: list[tuple[str, str]] = []
    for file in found:
        if file.problem or not file.text.strip():
            left_out.append((file.name, file.problem or "is empty"))
            continue
        try:
            edits = lint_sequence(file.text, _seed_of(file.name, seed), most)
        except NotSequencedError as error:
            left_out.append((file.name, str(error)))
            continue
        rows.append({"file": file.name, "seed": seed, "lines": file.text.count("\n"),
                     "edits": [as_diff(edit) for edit in edits]})  # fmt: skip
    return rows, left_out


def _seed_of(name: str, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode("utf-8", "surrogateescape"), digest_size=8).digest())
