"""Safetensors files read without any library of tensors: names, shapes, and whether every number is finite."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from flywheel.core.errors import CorruptError

LARGEST_HEADER = 100 * 1024 * 1024
_LENGTH_BYTES = 8
_CHUNK = 1 << 24

#: Bytes of one number of the types that adapters and bases come in.
SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
         "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1}  # fmt: skip

#: A number is infinite or no number exactly when all bits of its exponent are set.
_EXPONENTS = {"F64": ("<u8", 0x7FF0_0000_0000_0000), "F32": ("<u4", 0x7F80_0000), "F16": ("<u2", 0x7C00),
              "BF16": ("<u2", 0x7F80)}  # fmt: skip


class Tensor(NamedTuple):
    """One tensor of a file: type, shape, and where its bytes lie."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file; every byte of it must belong to one. Raises CorruptError."""
    try:
        with path.open("rb") as file:
            start, raw = _raw_header(file, path)
            size = path.stat().st_size
        tensors = {name: _tensor(entry, start) for name, entry in raw.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptError(f"{path.name} is no safetensors file: {error}") from error
    _check_layout(tensors, path, start, size)
    return tensors


def first_unsound(path: Path, tensors: dict[str, Tensor]) -> str | None:
    """Return the first tensor that holds a number that is none, or is infinite, or whose type says neither."""
    with path.open("rb") as file:
        for name, tensor in tensors.items():
            if tensor.dtype not in _EXPONENTS or not _is_finite(file, tensor):
                return name
    return None


def _raw_header(file: BinaryIO, path: Path) -> tuple[int, dict[str, Any]]:
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if length > LARGEST_HEADER:
        raise CorruptError(f"{path.name} is no safetensors file: its header would be {length} bytes")
    raw = json.loads(file.read(length))
    if not isinstance(raw, dict):
        raise CorruptError(f"{path.name} is no safetensors file: its header is no table")
    return _LENGTH_BYTES + length, raw


def _tensor(entry: dict[str, Any], start: int) -> Tensor:
    begin, end = (int(offset) for offset in entry["data_offsets"])
    return Tensor(str(entry["dtype"]), tuple(int(side) for side in entry["shape"]), start + begin, start + end)


def _check_layout(tensors: dict[str, Tensor], path: Path, start: int, size: int) -> None:
    at = start
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].begin):
        if tensor.begin != at or tensor.end - tensor.begin != math.prod(tensor.shape) * SIZES.get(tensor.dtype, 0):
            raise CorruptError(f"{path.name}: the bytes of {name} do not fit its type and shape")
        at = tensor.end
    if at != size:
        raise CorruptError(f"{path.name} is {size} bytes, its tensors need {at}")


def _is_finite(file: BinaryIO, tensor: Tensor) -> bool:
    import numpy as np  # here: the idle daemon does without

    kind, mask = _EXPONENTS[tensor.dtype]
    for chunk in _chunks(file, tensor):
        exponents = np.frombuffer(chunk, dtype=kind) & mask
        if bool((exponents == mask).any()):
            return False
    return True


def _chunks(file: BinaryIO, tensor: Tensor) -> Iterator[bytes]:
    file.seek(tensor.begin)
    left = tensor.end - tensor.begin
    while left > 0:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            raise CorruptError("the file ended early")
        left -= len(chunk)
        yield chunk
