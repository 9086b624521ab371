"""What the doctor sees of services: the units of flywheel that systemd knows, the system's and the person's own."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from flywheel.cli.doctor_findings import Finding, ill, odd, well
from flywheel.cli.managers import Manager, Systemd
from flywheel.cli.service_states import ServiceState, states_of
from flywheel.cli.unit_sets import STARTED
from flywheel.core.errors import FlywheelError

_BOOTED = Path("/run/systemd/system")
_MANY_RESTARTS = 5


def units() -> Iterator[Finding]:
    """Look at the units that are installed."""
    if not _BOOTED.is_dir() or shutil.which("systemctl") is None:
        yield well("services", "systemd does not run this machine: the processes are started by hand")
        return
    told = [*_of(Systemd(user=False), "systemctl"), *_of(Systemd(user=True), "systemctl --user")]
    yield from told
    if not told:
        yield odd("services", "none is installed: nothing starts with this machine", "flywheel service install")


def _of(manager: Manager, words: str) -> list[Finding]:
    if "--user" in words and not os.environ.get("XDG_RUNTIME_DIR"):
        return []
    try:
        found = manager.states(STARTED)
    except FlywheelError:
        return []  # there is no such manager here, and so no unit of its
    return judged(found, words)


def judged(told: Mapping[str, Mapping[str, str]], words: str) -> list[Finding]:
    """Return what is to be said of units that are installed."""
    found = [one for one in states_of(told) if one.state != "not installed"]
    return [_judged(one, words, changed=told[one.unit].get("NeedDaemonReload") == "yes") for one in found]


def _judged(one: ServiceState, words: str, *, changed: bool) -> Finding:
    check, restart = f"service {one.unit}", f"{words} restart {one.unit}"
    if one.state in {"failed", "auto-restart"}:
        log = f"journalctl {'--user ' if '--user' in words else ''}-u {one.unit}"
        return ill(check, f"it is {one.state}" + (f": {one.word}" if one.word else ""), f"see `{log}`, then {restart}")
    if not one.is_well and one.state == "inactive":
        return ill(check, "it should start with the machine and does not run", f"{words} start {one.unit}")
    if changed:
        return odd(check, "its file changed since it was read", f"{words} daemon-reload, then {restart}")
    if one.restarts > _MANY_RESTARTS:
        return odd(check, f"it was started anew {one.restarts} times", f"see `journalctl -u {one.unit}` for why")
    if one.enabled in {"disabled", ""} and one.state == "inactive":
        return well(check, "installed, and not meant to run")
    return well(check, f"{one.state}" + (f": {one.word}" if one.word else ""))
