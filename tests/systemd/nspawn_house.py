"""A machine for a minute: real systemd, booted in a container whose root of Debian packages is kept between runs."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "bubblewrap")
#: What the machine that runs the tests needs, by the Debian package that brings it.
TOOLS = {"systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "unshare": "util-linux"}
ROOT = Path(__file__).parents[2]
_MARKER = ".whole"

#: Enters a mount namespace with an empty /run first: nspawn refuses to keep its own files on a /run that is on a disk.
_PRIVATE_RUN = ["unshare", "--mount", "--propagation", "private", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"']
#: The same with a root that keeps what is written until the machine powers off, over its reboots.
_KEPT_ROOT = "/run/machine/root"
_PRIVATE_ROOT = [*_PRIVATE_RUN[:-1], """set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/machine/upper /run/machine/work /run/machine/root
mount -t overlay -o lowerdir=$0,upperdir=/run/machine/upper,workdir=/run/machine/work overlay /run/machine/root
while true; do
  "$@" && exit || test $? = 133 || exit 1  # 133 asks for another boot
done
"""]  # fmt: skip
#: What boxes are made of and nspawn does not let through by itself.
_LANDLOCK = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"
_CHECK = """[Unit]
Description=what the test wants to know
After=flywheel-executor.service
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart={command}
StandardOutput=file:/results/out
StandardError=file:/results/err
TimeoutStartSec={seconds}
{more}
"""
#: The same for a machine that boots whole, with all that is enabled in it, and may reboot.
_WHOLE = """[Unit]
Description=what the test wants to know
Wants=multi-user.target
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c '{command}; test -e /run/reboots && exec sleep 100; exec systemctl poweroff --force --force'
StandardOutput=append:/results/out
StandardError=append:/results/err
TimeoutStartSec={seconds}
"""
_USERS = "g flywheel - -\nu flywheel - - /var/lib/flywheel\nu flywheel-executor -:flywheel -\n"
_FLYWHEEL = """#!/bin/sh
export PYTHONPATH=/opt/flywheel/src:/opt/flywheel/site PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 -m flywheel "$@"
"""
_SETTINGS = """[executor]
socket = "/run/flywheel-executor/executor.sock"
group = "flywheel"
workers = 2
"""


def why_no_machine() -> str:
    """Return why no container can be booted here, or nothing."""
    if os.geteuid() != 0:
        return "booting a container needs root"
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        return f"booting a container needs the Debian packages {' '.join(missing)}"
    return "" if _codename() else "this is no Debian, whose packages the container is made of"


def root() -> Path:
    """Return the container's root, made of packages once and kept."""
    key = hashlib.sha256(json.dumps([PACKAGES, _codename(), os.uname().machine]).encode()).hexdigest()[:8]
    folder = _cache() / f"nspawn-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / _MARKER).exists():
            shutil.rmtree(folder, ignore_errors=True)
            argv = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
            slim = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale")]
            subprocess.run([*argv, *slim, _codename(), str(folder)], check=True, stdin=subprocess.DEVNULL)
            (folder / _MARKER).touch()
    return folder


def python_version(folder: Path) -> tuple[int, int]:
    """Return which Python the container has."""
    major, minor = (folder / "usr/bin/python3").readlink().name.removeprefix("python").split(".")
    return int(major), int(minor)


class Machine:
    """A container with flywheel installed below /opt/flywheel, as its units expect it; nothing of it is kept."""

    def __init__(self, folder: Path, *, bare: bool = False) -> None:
        """Lay out what is bound into it below `folder`; a bare one has the program, and nothing of its services."""
        self.folder, self.results = folder, folder / "results"
        self._binds: list[str] = []
        for name in ("results", "opt/bin", "opt/src", "opt/site"):
            (folder / name).mkdir(parents=True)
        self.results.chmod(0o777)
        if not bare:
            self.put("/etc/sysusers.d/flywheel.conf", _USERS)
            self.put("/etc/flywheel/flywheel.toml", _SETTINGS)
        (folder / "opt/bin/flywheel").write_text(_FLYWHEEL)
        (folder / "opt/bin/flywheel").chmod(0o755)
        self.bind(folder / "opt", "/opt/flywheel")
        self.bind(ROOT, "/opt/flywheel/src")
        self.bind(Path(next(path for path in sys.path if path.endswith("site-packages"))), "/opt/flywheel/site")

    def put(self, path: str, text: str) -> None:
        """Put a file into the machine."""
        ours = self.folder / path.strip("/").replace("/", "-")
        ours.write_text(text)
        ours.chmod(0o644)
        self.bind(ours, path)

    def bind(self, ours: Path, path: str) -> None:
        """Let the machine see a file or folder of ours, to read."""
        self._binds.append(f"--bind-ro={ours}:{path}")

    def install(self, unit: Path) -> None:
        """Install one of flywheel's units, unchanged."""
        self.bind(unit, f"/etc/systemd/system/{unit.name}")

    def boot(self, command: str, seconds: int = 60, more: str = "") -> None:
        """Boot, run one command beside the units it needs, and power off; what it said lies in `results`.

        `more` is what else stands in the [Service] of the command's own unit.
        """
        self.put("/etc/systemd/system/check.service", _CHECK.format(command=command, seconds=seconds, more=more))
        self._run([*_PRIVATE_RUN, "sh"], ["--volatile=overlay", f"--directory={root()}"], seconds)

    def live(self, command: str, seconds: int = 100) -> None:
        """Boot whole and run one command at each boot; it powers off, or reboots after it made /run/reboots."""
        self.put("/etc/systemd/system/check.service", _WHOLE.format(command=command, seconds=seconds))
        self._run([*_PRIVATE_ROOT, str(root())], [f"--directory={_KEPT_ROOT}"], seconds)

    def _run(self, before: list[str], where: list[str], seconds: int) -> None:
        argv = ["systemd-nspawn", *where, "--boot", "--register=no", "--keep-unit",
                "--private-network", "--console=pipe", "--settings=no", "--quiet", f"--system-call-filter={_LANDLOCK}",
                *self._binds,
                f"--bind={self.results}:/results", "systemd.unit=check.service"]  # fmt: skip
        try:
            with (self.folder / "console").open("wb") as console:
                subprocess.run(
                    [*before, *argv], check=False, timeout=seconds + 60, stdin=subprocess.DEVNULL, stdout=console,
                    stderr=console,
                )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"the machine did not power off: {self.words()}") from error

    def result(self) -> Any:
        """Return what the command printed, as JSON."""
        try:
            return json.loads((self.results / "out").read_text())
        except (OSError, ValueError) as error:
            raise AssertionError(f"the machine says nothing: {self.words()}") from error

    def read(self, name: str) -> str:
        """Return what the machine left under a name; nothing where it left nothing."""
        path = self.results / name
        return path.read_text(errors="replace") if path.exists() else ""

    def words(self) -> str:
        """Return everything the machine said."""
        files = [*sorted(self.results.iterdir()), self.folder / "console"]
        return "\n".join(f"-- {file.name}\n{file.read_text(errors='replace')}" for file in files if file.is_file())


def _codename() -> str:
    with contextlib.suppress(OSError):
        lines = Path("/etc/os-release").read_text().splitlines()
        words = dict(line.partition("=")[::2] for line in lines)
        return words.get("VERSION_CODENAME", "").strip('"') if words.get("ID") == "debian" else ""
    return ""


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flywheel"
