"""Which units there are on a machine: flywheel's own, from those that ship, in an order in which they may start."""

from collections.abc import Mapping

from flywheel.cli.unit_files import HOME, USER, UnitPlaces, checked, filled
from flywheel.cli.user_units import for_user
from flywheel.daemon.places import shipped

SOCKET, GATEWAY = "flywheel-gateway.socket", "flywheel-gateway.service"
DAEMON, EXECUTOR, WEB = "flywheel.service", "flywheel-executor.service", "flywheel-web.service"
VERIFY, BACKUP = "flywheel-verify.timer", "flywheel-backup.timer"
#: What is started, first things first; the timers' services are started by them.
STARTED = (SOCKET, GATEWAY, EXECUTOR, DAEMON, WEB, VERIFY, BACKUP)
_SUFFIXES = {".service", ".socket", ".timer", ".slice"}


def own_units(places: UnitPlaces) -> dict[str, str]:
    """Return flywheel's own units by their names, filled in for the system."""
    files = sorted(path for path in shipped("systemd").glob("flywheel*") if path.suffix in _SUFFIXES)
    found = {path.name: filled(path.name, path.read_text(encoding="utf-8"), places) for path in files}
    if places.ports is None:
        return {name: text for name, text in found.items() if name != SOCKET}
    return found


def user_units(places: UnitPlaces) -> dict[str, str]:
    """Return flywheel's own units by their names, filled in for a person's own manager."""
    found = {name: for_user(text) for name, text in own_units(places).items()}
    home = f"Environment=FLYWHEEL_HOME={checked(places.home)}"
    found[EXECUTOR] = found[EXECUTOR].replace("Environment=FLYWHEEL_HOME=/run/flywheel-executor", home)
    return found


def users(places: UnitPlaces) -> str:
    """Return what systemd-sysusers makes; a person that flywheel runs as is there already."""
    lines = (shipped("systemd") / "sysusers.conf").read_text(encoding="utf-8").splitlines()
    if places.user != USER:
        lines = [line for line in lines if not line.startswith((f"g {USER} ", f"u {USER} "))]
    return "\n".join(line.replace(f"-:{USER}", f"-:{places.group}").replace(HOME, str(places.home))
                     for line in lines) + "\n"  # fmt: skip


def folders(places: UnitPlaces) -> str:
    """Return what systemd-tmpfiles makes: settings, credentials, the home, and where backups go."""
    lines = [
        "# The folders of flywheel's services.",
        f"d {checked(places.credentials)} 0700 root root -",
        f"d {checked(places.home)} 0750 {places.user} {places.group} -",
        f"d {places.home}/adapters 0750 {places.user} {places.group} -",
        f"d {checked(places.backups)} 0700 {places.user} {places.group} -",
    ]
    return "\n".join(lines) + "\n"


def startable(units: Mapping[str, str], *, backups: bool, dashboard: bool) -> tuple[str, ...]:
    """Return what is to be started of these, in order."""
    left_out = {BACKUP} if not backups else set()
    left_out |= set() if dashboard else {WEB}
    return tuple(name for name in STARTED if name in units and name not in left_out)
