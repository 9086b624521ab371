"""What installing flywheel's services means on a machine: files, commands, and what is said. Pure.

Every file carries a mark with the hash of what follows it: what somebody changed by hand is seen and never overwritten.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from flywheel.cli.unit_files import CONFIG, HOME, USER, UnitPlaces, is_personal
from flywheel.cli.unit_sets import (
    DAEMON,
    EXECUTOR,
    GATEWAY,
    SOCKET,
    WEB,
    folders,
    own_units,
    startable,
    user_units,
    users,
)
from flywheel.core.errors import MisuseError
from flywheel.core.frozen import Frozen

EXECUTOR_SOCKET = Path("/run/flywheel-executor/executor.sock")
_MARK = "# Written by `flywheel service install`; change it by a drop-in (systemctl edit), never here. sha256 "
_CONFIGURATION = {"sysusers.d": "systemd-sysusers", "tmpfiles.d": "systemd-tmpfiles", "modules-load.d": ""}
Origin = Literal["absent", "ours", "changed", "foreign"]
Command = tuple[str, ...]


class Wishes(Frozen):
    """What a person wants installed, beside what the settings say."""

    user: bool = False
    backups: bool = False
    dashboard: bool = True
    gpus: bool = False
    start: bool = True


class Installation(Frozen):
    """What is to be written, in which order what is run, and what starts."""

    folder: Path
    files: dict[Path, str]
    prepared: tuple[Command, ...]
    started: tuple[str, ...]


def installation(places: UnitPlaces, wishes: Wishes, folder: Path, root: Path) -> Installation:
    """Return the installation of the system's services, or of a person's own."""
    units = user_units(places) if wishes.user else own_units(places)
    files = {folder / name: marked(text) for name, text in units.items()}
    if not wishes.user:
        texts = {"sysusers.d": users(places), "tmpfiles.d": folders(places)}
        texts |= {"modules-load.d": "nvidia-uvm\n"} if wishes.gpus else {}
        files |= {root / "etc" / name / "flywheel.conf": marked(text) for name, text in texts.items()}
    started = startable(units, backups=wishes.backups, dashboard=wishes.dashboard)
    return Installation(folder=folder, files=files, prepared=() if wishes.user else _prepared(root), started=started)


def _prepared(root: Path) -> tuple[Command, ...]:
    at = [] if root == Path("/") else [f"--root={root}"]
    return (("systemd-sysusers", *at, "/etc/sysusers.d/flywheel.conf"),
            ("systemd-tmpfiles", *at, "--create", "/etc/tmpfiles.d/flywheel.conf"))  # fmt: skip


def enabling(plan: Installation, root: Path) -> tuple[Command, ...]:
    """Return what makes the services start with the machine, or with the person's manager."""
    at = [] if root == Path("/") else [f"--root={root}"]
    reload: tuple[Command, ...] = () if at else (("systemctl", "daemon-reload"),)
    return (*reload, ("systemctl", *at, "enable", *plan.started))


def marked(text: str) -> str:
    """Return a file with our mark above it."""
    return f"{_MARK}{_digest(text)}\n{text}"


def origin(found: str | None) -> Origin:
    """Tell whose file this is: ours as we wrote it, ours and changed by hand, or somebody else's."""
    if found is None:
        return "absent"
    head, _, text = found.partition("\n")
    if not head.startswith(_MARK):
        return "foreign"
    return "ours" if head.removeprefix(_MARK).strip() == _digest(text) else "changed"


def refuse_others(found: Mapping[Path, Origin]) -> None:
    """Refuse to write over what somebody else wrote, or what was changed by hand."""
    for path, whose in found.items():
        if whose == "foreign":
            raise MisuseError(f"{path} is there already and not from here", "write over it with --force, or move it")
        if whose == "changed":
            raise MisuseError(f"{path} was changed by hand", "keep the change as a drop-in, then use --force")


def refuse_root(places: UnitPlaces, run_as: str | None) -> None:
    """Refuse services of root, unless a person names it: that is whose home it lies in, not what is wanted."""
    if run_as is None and places.user == "root":
        raise MisuseError(
            f"{places.home} lies in root's own folder, and services do not run as root",
            f'set home = "{HOME}" in {places.config}, or name somebody with --as',
        )


def refuse_unreadable(places: UnitPlaces) -> None:
    """Refuse what the service's own user could not read: it lies in somebody's home."""
    if places.user != USER:
        return
    if is_personal(places.config):
        raise MisuseError(
            f"the user {USER} cannot read {places.config}", f"copy it to {CONFIG}, or install with --user or --as"
        )
    if is_personal(places.program):
        raise MisuseError(
            f"the user {USER} cannot run {places.program}",
            "install flywheel for everybody: python3 -m venv /opt/flywheel; or install with --user or --as",
        )


def named(text: str, key: str) -> str:
    """Return the value of a variable that a unit gives its process."""
    found = re.search(rf"^Environment={key}=(.*)$", text, re.MULTILINE)
    return found[1] if found else ""


def restarted(active: Iterable[str]) -> tuple[Command, ...]:
    """Return what brings a new version to what runs: the gateway by a handover, the others by a restart."""
    there = set(active)
    others = tuple(name for name in (EXECUTOR, WEB, DAEMON) if name in there)
    handover: tuple[Command, ...] = (("systemctl", "reload", GATEWAY),) if GATEWAY in there else ()
    return (*handover, *((("systemctl", "restart", *others),) if others else ()))


def freed(states: Mapping[str, Mapping[str, str]]) -> tuple[Command, ...]:
    """Return what lets systemd open the gateway's door: a gateway that opened it itself ends first."""
    active = {name for name, state in states.items() if state.get("ActiveState") == "active"}
    return (("systemctl", "stop", GATEWAY),) if GATEWAY in active and SOCKET not in active else ()


def left(places: Mapping[str, str], *, user: bool) -> list[str]:
    """Return what stays when the services go, in sentences."""
    told = [f"{what}: {where}" for what, where in places.items() if where]
    return [*told, *([] if user else [f"users: {USER}, {USER}-executor (userdel removes them)"])]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
