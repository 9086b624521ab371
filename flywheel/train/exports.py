"""Takes adapters out of the loop: a verified copy, a merged model, a GGUF, or what Ollama takes in.

The target folder is there whole or not at all and never written over. Everything but the copy is made by
`jobs/export_adapter.py` in the train environment, which loads it again and compares its answers with the adapter's.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

from flywheel.core.errors import ConflictError, CorruptError, MisuseError, PermanentError, ResourceError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import short
from flywheel.core.training import AdapterManifest, Base
from flywheel.proc.files import file_hash, publish_folder, write_json
from flywheel.proc.measures import folder_size, free_disk
from flywheel.train.adapters import FILES, is_whole
from flywheel.train.backends.trl import ENV
from flywheel.train.fingerprints import prints

Target = Literal["adapter", "merged", "gguf", "ollama"]
Precision = Literal["auto", "f32", "f16", "bf16", "q8_0"]
TARGETS: tuple[Target, ...] = get_args(Target)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
CONVERTER = "convert_hf_to_gguf.py"
RESULT = "export.json"
Say = Callable[[int, int, str], None]

_JOB = Path(__file__).parent.parent / "jobs" / "export_adapter.py"
_ENV = {**ENV, "CUDA_VISIBLE_DEVICES": ""}  # a sum and a few answers need no GPU, and the GPU is the agent's


class ExportOrder(Frozen):
    """What a person wants exported, to what, and where; `private` says that it stays with them."""

    to: Target
    out: Path
    manifest: AdapterManifest
    folder: Path
    base: Base
    prompts: Path | None = None
    precision: Precision = "auto"
    beside: bool = False
    private: bool = False


class ExportTools(Frozen):
    """What exports lean on: the interpreter that merges, and llama.cpp where it is."""

    python: Path
    llama_cpp: Path | None = None


class Export(Frozen):
    """What was exported: the files, and how it compared with the adapter's own answers."""

    adapter: str
    to: Target
    out: str
    files: dict[str, str]
    compared: dict[str, Any]


def export(order: ExportOrder, tools: ExportTools, say: Say) -> Export:
    """Export an adapter into a folder that is not there yet; raises an error of the tree, and leaves nothing, else."""
    target = order.out
    if target.exists() or target.is_symlink():
        raise ConflictError(f"{target} is there already", "name a folder that is not: nothing is written over")
    if not is_whole(order.folder):
        raise CorruptError(
            f"{order.manifest.name} in {order.folder} is not what was published", "restore or train again"
        )
    if order.manifest.private and not order.private:
        raise MisuseError(
            f"{order.manifest.name} learned from what stands under no known licence, and is not passed on",
            f"`flywheel datasets show {short(order.manifest.dataset)}` counts the licences; "
            "--private exports it for yourself alone",
        )
    if order.beside and order.to not in {"gguf", "ollama"}:
        raise MisuseError(f"{order.to} cannot leave the adapter beside its base", "--beside goes with gguf and ollama")
    if order.to != "adapter":
        _check(order, tools)
    try:
        with publish_folder(target) as folder:
            told = _copied(order, folder) if order.to == "adapter" else _made(order, tools, folder, say)
    except OSError as error:
        raise ResourceError(f"{target} cannot be written: {error.strerror or error}", "name another folder") from error
    finally:
        shutil.rmtree(target.with_name(f".{target.name}.new"), ignore_errors=True)  # what failed leaves nothing behind
    return Export(adapter=order.manifest.name, to=order.to, out=str(target), **told)


def converter_in(setting: Path | None) -> Path | None:
    """Return the folder that holds llama.cpp's converter: the one of the settings, or where PATH has it."""
    if setting is not None:
        return setting if (setting / CONVERTER).is_file() else None
    found = shutil.which(CONVERTER)
    return Path(found).resolve().parent if found else None


def _check(order: ExportOrder, tools: ExportTools) -> None:
    name = order.manifest.name
    if not tools.python.exists():
        raise PermanentError("the train environment is not there", "run `flywheel env create train`")
    found = prints(Path(order.base.path)).whole
    if found != order.manifest.base_fingerprint:
        raise CorruptError(
            f"the bytes of base {order.base.name!r} are not those {name} was trained on", "restore the base's files"
        )
    need = 3 * folder_size(Path(order.base.path))  # the merged model, its conversion, and one of them once more
    free = free_disk(order.out.parent)
    if free < need:
        raise ResourceError(f"an export takes up to {need >> 20} MiB, {free >> 20} MiB are free", "free some")
    if order.to in {"gguf", "ollama"} and tools.llama_cpp is None:
        raise MisuseError(
            f"llama.cpp's {CONVERTER} is not there, and only it writes GGUF",
            "get llama.cpp's sources (its repository, or the source archive of llama-cpp-python on PyPI, below "
            "vendor/llama.cpp) and name that folder as llama_cpp in [export] of the settings, or put it into PATH",
        )


def _copied(order: ExportOrder, folder: Path) -> dict[str, Any]:
    for name in (*FILES, "manifest.json"):
        shutil.copyfile(order.folder / name, folder / name)
    if not is_whole(folder):
        raise CorruptError(f"the copy of {order.manifest.name} is not what was published", "check the disk")
    files = {name: file_hash(folder / name) for name in (*FILES, "manifest.json")}
    return {"files": files, "compared": {"sha256": "equal"}}


def _made(order: ExportOrder, tools: ExportTools, folder: Path, say: Say) -> dict[str, Any]:
    orders = folder.with_name(f".{order.out.name}.orders.json")
    write_json(orders, _orders(order, tools, folder))
    try:
        error = _run([str(tools.python), str(_JOB), str(orders)], say)
    finally:
        orders.unlink(missing_ok=True)
    if error:
        raise PermanentError(f"{order.manifest.name} cannot be exported to {order.to}: {error}", "nothing was written")
    told = json.loads((folder / RESULT).read_bytes())
    write_json(folder / RESULT, {**told, "manifest": order.manifest.model_dump(mode="json")})
    return {"files": told["files"], "compared": told["compared"]}


def _orders(order: ExportOrder, tools: ExportTools, folder: Path) -> dict[str, Any]:
    return {
        "to": order.to,
        "name": order.manifest.name,
        "base": str(Path(order.base.path).resolve()),
        "adapter": str(order.folder.resolve()),
        "out": str(folder.resolve()),
        "prompts": str(order.prompts) if order.prompts and order.prompts.is_file() else None,
        "llama_cpp": str(tools.llama_cpp) if tools.llama_cpp else None,
        "precision": order.precision,
        "beside": order.beside,
    }


def _run(argv: list[str], say: Say) -> str:
    """Run the job to its end, passing on how far it is; return why it failed, or nothing."""
    error, last = "", ""
    env = {**os.environ, **_ENV}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as child:
        for line in child.stdout or ():
            event = _event(line)
            if "step" in event:
                say(int(event["step"]), int(event["of"]), str(event["what"]))
            error, last = str(event.get("error", error)), line.strip() or last
    if child.returncode == 0:
        return ""
    return error or last[:300] or f"exit status {child.returncode}"


def _event(line: str) -> dict[str, Any]:
    try:
        held = json.loads(line)
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}
