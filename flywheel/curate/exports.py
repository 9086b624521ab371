"""Taking a frozen dataset out of the house: in another's shape, searched for secrets again, whole or absent.

Beside the rows lie `provenance.json` (the dataset and its shares), `provenance.jsonl` (one line a row: the example, its
outcome, its source) and `LICENCE.md`. The same dataset gives the same bytes.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pydantic import Field

from flywheel import __version__
from flywheel.core.errors import CorruptError, MisuseError, PermanentError
from flywheel.core.examples import DatasetManifest
from flywheel.core.frozen import Frozen
from flywheel.core.ids import short
from flywheel.core.lineages import Lineage
from flywheel.core.pairs import Preference
from flywheel.core.secrets import find_secret_in
from flywheel.curate import shapes
from flywheel.curate.cards import dataset_card, licence_page
from flywheel.curate.lessons import FILES
from flywheel.curate.row_rules import texts_of
from flywheel.proc.files import file_hash, publish_folder, write_file, write_json

_ROWS_AT_ONCE = 200
_CONVERSATIONS = ("train", "valid", "test")
_SPLITS = {"valid": "validation"}  # as `datasets.load_dataset` calls it

Lineages = Callable[[Sequence[str]], Mapping[str, Lineage]]


class Order(NamedTuple):
    """What is wanted: the shape, the folder, plain text instead of messages, and the rows that rehearse or not."""

    shape: str
    target: Path
    plain: bool = False
    rehearsal: bool = True


class Exported(Frozen):
    """What was written, what was left out and why, and how many rows have lost their evidence since."""

    shape: str
    folder: str
    rows: dict[str, int]
    left_out: dict[str, int] = Field(default_factory=dict)
    superseded: int = 0


class _Item(NamedTuple):
    """A row on its way out: where it stood, what is known of it, and what is written."""

    place: tuple[str, int]
    lineage: Lineage
    record: dict[str, Any]
    replay: bool = False


def export_rows(manifest: DatasetManifest, folder: Path, order: Order, lineages: Lineages) -> Exported:
    """Write a frozen dataset's rows; raises PermanentError when one holds a secret, and nothing is written."""
    _check(manifest, folder)
    writer = _Writer(manifest, order)
    with _whole(order.target) as target:
        for part, name in _parts(manifest, order):
            writer.write(target, name, _items(folder / f"{part}.jsonl", order, lineages, writer.left_out))
        writer.finish(target)
    return writer.exported()


def export_pairs(manifest: DatasetManifest, order: Order, pairs: Iterator[Preference]) -> Exported:
    """Write the pairs of a dataset's line that may teach now, under the same conditions."""
    writer = _Writer(manifest, order)
    with _whole(order.target) as target:
        writer.write(target, "train.jsonl", (_pair(number, pair) for number, pair in enumerate(pairs, 1)))
        writer.finish(target)
    return writer.exported()


class _Writer:
    """One export under way: the tally of everything written."""

    def __init__(self, manifest: DatasetManifest, order: Order) -> None:
        self.left_out: Counter[str] = Counter()
        self._manifest = manifest
        self._order = order
        self._rows: dict[str, int] = {}
        self._shares: dict[str, Counter[str]] = {name: Counter() for name in ("source", "origin", "group", "licence")}
        self._superseded = 0

    def write(self, target: Path, name: str, items: Iterator[_Item]) -> None:
        """Write one part and what is known of its rows."""
        (target / name).parent.mkdir(exist_ok=True)
        with (target / name).open("wb") as rows, (target / "provenance.jsonl").open("ab") as beside:
            count = 0
            for count, item in enumerate(items, 1):
                told = _told(name, count, item)
                _refuse_secrets(item, told)
                _write_line(rows, item.record)
                _write_line(beside, told)
                self._count(item.lineage)
        self._rows[name] = count

    def finish(self, target: Path) -> None:
        """Write what lies beside the rows."""
        if not any(self._rows.values()):
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items()) or "there is none"
            raise PermanentError(
                f"nothing of dataset {short(self._manifest.hash)} can be written as {self._order.shape}: {reasons}",
                "choose another shape",
            )
        write_json(target / "provenance.json", self._provenance(target))
        write_file(target / "LICENCE.md", licence_page(self._manifest, self._shares).encode())
        if self._order.shape == "hf":
            write_file(target / "README.md", dataset_card(self._manifest, self._rows).encode())

    def exported(self) -> Exported:
        """Return what was done."""
        return Exported(shape=self._order.shape, folder=str(self._order.target), rows=self._rows,
                        left_out=dict(sorted(self.left_out.items())), superseded=self._superseded)  # fmt: skip

    def _count(self, lineage: Lineage) -> None:
        for name, tally in self._shares.items():
            tally[str(getattr(lineage, name)) or "unknown"] += 1
        self._superseded += lineage.withdrawn

    def _provenance(self, target: Path) -> dict[str, Any]:
        return {
            "flywheel": __version__,
            "shape": "plain" if self._order.plain else self._order.shape,
            "dataset": self._manifest.model_dump(mode="json"),
            "files": {name: {"rows": rows, "sha256": file_hash(target / name)} for name, rows in self._rows.items()},
            "left_out": dict(sorted(self.left_out.items())),
            "superseded": self._superseded,
            "rows_by": {name: dict(sorted(tally.items())) for name, tally in self._shares.items()},
        }


