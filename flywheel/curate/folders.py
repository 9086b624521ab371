"""A dataset's folder: `train.jsonl`, `valid.jsonl`, `test.jsonl` and a manifest; named by its hash, whole or absent.

A row is `{"messages", "example", "replay"}`, with `tools` (the schemas that were offered), `weight` and `masks` (spans
of the answer that are not learned) where its example has them. Beside them lie, where the technique learns from them,
`pairs.jsonl` and `pairs_valid.jsonl`, or `judged.jsonl` and `judged_valid.jsonl`, whose rows have an `id` instead.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flywheel.core.errors import CorruptError
from flywheel.core.examples import DatasetManifest, Example, Split
from flywheel.core.ids import bytes_hash, content_hash
from flywheel.core.training import LEARNED_FROM
from flywheel.curate.lessons import FILES
from flywheel.curate.quotes import quoted_spans
from flywheel.curate.selections import Draft
from flywheel.proc.files import file_hash, publish_folder, write_json

MANIFEST = "manifest.json"
_ROWS_AT_ONCE = 200  # so many conversations are in memory while writing

#: What the rows of a file say: the file's name and the names of its rows in, words by those names out.
Words = Callable[[str, Sequence[str]], Mapping[str, Mapping[str, Any]]]
LESSON_FILES = frozenset(name for names in FILES.values() for name in names)


class Row(NamedTuple):
    """A row of a file: which example, pair or judgement, and whether it rehearses."""

    example: str
    replay: bool = False


def rows_of(draft: Draft, technique: str = "sft") -> dict[str, list[Row]]:
    """Return the rows of each file; what is empty has no file, but for answers that the technique learns from."""
    lessons = draft.lessons
    files = {
        "train": [Row(one, replay) for one, replay in draft.rows],
        "valid": [Row(one) for one in draft.valid],
        "test": [Row(one) for one in draft.test],
    }
    if lessons.kind:
        train, valid = FILES[lessons.kind]
        files |= {train: [Row(*row) for row in lessons.rows], valid: [Row(one) for one in lessons.valid_rows]}
    always = ("train", "valid") if "train" in LEARNED_FROM[technique] else ()
    return {name: rows for name, rows in files.items() if rows or name in always}


def words_of(example: Example, *, mask_quotes: bool) -> dict[str, Any]:
    """Return what a row says of its example."""
    masks = quoted_spans([message.content for message in example.prompt], example.answer) if mask_quotes else []
    return {
        "messages": [{"role": message.role, "content": message.content} for message in example.messages],
        **({"tools": list(example.tools)} if example.tools else {}),
        **({"weight": example.weight} if example.weight != 1 else {}),
        **({"masks": masks} if masks else {}),
    }


def measure(files: Mapping[str, Sequence[Row]], words: Words) -> dict[str, Split]:
    """Return how many rows each file has and the hash of its bytes, without writing."""
    return {name: Split(rows=len(rows), sha256=bytes_hash(_lines(name, rows, words))) for name, rows in files.items()}


def dataset_hash(splits: Mapping[str, Split], line: str, parent: str | None, settings: Mapping[str, Any]) -> str:
    """Return a dataset's name: over its bytes, its line, its settings and its parent, not over the time."""
    return content_hash([{name: split.sha256 for name, split in splits.items()}, line, parent, settings])


def publish(datasets: Path, manifest: DatasetManifest, files: Mapping[str, Sequence[Row]], words: Words) -> None:
    """Make the folder appear, whole; one that a crash left without its record is checked and kept."""
    target = datasets / manifest.hash
    with publish_folder(target) as folder:
        for name, rows in files.items():
            with (folder / f"{name}.jsonl").open("wb") as file:
                file.writelines(_lines(name, rows, words))
        write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    for name, part in manifest.splits.items():
        if file_hash(target / f"{name}.jsonl") != part.sha256:
            raise CorruptError(
                f"{name}.jsonl of dataset {manifest.hash} is not what was frozen", "move the folder away and try again"
            )


def _lines(name: str, rows: Sequence[Row], words: Words) -> Iterator[bytes]:
    known_by = "id" if name in LESSON_FILES else "example"
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        chunk = rows[start : start + _ROWS_AT_ONCE]
        spoken = words(name, sorted({row.example for row in chunk}))
        for row in chunk:
            value = {**spoken[row.example], known_by: row.example, "replay": row.replay}
            yield json.dumps(value, ensure_ascii=False).encode() + b"\n"
