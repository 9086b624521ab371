"""What must be true of an adapter before a model server may see it.

Servers check too little: one answered 200 to an adapter of NaNs that then spoiled its neighbours' answers, and to one
of half the width, which spoke garbage. So everything is checked here, by our own reading of the files.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import Field

from flywheel.core.bases import what_changed
from flywheel.core.errors import CorruptError
from flywheel.core.frozen import Frozen
from flywheel.core.training import AdapterManifest, Base
from flywheel.proc.files import file_hash
from flywheel.proc.loras import CONFIG, WEIGHTS, base_shapes, wrong_tensors

MANIFEST = "manifest.json"


class Demands(Frozen):
    """What an adapter is held against: its base, the bytes the base was pinned to, the server's largest rank."""

    base: Base
    pinned: str | None
    largest_rank: int
    parts: dict[str, str] = Field(default_factory=dict)


def inspect(folder: Path, manifest: AdapterManifest, demands: Demands) -> str | None:
    """Return the first thing that is wrong with an adapter, or None.

    Raises UnavailableError when the base cannot be read: that is not the adapter's fault.
    """
    try:
        return (
            _wrong_base(manifest, demands)
            or _wrong_files(folder, manifest)
            or wrong_config(_config(folder), manifest, demands)
            or wrong_tensors(folder, manifest.rank, manifest.target_modules, base_shapes(Path(demands.base.path)))
        )
    except CorruptError as error:
        return error.message
    except OSError as error:
        return f"its files cannot be read: {error}"


def _wrong_base(manifest: AdapterManifest, demands: Demands) -> str | None:
    if manifest.base_name != demands.base.name:
        return f"it was trained on base {manifest.base_name!r}, not on {demands.base.name!r}"
    if demands.pinned is None:
        return f"the bytes of base {demands.base.name!r} were never pinned"
    if manifest.base_fingerprint != demands.pinned:
        other = f"it was trained on other bytes of base {demands.base.name!r} than the pinned ones"
        known = manifest.base_parts and demands.parts
        return f"{other}: {what_changed(demands.base.name, manifest.base_parts, demands.parts)}" if known else other
    return None


def _wrong_files(folder: Path, manifest: AdapterManifest) -> str | None:
    if not folder.is_dir():
        return f"its folder {folder.name} is missing"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()} - {MANIFEST}
    if missing := {*manifest.files, WEIGHTS, CONFIG} - found:
        return f"{min(missing)} is missing"
    if more := found - set(manifest.files):
        return f"{min(more)} lies in its folder and not in its manifest"
    for name, digest in sorted(manifest.files.items()):
        if file_hash(folder / name) != digest:
            return f"{name} is not the file its manifest names"
    return None


def wrong_config(config: dict[str, Any], manifest: AdapterManifest, demands: Demands) -> str | None:
    """Return what an adapter's configuration asks for that no server gives, or None."""
    rank = config.get("r")
    if config.get("peft_type", "LORA") != "LORA" or config.get("use_dora") or config.get("alora_invocation_tokens"):
        return "it is no plain LoRA, and only those can be served"
    if config.get("bias", "none") != "none" or config.get("modules_to_save"):
        return "it holds biases or whole modules, which cannot be served"
    if config.get("rank_pattern") or config.get("alpha_pattern"):
        return "its modules differ in rank or scale, which cannot be served"
    if rank != manifest.rank:
        return f"its configuration says rank {rank}, its manifest {manifest.rank}"
    if manifest.rank > demands.largest_rank:
        return f"its rank is {manifest.rank}, the server was started for at most {demands.largest_rank}"
    return None


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_bytes())
    except (ValueError, RecursionError) as error:
        raise CorruptError(f"{CONFIG} is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise CorruptError(f"{CONFIG} is no table")
    return config
