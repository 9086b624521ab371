"""The code that runs inside a box, as one archive in memory: a box need not see where flywheel is installed."""

import functools
import io
import os
import zipfile
from pathlib import Path

_INSIDE = Path(__file__).parent / "inside"


@functools.cache
def archive() -> bytes:
    """Return the package `inside` as an uncompressed zip archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as file:
        for path in sorted(_INSIDE.glob("*.py")):
            file.writestr(zipfile.ZipInfo(f"inside/{path.name}"), path.read_bytes())
    return made.getvalue()


def bundle() -> int:
    """Return a descriptor of the archive, at its beginning; whoever gets it closes it."""
    descriptor = os.memfd_create("inside", os.MFD_CLOEXEC)
    rest = memoryview(archive())
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
