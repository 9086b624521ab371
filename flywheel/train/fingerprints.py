"""The identity of a frozen base: one hash over every file that shapes its answers."""

from pathlib import Path

from flywheel.core.errors import UnavailableError
from flywheel.core.ids import content_hash
from flywheel.proc.files import file_hash

#: Weights, configuration, tokenizer, template. Read-me files and repository metadata do not shape answers.
SUFFIXES = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model", ".bin", ".pt", ".gguf", ".tiktoken"})


def fingerprint(base: Path) -> str:
    """Return the base's fingerprint: any changed byte changes it, renaming the folder does not."""
    if not (base / "config.json").is_file():
        raise UnavailableError(
            f"there is no model in {base}", "put the base model there or mend bases.*.path", delay=60
        )
    try:
        return "sha256:" + content_hash([[p.relative_to(base).as_posix(), file_hash(p)] for p in _files(base)])
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
    """Tell whether a folder offered as a base already holds an adapter."""
    return (base / "adapter_config.json").exists() or (base / "adapter_model.safetensors").exists()


def _files(base: Path) -> list[Path]:
    return sorted(p for p in base.rglob("*") if p.is_file() and p.suffix in SUFFIXES and not _hidden(p, base))


def _hidden(path: Path, base: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(base).parts)
