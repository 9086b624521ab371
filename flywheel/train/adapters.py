"""Adapter folders: whole or absent, each file under its hash."""

import json
import shutil
from pathlib import Path
from typing import Any

from flywheel.core.errors import CorruptError
from flywheel.core.ids import content_hash
from flywheel.core.training import AdapterManifest, TrainSpec
from flywheel.proc.files import file_hash, publish_folder, write_json
from flywheel.proc.loras import base_shapes, pickle_in, wrong_tensors

FILES = ("adapter_config.json", "adapter_model.safetensors")


def read_result(folder: Path) -> dict[str, Any]:
    """Return what a finished run says it left, checked against the bytes that lie there."""
    try:
        result = json.loads((folder / "out" / "result.json").read_bytes())
        if pickle := pickle_in(folder / "out" / "adapter"):
            reason = f"the adapter of {folder.name} is refused: {pickle} is a pickle, which runs code when it is read"
            raise CorruptError(reason, "train again")
        found = file_hash(folder / "out" / "adapter" / "adapter_model.safetensors")
    except (OSError, ValueError) as error:
        raise CorruptError(f"the run in {folder.name} left no readable result: {error}", "train again") from error
    if not isinstance(result, dict) or result.get("sha256") != found:
        raise CorruptError(f"the adapter in {folder.name} is not the one the run reported", "train again")
    return result


def describe(spec: TrainSpec, number: int, source: Path) -> AdapterManifest:
    """Return the manifest of the adapter that lies in a run's output."""
    try:
        config = json.loads((source / "adapter_config.json").read_bytes())
        files = {name: file_hash(source / name) for name in FILES}
        modules = config["target_modules"]
        return AdapterManifest(
            hash=content_hash(files),
            line=spec.line,
            number=number,
            run=spec.run_id,
            dataset=spec.dataset,
            base_name=spec.base_name,
            base_fingerprint=spec.base_fingerprint,
            rank=config["r"],
            target_modules=tuple(sorted(modules)) if isinstance(modules, list) else (str(modules),),
            files=files,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptError(f"the adapter of {spec.run_id} cannot be described: {error}", "train again") from error


def refuse_unsound(manifest: AdapterManifest, source: Path, base: Path) -> None:
    """Raise CorruptError, by name, for an adapter that no server should ever read.

    It is torn, it holds numbers that are none, or its shapes are those of another base.
    """
    try:
        wrong = wrong_tensors(source, manifest.rank, manifest.target_modules, base_shapes(base))
    except CorruptError as error:
        wrong = error.message
    if wrong:
        raise CorruptError(f"the adapter of {manifest.run} is refused: {wrong}", "train again")


def publish(manifest: AdapterManifest, source: Path, adapters: Path) -> Path:
    """Copy an adapter to its place for good; return the place. Doing it twice changes nothing."""
    target = adapters / manifest.line / manifest.folder
    if not is_whole(target):
        shutil.rmtree(target, ignore_errors=True)
        with publish_folder(target) as folder:
            for name in FILES:
                shutil.copyfile(source / name, folder / name)
            write_json(folder / "manifest.json", manifest.model_dump(mode="json"))
    return target


def is_whole(folder: Path) -> bool:
    """Tell whether an adapter folder holds exactly what its manifest promises."""
    try:
        manifest = AdapterManifest.model_validate_json((folder / "manifest.json").read_bytes())
        named = set(manifest.files) == set(FILES) and content_hash(manifest.files) == manifest.hash
        return named and all(file_hash(folder / name) == digest for name, digest in manifest.files.items())
    except (OSError, ValueError):
        return False
