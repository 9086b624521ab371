"""The identity of a frozen base: one hash over every file that shapes its answers, and one for each part of it."""

import json
from pathlib import Path
from typing import Any

from flywheel.core.bases import LINEAGE, Lineage
from flywheel.core.errors import CorruptError, UnavailableError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.proc.files import file_hash

#: Weights, configuration, tokenizer, template. Read-me files and repository metadata do not shape answers.
SUFFIXES = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model", ".bin", ".pt", ".gguf", ".tiktoken"})

_CONFIG = "config.json"
_QUANTISATION = "quantization_config"
_WEIGHTS = frozenset({".safetensors", ".bin", ".pt", ".gguf"})
_WORDS = frozenset({".jinja", ".model", ".tiktoken", ".txt"})
_TOKENIZER = ("tokenizer", "vocab", "merges", "special_tokens", "added_tokens", "chat_template")
_QUANTISERS = frozenset({"quantize_config.json", "quant_config.json", "hf_quant_config.json"})


class Prints(Frozen):
    """A base's fingerprint, and that of each of its parts (`core.bases.PARTS`)."""

    whole: str
    parts: dict[str, str]


def fingerprint(base: Path) -> str:
    """Return the base's fingerprint: any changed byte changes it, renaming the folder does not."""
    return prints(base).whole


def prints(base: Path) -> Prints:
    """Read every file once; raises UnavailableError when there is no model or it cannot be read."""
    if not (base / _CONFIG).is_file():
        raise UnavailableError(
            f"there is no model in {base}", "put the base model there or mend bases.*.path", delay=60
        )
    try:
        found = [(p.relative_to(base).as_posix(), file_hash(p)) for p in _files(base)]
        return Prints(whole="sha256:" + content_hash([list(pair) for pair in found]), parts=_parts(base, found))
    except OSError as error:
        raise UnavailableError(f"the model in {base} cannot be read: {error}", "check its files", delay=60) from error


def signature(base: Path) -> str:
    """Return what a look at sizes and times tells: the same signature, the same bytes, unless somebody hides it."""
    try:
        seen = [(p.relative_to(base).as_posix(), p.stat()) for p in _files(base)]
    except OSError:
        return ""
    return content_hash([[name, stat.st_size, stat.st_mtime_ns, stat.st_ino] for name, stat in seen])


def holds_adapter(base: Path) -> bool:
    """Tell whether a folder offered as a base already holds an adapter, beside its weights or fused into them."""
    return any((base / name).exists() for name in ("adapter_config.json", "adapter_model.safetensors", LINEAGE))


def lineage_of(base: Path) -> Lineage | None:
    """Return what a base was fused from; None for one that never was. Raises CorruptError when it cannot be read."""
    try:
        return Lineage.model_validate_json((base / LINEAGE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CorruptError(f"{LINEAGE} in {base} cannot be read", "restore it, or fuse the adapter again") from error


def part_of(name: str) -> str:
    """Return which part of a base a file belongs to, by its name; what is neither is its configuration."""
    path = Path(name)
    if path.suffix in _WEIGHTS or path.name.endswith(".index.json") or path.name == LINEAGE:
        return "weights"
    if path.name in _QUANTISERS:
        return "quantisation"
    return "tokenizer" if path.suffix in _WORDS or path.name.startswith(_TOKENIZER) else "configuration"


def _parts(base: Path, found: list[tuple[str, str]]) -> dict[str, str]:
    """Return a hash a part; of config.json the quantisation is its own part, and the rest is the configuration."""
    held: dict[str, list[Any]] = {"weights": [], "tokenizer": [], "quantisation": [], "configuration": []}
    for name, digest in found:
        if name != _CONFIG:
            held[part_of(name)].append([name, digest])
    quantisation, rest = _config(base / _CONFIG)
    held["quantisation"].append(quantisation)
    held["configuration"].append(rest)
    return {part: content_hash(values) for part, values in held.items()}


def _config(path: Path) -> tuple[str, str]:
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return "", file_hash(path)
    how = config.pop(_QUANTISATION, None) if isinstance(config, dict) else None
    return json.dumps(how, sort_keys=True), json.dumps(config, sort_keys=True)


def _files(base: Path) -> list[Path]:
    return sorted(p for p in base.rglob("*") if p.is_file() and p.suffix in SUFFIXES and not _hidden(p, base))


def _hidden(path: Path, base: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(base).parts)
