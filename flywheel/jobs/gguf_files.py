"""GGUF files read without llama.cpp: what they say of themselves, and their tensors as 32-bit numbers."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from sft_rows import MisuseError

MAGIC = b"GGUF"
VERSION = 3
_ALIGNMENT = 32
_STRING, _ARRAY = 8, 9
#: By a value's type: how it is packed.
_PACKED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
#: By a tensor's type: its name, the numbers of a block, and the bytes of one.
KINDS = {0: ("F32", 1, 4), 1: ("F16", 1, 2), 30: ("BF16", 1, 2), 8: ("Q8_0", 32, 34)}


class Tensor(NamedTuple):
    """One tensor: its kind, its shape as the model has it, and its bytes."""

    kind: str
    shape: tuple[int, ...]
    data: bytes

    @property
    def count(self) -> int:
        """Return how many numbers it holds."""
        return math.prod(self.shape)

    def numbers(self) -> np.ndarray:
        """Return its numbers in 32 bits."""
        return _NUMBERS[self.kind](self.data).reshape(self.shape)


class Gguf(NamedTuple):
    """What a file says of itself, and its tensors."""

    told: dict[str, Any]
    tensors: dict[str, Tensor]


def read(path: Path) -> Gguf:
    """Return all that a file holds; raises MisuseError for one that is none, or holds kinds of numbers not known."""
    with path.open("rb") as file:
        if file.read(4) != MAGIC or _number(file, "I") != VERSION:
            raise MisuseError(f"{path.name} is no GGUF file of version {VERSION}")
        tensors, pairs = _number(file, "Q"), _number(file, "Q")
        told = {_string(file): _value(file, _number(file, "I")) for _ in range(pairs)}
        places = [_place(file) for _ in range(tensors)]
        start = _aligned(file.tell(), int(told.get("general.alignment", _ALIGNMENT)))
        return Gguf(told, {name: _tensor(file, start, place) for name, *place in places})


def _number(file: BinaryIO, packed: str) -> Any:
    return struct.unpack(f"<{packed}", file.read(struct.calcsize(f"<{packed}")))[0]


def _string(file: BinaryIO) -> str:
    return file.read(_number(file, "Q")).decode("utf-8", "replace")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        inner, length = _number(file, "I"), _number(file, "Q")
        return [_value(file, inner) for _ in range(length)]
    return _number(file, _PACKED[kind])


def _place(file: BinaryIO) -> tuple[str, tuple[int, ...], int, int]:
    name, sides = _string(file), _number(file, "I")
    shape = tuple(_number(file, "Q") for _ in range(sides))
    return name, shape[::-1], _number(file, "I"), _number(file, "Q")


def _tensor(file: BinaryIO, start: int, place: list[Any]) -> Tensor:
    shape, kind, offset = place
    if kind not in KINDS:
        raise MisuseError(f"the GGUF holds numbers of kind {kind}, which cannot be compared")
    name, block, size = KINDS[kind]
    file.seek(start + offset)
    return Tensor(name, shape, file.read(math.prod(shape) // block * size))


def _aligned(place: int, alignment: int) -> int:
    return -(-place // alignment) * alignment


def _brain(data: bytes) -> np.ndarray:
    return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")


def _eighths(data: bytes) -> np.ndarray:
    blocks = np.frombuffer(data, np.dtype([("scale", "<f2"), ("numbers", "i1", (32,))]))
    return (blocks["scale"].astype("<f4")[:, None] * blocks["numbers"].astype("<f4")).reshape(-1)


_NUMBERS = {
    "F32": lambda data: np.frombuffer(data, "<f4").copy(),
    "F16": lambda data: np.frombuffer(data, "<f2").astype("<f4"),
    "BF16": _brain,
    "Q8_0": _eighths,
}
