"""Curves for TensorBoard: event files as it reads them, written without it.

A file is a row of records, each with the masked CRC-32C of its length and of its bytes; a record is one `Event` message
of TensorFlow's protocol. A run that goes on from a checkpoint begins a new file, which says from which step on the
older ones no longer count.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from pathlib import Path

_MASK = 0xA282EAD8
_POLYNOMIAL = 0x82F63B78
_START = 1


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Return the Castagnoli checksum of some bytes."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    value = crc32c(data)
    return struct.pack("<I", (((value >> 15) | (value << 17)) + _MASK) & 0xFFFFFFFF)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _text(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _scalar(tag: str, value: float) -> bytes:
    return _text(1, _text(1, tag.encode()) + _varint(2 << 3 | 5) + struct.pack("<f", value))


class Charts:
    """One event file; every point is on the disk's way as soon as it is added."""

    def __init__(self, folder: Path, first_step: int) -> None:
        """Begin a file; what older ones in the folder say about `first_step` and later no longer counts."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / f"events.out.tfevents.{time.time_ns()}").open("wb")
        self._write(0, _text(3, b"brain.Event:2"))
        self._write(first_step, _text(7, _varint(1 << 3) + _varint(_START)))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Add one point to each of these curves."""
        self._write(step, _text(5, b"".join(_scalar(tag, value) for tag, value in values.items())))

    def close(self) -> None:
        """End the file."""
        self._file.close()

    def _write(self, step: int, what: bytes) -> None:
        event = _varint(1 << 3 | 1) + struct.pack("<d", time.time()) + _varint(2 << 3) + _varint(step) + what
        length = struct.pack("<Q", len(event))
        self._file.write(length + _masked(length) + event + _masked(event))
        self._file.flush()
