"""Writes what `flywheel init` has chosen: never over anything but when asked to, and then what was there is kept."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from flywheel.cli.init_choices import Choice
from flywheel.cli.init_findings import Places
from flywheel.core.errors import MisuseError, PermanentError
from flywheel.daemon.lines import chosen_lines
from flywheel.daemon.places import shipped
from flywheel.daemon.settings import load_settings
from flywheel.policy.loading import check_policies, load_policies
from flywheel.proc.files import publish_folder, write_file


def texts_of(policies: Path) -> dict[str, str]:
    """Return the files of the lines of a policies folder."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((policies / "lines").glob("*.toml"))}


def before_writing(places: Places, *, force: bool) -> None:
    """Refuse before anything is looked for when there are settings or policies already."""
    for path in (places.config, places.policies):
        if os.path.lexists(path) and not force:
            raise MisuseError(f"{path} is there already", "change it by hand, or write it anew with --force")


def checked(choice: Choice, text: str, scratch: Path) -> None:
    """Prove what is about to be written by loading it: the settings, every policy, and each line with its base."""
    fill(scratch / "policies", choice.written)
    (scratch / "flywheel.toml").write_text(text, encoding="utf-8")
    problems = [str(problem) for problem in check_policies(scratch / "policies")]
    if problems:
        raise PermanentError(f"the policies that would be written are wrong: {problems[0]}", "nothing was written")
    chosen_lines(load_settings(scratch / "flywheel.toml"), load_policies(scratch / "policies"))


def write_all(choice: Choice, text: str, places: Places) -> list[str]:
    """Write policies, then settings, each whole; return where what was there before is kept now."""
    try:
        kept = [str(_aside(path)) for path in (places.policies, places.config) if os.path.lexists(path)]
        with publish_folder(places.policies) as folder:
            fill(folder, choice.written)
        write_file(places.config, text.encode())
    except OSError as error:
        raise MisuseError(f"{error.filename or places.config} cannot be written: {error.strerror}",
                          "choose another place with --config") from error  # fmt: skip
    return kept


def fill(folder: Path, written: Mapping[str, str]) -> None:
    """Copy the shipped policies, with the lines that differ."""
    shutil.copytree(shipped("policies"), folder, dirs_exist_ok=True)
    for name, text in written.items():
        (folder / "lines" / f"{name}.toml").write_text(text, encoding="utf-8")


def _aside(path: Path) -> Path:
    """Move what is there beside itself, under a name that nothing has."""
    number = next(n for n in range(1, 10_000) if not os.path.lexists(path.with_name(f"{path.name}.before-{n}")))
    return path.rename(path.with_name(f"{path.name}.before-{number}"))
