"""What must be true of an adapter before a model server may see it.

Servers check too little: one answered 200 to an adapter of NaNs that then spoiled its neighbours' answers, and to one
of half the width, which spoke garbage. So everything is checked here, by our own reading of the files.
"""

import json
import re
from pathlib import Path
from typing import Any

from flywheel.core.errors import CorruptError, UnavailableError
from flywheel.core.frozen import Frozen
from flywheel.core.training import AdapterManifest, Base
from flywheel.proc.files import file_hash
from flywheel.serve.tensors import Tensor, first_unsound, read_header

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
MANIFEST = "manifest.json"

_LORA = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_(?P<half>[AB])\.weight$")
_MATRIX = 2
_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})


class Demands(Frozen):
    """What an adapter is held against: its base, the bytes the base was pinned to, the server's largest rank."""

    base: Base
    pinned: str | None
    largest_rank: int


def inspect(folder: Path, manifest: AdapterManifest, demands: Demands) -> str | None:
    """Return the first thing that is wrong with an adapter, or None.

    Raises UnavailableError when the base cannot be read: that is not the adapter's fault.
    """
    try:
        return (
            _wrong_base(manifest, demands)
            or _wrong_files(folder, manifest)
            or _wrong_config(_config(folder), manifest, demands)
            or _wrong_tensors(folder, manifest, base_shapes(Path(demands.base.path)))
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
        return f"it was trained on other bytes of base {demands.base.name!r} than the pinned ones"
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


def _wrong_config(config: dict[str, Any], manifest: AdapterManifest, demands: Demands) -> str | None:
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


def _wrong_tensors(folder: Path, manifest: AdapterManifest, base: "BaseShapes") -> str | None:
    tensors = read_header(folder / WEIGHTS)
    halves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = _LORA.match(name)
        if match is None:
            return f"tensor {name} is no part of a LoRA"
        halves.setdefault(match["module"], {})[match["half"]] = tensor
    if not halves:
        return "it holds no tensors"
    for module, pair in sorted(halves.items()):
        if wrong := _wrong_module(module, pair, manifest, base):
            return wrong
    unsound = first_unsound(folder / WEIGHTS, tensors)
    return f"tensor {unsound} holds numbers that are not finite" if unsound else None


def _wrong_module(module: str, pair: dict[str, Tensor], manifest: AdapterManifest, base: "BaseShapes") -> str | None:
    if not _is_target(module, manifest.target_modules):
        return f"module {module} is not among its targets {', '.join(manifest.target_modules)}"
    shape = base.of(module)
    if shape is None:
        return f"the base has no module {module}"
    if set(pair) != {"A", "B"}:
        return f"module {module} has only half of its LoRA"
    width_out, width_in = shape
    wanted = {"A": (manifest.rank, width_in), "B": (width_out, manifest.rank)}
    for half, tensor in sorted(pair.items()):
        if tensor.shape != wanted[half]:
            return f"lora_{half} of {module} is {_shown(tensor.shape)}, base and rank ask for {_shown(wanted[half])}"
    return None


def _is_target(module: str, targets: tuple[str, ...]) -> bool:
    """Tell whether a module was trained by intent: named whole, by its last part, or by a pattern as PEFT reads it."""
    if targets == ("all-linear",):
        return True
    return any(module == target or module.endswith(f".{target}") or _matches(target, module) for target in targets)


def _matches(pattern: str, module: str) -> bool:
    try:
        return re.fullmatch(pattern, module) is not None
    except re.error:
        return False


class BaseShapes:
    """The widths of a base's linear modules: from its weights, else (quantised ones) from its configuration."""

    def __init__(self, weights: dict[str, tuple[int, int]], config: dict[str, Any]) -> None:
        """Answer from these."""
        self._weights = weights
        self._config = config

    def of(self, module: str) -> tuple[int, int] | None:
        """Return the widths (out, in) of a module, or None when the base has no such module."""
        if module in self._weights:
            return self._weights[module]
        return None if self._weights else self._from_config(module)

    def _from_config(self, module: str) -> tuple[int, int] | None:
        config, kind = self._config, module.rpartition(".")[2]
        layer = re.search(r"\.layers\.(\d+)\.", module)
        try:
            if layer is None or int(layer[1]) >= config["num_hidden_layers"]:
                return None
            hidden, heads, inner = config["hidden_size"], config["num_attention_heads"], config["intermediate_size"]
            head = config.get("head_dim") or hidden // heads
            keys = config.get("num_key_value_heads", heads)
        except (KeyError, TypeError):
            return None
        return {
            "q_proj": (heads * head, hidden), "k_proj": (keys * head, hidden), "v_proj": (keys * head, hidden),
            "o_proj": (hidden, heads * head), "gate_proj": (inner, hidden), "up_proj": (inner, hidden),
            "down_proj": (hidden, inner),
        }.get(kind)  # fmt: skip


def base_shapes(folder: Path) -> BaseShapes:
    """Read the widths of a base; raises UnavailableError when it cannot be read."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
        headers = [read_header(path) for path in sorted(folder.glob("*.safetensors"))]
    except (OSError, ValueError, CorruptError) as error:
        raise UnavailableError(
            f"the base in {folder} cannot be read: {error}", "check the base's path", delay=60
        ) from error
    weights = {
        name.removesuffix(".weight"): (tensor.shape[0], tensor.shape[1])
        for header in headers for name, tensor in header.items()
        if name.endswith(".weight") and len(tensor.shape) == _MATRIX and tensor.dtype in _FLOATS
    }  # fmt: skip
    quantised = "quantization_config" in config
    return BaseShapes({} if quantised else weights, config)


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_bytes())
    except ValueError as error:
        raise CorruptError(f"{CONFIG} is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise CorruptError(f"{CONFIG} is no table")
    return config


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)