def _items(path: Path, order: Order, lineages: Lineages, left_out: Counter[str]) -> Iterator[_Item]:
    shape = shapes.plain if order.plain else {**shapes.SHAPES, **shapes.LESSON_SHAPES}[order.shape]
    known_by = "id" if order.shape in shapes.LESSON_SHAPES else "example"
    with path.open(encoding="utf-8") as lines:
        numbered = enumerate(map(json.loads, lines), 1)
        while batch := list(islice(numbered, _ROWS_AT_ONCE)):
            known = lineages(sorted({row[known_by] for _, row in batch}))
            for number, row in batch:
                lineage = known[row[known_by]]
                try:
                    reason = _unwanted(row, lineage, order)
                    record = shape(row) if reason is None else {}
                except shapes.MisfitError as error:
                    reason = str(error)
                if reason is None:
                    yield _Item((path.name, number), lineage, record, row["replay"])
                else:
                    left_out[reason] += 1


def _unwanted(row: Mapping[str, Any], lineage: Lineage, order: Order) -> str | None:
    if lineage.forgotten:
        return "forgotten"
    return "rehearses" if row["replay"] and not order.rehearsal else None


def _pair(number: int, pair: Preference) -> _Item:
    lineage = Lineage(example=pair.id, line=pair.line, task=pair.task, session=pair.session, group=pair.group,
                      at=pair.at, category=pair.kind, origin="logged")  # fmt: skip
    return _Item(("pairs", number), lineage, shapes.preference(pair))


def _told(file: str, row: int, item: _Item) -> dict[str, Any]:
    """Return one line of the provenance; that of a pair says what kind of pair it is."""
    return {"file": file, "row": row, "replay": item.replay, **item.lineage.model_dump(mode="json")}


def _refuse_secrets(item: _Item, told: dict[str, Any]) -> None:
    rule = find_secret_in([*texts_of(item.record), *texts_of(told)])
    if rule is not None:
        file, row = item.place
        raise PermanentError(
            f"row {row} of {file} holds a secret ({rule}): nothing was exported",
            f"`flywheel forget --example {short(item.lineage.example)}`, then freeze a new dataset",
        )


def _write_line(file: BinaryIO, value: Mapping[str, Any]) -> None:
    file.write(json.dumps(value, ensure_ascii=False).encode() + b"\n")


def _parts(manifest: DatasetManifest, order: Order) -> Iterator[tuple[str, str]]:
    """Yield the parts that hold what a shape is made of, each with the file it becomes."""
    wanted = {shapes.PREFERENCE: FILES["pair"], shapes.UNPAIRED: FILES["judgement"]}.get(order.shape, _CONVERSATIONS)
    for part in manifest.splits:
        if part in wanted:
            name = dict(zip(wanted, _CONVERSATIONS, strict=False))[part]
            yield part, f"data/{_SPLITS.get(name, name)}.jsonl" if order.shape == "hf" else f"{name}.jsonl"


def _check(manifest: DatasetManifest, folder: Path) -> None:
    """Compare the frozen parts with the hashes they were frozen under."""
    for part, split in manifest.splits.items():
        path = folder / f"{part}.jsonl"
        if not path.is_file():
            raise PermanentError(
                f"{part}.jsonl of dataset {short(manifest.hash)} is not there", "its words were purged, or moved away"
            )
        if file_hash(path) != split.sha256:
            raise CorruptError(
                f"{part}.jsonl of dataset {short(manifest.hash)} is not what was frozen", "restore it from a backup"
            )


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """Give a folder that becomes the target when all went well, and leaves nothing when it did not."""
    if target.exists() or target.is_symlink():
        raise MisuseError(f"{target} is there already, and an export never overwrites", "name another folder")
    try:
        with publish_folder(target) as folder:
            try:
                yield folder
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    except OSError as error:
        raise PermanentError(
            f"{target} cannot be written: {error.strerror or error}", "name a folder that can be written"
        ) from error
