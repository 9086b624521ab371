"""Finds the Python files that people wrote below some paths, and reads them as Python does."""

import os
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from flywheel.core.errors import MisuseError

LARGEST = 2 * 1024 * 1024
_NOT_OURS = frozenset({"node_modules", "site-packages", "venv", "env", "build", "dist", "vendor", "__pycache__"})
_TESTS = frozenset({"test", "tests", "testing"})


class Found(NamedTuple):
    """A file, by the name it is shown under, with its text, or why it has none."""

    name: str
    text: str
    problem: str = ""


def python_files(paths: Iterable[Path], *, tests: bool = False) -> Iterator[Found]:
    """Yield the files in order of their names; a path that is not there raises MisuseError."""
    for path in paths:
        if not path.exists():
            raise MisuseError(f"there is no {path}", "name a Python file or a folder")
        if path.is_file():
            yield _read(path, str(path))
            continue
        for file in _below(path):
            name = file.relative_to(path).as_posix()
            if tests or not is_test(name):
                yield _read(file, name)


def is_test(name: str) -> bool:
    """Tell whether a file's name says that it holds tests, whose asserts are no defences."""
    *folders, file = name.split("/")
    tested = file.startswith(("test_", "conftest")) or file.removesuffix(".py").endswith("_test")
    return tested or bool(_TESTS.intersection(folders))


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _NOT_OURS and not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if name.endswith(".py") and path.is_file():
                yield path


def _read(path: Path, name: str) -> Found:
    try:
        if path.stat().st_size > LARGEST:
            return Found(name, "", f"larger than {LARGEST // 1024 // 1024} MiB: made by a program")
        with tokenize.open(path) as file:
            return Found(name, file.read())
    except (SyntaxError, UnicodeDecodeError):
        return Found(name, "", "its bytes are no text in the encoding that it names")
    except OSError as error:
        return Found(name, "", error.strerror or "cannot be read")
