"""Take an adapter out of the loop: `export_adapter.py ORDERS.json`, to `merged`, `gguf` or `ollama`.

Everything is made in the folder the orders name, and loaded again from there: what was exported must answer as the
adapter does on its base, or the job fails. export.json, written last, says what lies there and how it compared.
Progress is JSON lines on stdout. Exit status: 0 exported, 1 failed, 2 asked for the impossible. Base and adapter are
only read.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import export_ggufs
import export_modelfiles
import fuse_adapter
import progress
import seals
import starts
from sft_rows import MisuseError

if TYPE_CHECKING:
    from export_checks import Asked

RESULT = "export.json"
GGUF = "model.gguf"
MODELFILE = "Modelfile"
TARGETS = ("merged", "gguf", "ollama")
BASE_GGUF, ADAPTER_GGUF = "base.gguf", "adapter.gguf"
_KEYS = {"to", "name", "base", "adapter", "out", "prompts", "llama_cpp", "precision", "beside"}


class Orders(NamedTuple):
    """What is exported, to what, and where it goes; `beside`: the adapter is not added to the base."""

    to: str
    name: str
    base: Path
    adapter: Path
    out: Path
    prompts: Path | None
    llama_cpp: Path | None
    precision: str
    beside: bool


def read(path: Path) -> Orders:
    """Return the orders that a file holds, every key known and present."""
    try:
        given = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise MisuseError(f"cannot read {path}: {error}") from error
    if not isinstance(given, dict) or set(given) != _KEYS or given["to"] not in TARGETS:
        raise MisuseError(f"{path} must hold {', '.join(sorted(_KEYS))}; to is one of {', '.join(TARGETS)}")
    places = {key: Path(given[key]) for key in ("base", "adapter", "out")}
    may = {key: Path(given[key]) if given[key] else None for key in ("prompts", "llama_cpp")}
    plain = {key: given[key] for key in ("to", "name", "precision", "beside")}
    return Orders(**plain, **places, **may)


def export(orders: Orders) -> dict[str, Any]:
    """Make, load again, compare; return what lies there and how it compared."""
    import export_checks

    with tempfile.TemporaryDirectory(prefix=".export-", dir=orders.out.parent) as temporary:
        work = Path(temporary)
        progress.tell("progress", step=1, of=4, what="the adapter answers on its base")
        asked = export_checks.ask(orders.base, orders.adapter, orders.prompts)
        made = _made_beside(orders, work) if orders.beside else _made(orders, _merged(orders, work), work)
        progress.tell("progress", step=4, of=4, what="loading it again and comparing answers")
        compared = _compared(orders, work / "model", made, asked)
        for path in made:
            shutil.move(path, orders.out / path.name)
    return compared


def _merged(orders: Orders, work: Path) -> Path:
    progress.tell("progress", step=2, of=4, what="adding the adapter to a copy of the base")
    fuse_adapter.fuse(fuse_adapter.Orders(orders.base, orders.adapter, work))
    progress.tell("progress", step=3, of=4, what=f"writing {orders.to}")
    return work / "model"


def _made_beside(orders: Orders, work: Path) -> list[Path]:
    if orders.llama_cpp is None or orders.to == "merged":
        raise MisuseError("only a GGUF can leave the adapter beside its base")
    progress.tell("progress", step=2, of=4, what="writing the adapter")
    made = [export_ggufs.convert_adapter(orders.llama_cpp, orders.adapter, orders.base, work / ADAPTER_GGUF)]
    if orders.to == "ollama":
        progress.tell("progress", step=3, of=4, what="writing the base")
        made.append(export_ggufs.convert(orders.llama_cpp, orders.base, work / BASE_GGUF, orders.precision))
        made.append(work / MODELFILE)
        made[-1].write_text(export_modelfiles.modelfile(orders.base, BASE_GGUF, orders.name, ADAPTER_GGUF))
    return made


def _made(orders: Orders, merged: Path, work: Path) -> list[Path]:
    if orders.to == "merged":
        (merged / seals.MANIFEST).unlink(missing_ok=True)  # a seal of the base's would be broken in its copy
        return sorted(merged.iterdir())
    if orders.llama_cpp is None:
        raise MisuseError("no llama.cpp was named")
    gguf = export_ggufs.convert(orders.llama_cpp, merged, work / GGUF, orders.precision)
    if orders.to == "gguf":
        return [gguf]
    written = work / MODELFILE
    written.write_text(export_modelfiles.modelfile(merged, GGUF, orders.name))
    return [gguf, written]


def _compared(orders: Orders, merged: Path, made: list[Path], asked: Asked) -> dict[str, Any]:
    import export_checks

    if orders.beside:
        base_gguf = next((path for path in made if path.name == BASE_GGUF), None)
        loaded, kept = export_ggufs.load_beside(made[0], orders.base, base_gguf)
        return export_checks.compare(loaded, asked, kept)
    if orders.to == "merged":
        return export_checks.compare(export_checks.load(merged), asked, export_checks.kept_in(merged))
    gguf = next(path for path in made if path.name == GGUF)
    loaded, kept = export_ggufs.load(gguf, merged)
    return export_checks.compare(loaded, asked, kept)


def _finish(orders: Orders, compared: dict[str, Any]) -> None:
    for path in sorted(orders.out.iterdir()):
        path.chmod(0o644)
        seals.fsync(path)
    files = {path.name: seals.sha256(path) for path in sorted(orders.out.iterdir())}
    body = {"adapter": orders.name, "to": orders.to, "files": files, "compared": compared}
    seals.write_last(orders.out / RESULT, json.dumps(body, indent=1, sort_keys=True) + "\n")
    progress.tell("finished", **compared)


def main(argv: list[str]) -> int:
    """Do the one export that ORDERS.json describes; the exit status tells how it ended."""
    progress.keep_chatter_off()
    if len(argv) != 1:
        progress.failed("usage: export_adapter.py ORDERS.json")
        return 2
    try:
        orders = read(Path(argv[0]))
        _finish(orders, export(orders))
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
