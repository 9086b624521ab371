"""systemd, asked in its own words: the system's manager, a person's, or the files of an image that is not running."""

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from flywheel.core.errors import MisuseError, PermanentError, UnavailableError

_SECONDS = 400  # longer than the daemon may take to start
ASKED = ("LoadState", "ActiveState", "SubState", "UnitFileState", "StatusText", "NRestarts", "MainPID", "MemoryCurrent",
         "ActiveEnterTimestamp", "NextElapseUSecRealtime", "Result", "FragmentPath", "NeedDaemonReload")  # fmt: skip


_NOT_YOURS = "no systemd of yours is running — log in in the usual way, or see `loginctl enable-linger`"
_NOT_HERE = "systemd does not run this machine — start `flywheel gateway` and `flywheel run` by hand"


class Manager(Protocol):
    """What is asked of systemd."""

    def run(self, *argv: str) -> str:
        """Run one of systemd's commands; raises PermanentError with its own words when it fails."""
        ...

    def states(self, units: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return what systemd says of units, by their names."""
        ...


class Systemd:
    """The manager that runs: the system's, or the person's own."""

    def __init__(self, *, user: bool) -> None:
        """Ask this one."""
        self._words = ("systemctl", "--user") if user else ("systemctl",)

    def run(self, *argv: str) -> str:
        """Run a command; `systemctl` is the one of this manager."""
        command = [*self._words, *argv[1:]] if argv[0] == "systemctl" else list(argv)
        ended = _ended(command)
        if ended.returncode != 0:
            told = (ended.stderr or ended.stdout).strip().splitlines() or [f"exit status {ended.returncode}"]
            raise PermanentError(f"`{' '.join(command)}`: {told[0]}", "see `journalctl -xe`, mend that, and try again")
        return ended.stdout

    def states(self, units: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return what systemd says of units, by their names."""
        names = list(units)
        asked = [f"--property={','.join(('Id', *ASKED))}", *names]
        return parsed(names, self.run("systemctl", "show", "--no-pager", *asked)) if names else {}


def parsed(names: Sequence[str], told: str) -> dict[str, dict[str, str]]:
    """Return what `systemctl show` told, by unit; units come in the order in which they were asked for."""
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in told.strip().split("\n\n")]
    return dict(zip(names, blocks, strict=True))


def why_not(*, user: bool, looks: bool = False) -> str:
    """Return why no services can be installed, or looked at, here, with the mend; nothing where they can."""
    if not user and not looks and os.geteuid() != 0:
        return "the system's services are root's to install — use sudo, or --user for services of your own"
    try:
        state = _ended(["systemctl", *(["--user"] if user else []), "is-system-running"])
    except UnavailableError as error:
        return str(error)
    if state.stdout.strip() in {"", "offline", "unknown"}:
        return _NOT_YOURS if user else _NOT_HERE
    return ""


def require(*, user: bool, looks: bool = False) -> None:
    """Refuse where no services can be installed, or looked at."""
    if why := why_not(user=user, looks=looks):
        message, _, mend = why.partition(" — ")
        raise MisuseError(message, mend)


def place(*, user: bool, root: Path, environ: Mapping[str, str]) -> Path:
    """Return the folder of an operator's units."""
    if not user:
        return root / "etc/systemd/system"
    config = environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path("~/.config").expanduser()) / "systemd/user"


def _ended(argv: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    environ = {**os.environ, "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "", "LC_ALL": "C.UTF-8"}
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_SECONDS, env=environ)
    except OSError as error:
        raise UnavailableError(
            f"there is no {argv[0]} here", "install systemd, or start the processes by hand"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise PermanentError(f"`{' '.join(argv)}` does not end", "see `systemctl list-jobs`") from error
