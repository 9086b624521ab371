"""Where what is emitted goes: shown, or written to a file that nobody has yet."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from flywheel.cli.contexts import err, show_json
from flywheel.core.errors import MisuseError
from flywheel.proc.files import write_file

Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write it there instead of showing it.")]
Force = Annotated[bool, typer.Option("--force", help="Write over what is there.")]


def write(path: Path, text: str, *, force: bool, mode: int = 0o644) -> None:
    """Write a file whole; one that is there already only with `force`."""
    refuse_taken([path], force=force)
    try:
        write_file(path, text.encode(), mode)
    except OSError as error:
        raise MisuseError(f"{path} cannot be written: {error.strerror}", "choose another place") from error


def refuse_taken(paths: list[Path], *, force: bool) -> None:
    """Refuse before anything is written when something is there already."""
    there = [path for path in paths if os.path.lexists(path)]
    if there and not force:
        raise MisuseError(f"{there[0]} is there already", "write over it with --force, or choose another place")


def note(text: str) -> None:
    """Tell a person something beside what is emitted."""
    err.print(f"# {text}", markup=False)


def tell(value: Any, text: str, *, as_json: bool, written: Path | None) -> None:
    """Show what was emitted: as JSON, or as it is, or where it was written."""
    if as_json:
        show_json(value)
    elif written is not None:
        err.print(f"written: {written}", markup=False)
    else:
        print(text, end="")
