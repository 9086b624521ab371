"""Adapters that were made elsewhere: they fit a base by its fingerprint where they know it, else by their shapes."""

import json
from pathlib import Path
from typing import Any, Literal

from flywheel.core.errors import CorruptError
from flywheel.core.frozen import Frozen
from flywheel.core.training import AdapterManifest, Base
from flywheel.proc.files import file_hash
from flywheel.proc.loras import CONFIG, WEIGHTS, pickle_in
from flywheel.proc.tensors import first_unsound, read_header
from flywheel.serve.inspections import MANIFEST, Demands, inspect, wrong_config


class Finding(Frozen):
    """What is wrong with an adapter, and by what its base was told; nothing wrong means that it fits."""

    wrong: str | None
    by: Literal["fingerprint", "shapes"]


def inspect_foreigner(folder: Path, demands: Demands) -> Finding:
    """Hold an adapter's folder against a base. One that was published by a flywheel is known by its fingerprint.

    Shapes tell less: two bases of one architecture have the same. Raises UnavailableError when the base cannot be read.
    """
    try:
        known = _published(folder)
        if known is not None:
            renamed = known.model_copy(update={"base_name": demands.base.name})  # names are each house's own
            return Finding(wrong=inspect(folder, renamed, demands), by="fingerprint")
        manifest = _assumed(folder, demands)
    except OSError as error:
        name = Path(error.filename).name if error.filename else folder.name
        return Finding(wrong=f"{name} cannot be read: {error.strerror}", by="shapes")
    except CorruptError as error:
        return Finding(wrong=str(error), by="shapes")
    return Finding(wrong=inspect(folder, manifest, demands), by="shapes")


def inspect_alone(folder: Path, largest_rank: int) -> str | None:
    """Return what is wrong with an adapter as far as that shows without its base's files, or None."""
    demands = Demands(base=Base(name="", path="", served_as=""), pinned="", largest_rank=largest_rank)
    try:
        manifest = _assumed(folder, demands)
        wrong = wrong_config(_config(folder), manifest, demands)
        unsound = first_unsound(folder / WEIGHTS, read_header(folder / WEIGHTS))
    except OSError as error:
        return f"its files cannot be read: {error}"
    except CorruptError as error:
        return str(error)
    return wrong or (f"tensor {unsound} holds numbers that are not finite" if unsound else None)


def based_on(folder: Path) -> str:
    """Return the base that an adapter's configuration names; empty where it names none or cannot be read."""
    try:
        return str(_config(folder).get("base_model_name_or_path") or "")
    except (OSError, CorruptError):
        return ""


def _published(folder: Path) -> AdapterManifest | None:
    try:
        return AdapterManifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _assumed(folder: Path, demands: Demands) -> AdapterManifest:
    """Return a manifest for what lies there, as if it were of this base: then only shapes can speak against it."""
    if pickle := pickle_in(folder):
        raise CorruptError(f"{pickle} is a pickle, which runs code when it is read; only safetensors are taken")
    config = _config(folder)
    modules = config.get("target_modules")
    targets = tuple(sorted(map(str, modules))) if isinstance(modules, list) else (str(modules),)
    rank = config.get("r")
    if not isinstance(rank, int) or isinstance(rank, bool):
        raise CorruptError(f"{CONFIG} names no rank")
    files = {path.name: file_hash(path) for path in folder.iterdir() if path.is_file() and path.name != MANIFEST}
    if WEIGHTS not in files:
        raise CorruptError(f"{WEIGHTS} is missing")
    return AdapterManifest(
        hash="", line="", number=0, run="", dataset="", base_name=demands.base.name,
        base_fingerprint=demands.pinned or "", rank=rank, target_modules=targets, files=files,
    )  # fmt: skip


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_bytes())
    except (ValueError, RecursionError) as error:
        raise CorruptError(f"{CONFIG} is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise CorruptError(f"{CONFIG} is no table")
    return config
