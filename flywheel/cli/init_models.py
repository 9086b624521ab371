"""Finds the folders of base models: where a server's model lies, and those on the disk that nobody serves yet."""

import json
import math
import struct
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from flywheel.cli.init_findings import FoundGpu, FoundModel
from flywheel.train.fingerprints import holds_adapter

MOST_MODELS = 100
_CONFIG = "config.json"
_GPU_SECONDS = 10
_LONGEST_HEADER = 100 << 20  # what safetensors itself allows
_WRITES = ("CausalLM", "ConditionalGeneration")
_QUANTISED = "quantization_config"
_TINY = 100_000_000


def hub_cache(environment: Mapping[str, str], home: Path) -> Path:
    """Return where models that were downloaded by their name are kept."""
    if found := environment.get("HF_HUB_CACHE"):
        return Path(found)
    cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    return Path(environment.get("HF_HOME") or cache / "huggingface") / "hub"


def usual_folders(home: Path) -> tuple[Path, ...]:
    """Return where people keep models."""
    return home / "models", Path("/srv/models"), Path("/models")


def where(model: str, cache: Path) -> Path | None:
    """Return the folder of a model that a server names by its path, or by the name it was downloaded under."""
    try:
        folder = Path(model)
        if folder.is_absolute():
            return folder if (folder / _CONFIG).is_file() else None
        return _snapshot(cache / f"models--{model.replace('/', '--')}")
    except (OSError, ValueError):  # no path that there could be
        return None


def look_for_folders(cache: Path, places: Iterable[Path]) -> list[FoundModel]:
    """Return models that could be a base: downloaded ones, and folders that lie where people keep models."""
    downloaded = (_snapshot(folder) for folder in _folders(cache) if folder.name.startswith("models--"))
    kept = (folder for place in places for folder in _folders(place))
    found = [folder for folder in (*downloaded, *kept) if folder is not None and _is_base(folder)]
    return [FoundModel(served_as=_name(path), path=path, parameters_billion=size_of(path)) for path in found]


def size_of(base: Path) -> float | None:
    """Return how many billions of parameters a base has, by the heads of its files; None where these do not tell."""
    try:
        if _QUANTISED in _config(base):
            return None
        total = sum(_parameters(path) for path in base.glob("*.safetensors"))
    except (OSError, ValueError, struct.error, AttributeError, KeyError, TypeError, RecursionError):
        return None
    return round(total / 1e9, 2 if total > _TINY else 6) or None


def look_for_gpus() -> list[FoundGpu]:
    """Return the GPUs that the driver tells of; none where there is no driver."""
    argv = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_GPU_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return list(_gpus(ended.stdout)) if ended.returncode == 0 else []


def _gpus(told: str) -> Iterator[FoundGpu]:
    for line in told.splitlines():
        name, _, memory = line.rpartition(",")
        mib = memory.strip()
        if name.strip():
            yield FoundGpu(name=name.strip(), memory_gib=round(int(mib) / 1024, 1) if mib.isdecimal() else 0)


def _snapshot(folder: Path) -> Path | None:
    """Return the folder of a download's main version, else of its only one."""
    try:
        main = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        main = ""
    found = [one for one in _folders(folder / "snapshots") if main in {"", one.name}]
    return found[0] if len(found) == 1 and (found[0] / _CONFIG).is_file() else None


def _name(folder: Path) -> str:
    """Return what a model is called: its folder's name, or that of the download it belongs to."""
    download = folder.parent.parent.name
    return download.rpartition("--")[2] if folder.parent.name == "snapshots" else folder.name


def _is_base(folder: Path) -> bool:
    try:
        made_for = _config(folder).get("architectures")
    except (OSError, ValueError, RecursionError):
        return False
    writes = isinstance(made_for, list) and any(str(name).endswith(_WRITES) for name in made_for)
    return writes and any(folder.glob("*.safetensors")) and not holds_adapter(folder)


def _config(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / _CONFIG).read_bytes())
    return found if isinstance(found, dict) else {}


def _parameters(file: Path) -> int:
    """Return how many numbers a file of weights holds; only its head is read."""
    with file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        if length > _LONGEST_HEADER:
            raise ValueError(length)
        head = json.loads(opened.read(length))
    return sum(math.prod(one["shape"]) for name, one in head.items() if name != "__metadata__")


def _folders(place: Path) -> Iterator[Path]:
    try:
        names = sorted(place.iterdir())
    except OSError:
        return
    yield from islice((path for path in names if path.is_dir()), MOST_MODELS)
