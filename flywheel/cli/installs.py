"""`flywheel service install | uninstall | status | upgrade`: flywheel as services of systemd."""

import os
import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from flywheel.cli.contexts import AsJson, Config, out, settings_of, show_json, show_table
from flywheel.cli.installations import (
    EXECUTOR_SOCKET,
    Installation,
    Origin,
    Wishes,
    enabling,
    freed,
    installation,
    left,
    named,
    origin,
    refuse_others,
    refuse_root,
    refuse_unreadable,
    restarted,
)
from flywheel.cli.managers import Manager, Systemd, place, require
from flywheel.cli.outputs import Force, note
from flywheel.cli.service_states import states_of
from flywheel.cli.unit_files import CONFIG, HOME, UnitPlaces
from flywheel.cli.unit_sets import DAEMON, GATEWAY, STARTED
from flywheel.core.errors import MisuseError, PermanentError, SettingsError
from flywheel.daemon.settings import Settings, find_settings
from flywheel.proc.environments import count_gpus
from flywheel.proc.files import write_file

app = typer.Typer(help="Run flywheel as services of systemd.", no_args_is_help=True)

Own = Annotated[bool, typer.Option("--user", help="Services of your own, without root, instead of the system's.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
As = Annotated[str | None, typer.Option("--as", help="Who the services run as (else the user flywheel).")]
Program = Annotated[Path | None, typer.Option("--program", help="The flywheel to run (else this one).")]
Root = Annotated[Path, typer.Option("--root", help="Install into the files of an image that does not run.")]
_SYSTEM = Path("/")
_HANDOVER_SECONDS = 150


@app.command("install", epilog="Example: flywheel service install --dry-run")
def install(
    user: Own = False,
    run_as: As = None,
    program: Program = None,
    backups: Annotated[bool, typer.Option("--backups", help="Back up each night to [keep] backups.")] = False,
    start: Annotated[bool, typer.Option("--start/--no-start", help="Start them now.")] = True,
    root: Root = _SYSTEM,
    dry_run: Dry = False,
    force: Force = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Install daemon, gateway with its socket, executor, dashboard and timers, and start them."""
    settings, file = _settings(config, user=user)
    if backups and settings.keep.backups is None:
        raise SettingsError("nothing says where backups go", "set `backups` in the table [keep] of the settings")
    live = root == _SYSTEM
    if live and not dry_run:
        require(user=user)
    places = _places(settings, file, user, run_as, program)
    wishes = Wishes(user=user, backups=backups, dashboard=settings.web.enabled, gpus=count_gpus() > 0, start=start)
    plan = installation(places, wishes, place(user=user, root=root, environ=os.environ), root)
    if dry_run:
        _tell_plan(plan, places, root, as_json=as_json)
        return
    changed = _write(plan, force=force)
    _make_folders(places, user=user)
    manager = Systemd(user=user)
    for command in (*plan.prepared, *enabling(plan, root)):
        manager.run(*command)
    if live and start:
        _start(manager, plan)
    _tell_done(plan, places, changed, wishes, as_json=as_json)


@app.command("upgrade", epilog="Example: flywheel service upgrade")
def upgrade(
    user: Own = False,
    run_as: As = None,
    program: Program = None,
    force: Force = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Let what runs be of the version that is installed now; requests of the agent go on meanwhile."""
    require(user=user)
    settings, file = _settings(config, user=user)
    folder = place(user=user, root=_SYSTEM, environ=os.environ)
    manager = Systemd(user=user)
    states = manager.states(STARTED)
    if origin(_text(folder / DAEMON)) == "absent":
        raise MisuseError("flywheel is not installed as a service", "install it: flywheel service install")
    places = _places(settings, file, user, run_as or _runs_as(folder), program)
    backups = states["flywheel-backup.timer"].get("ActiveState") == "active"
    wishes = Wishes(user=user, backups=backups, dashboard=settings.web.enabled, gpus=count_gpus() > 0)
    plan = installation(places, wishes, folder, _SYSTEM)
    changed = _write(plan, force=force)
    for command in (*plan.prepared, *enabling(plan, _SYSTEM)):
        manager.run(*command)
    active = [name for name, state in states.items() if state.get("ActiveState") == "active"]
    before = states[GATEWAY].get("MainPID", "0")
    for command in restarted(active):
        manager.run(*command)
        if command[1] == "reload":
            _wait_for_handover(manager, before)
    if as_json:
        show_json({"changed": [str(path) for path in changed], "renewed": active})
    else:
        _say_changed(changed)
        out.print(f"of this version now: {', '.join(name for name in active if name.endswith('.service'))}")
        if any(path.name == GATEWAY for path in changed):
            note(f"the gateway's new unit takes effect when it is restarted: systemctl restart {GATEWAY}")


@app.command("uninstall", epilog="Example: flywheel service uninstall --dry-run")
def uninstall(
    user: Own = False, root: Root = _SYSTEM, dry_run: Dry = False, force: Force = False, as_json: AsJson = False
) -> None:
    """Stop the services and remove their files; everything that flywheel learned stays where it is."""
    live = root == _SYSTEM
    if live and not dry_run:
        require(user=user)
    folder = place(user=user, root=root, environ=os.environ)
    found = {path: origin(_text(path)) for path in _installed(folder, root, user=user)}
    if not force:
        refuse_others({path: whose for path, whose in found.items() if whose == "changed"})
    ours = [path for path, whose in found.items() if whose in {"ours", "changed"}]
    stays = left(_data(folder), user=user)
    if not dry_run:
        _remove(ours, Systemd(user=user), root)
    if as_json:
        show_json({"removed": [str(path) for path in ours], "left": stays, "dry_run": dry_run})
        return
    out.print(f"{'would be ' if dry_run else ''}stopped and removed: {len(ours)} files in {folder}", markup=False)
    for sentence in (*stays, *(f"drop-in: {path}" for path in sorted(folder.glob("flywheel*.d")))):
        out.print(f"  stays: {sentence}", markup=False)


@app.command("status", epilog="Example: flywheel service status")
def status(user: Own = False, as_json: AsJson = False) -> None:
    """Say how each service stands; the exit status is 1 when one that should run does not."""
    require(user=user, looks=True)
    states = states_of(Systemd(user=user).states(STARTED))
    if as_json:
        show_json([state.model_dump(mode="json") for state in states])
    else:
        columns = ("unit", "state", "enabled", "restarts", "memory_mib", "word")
        show_table("services", columns, [state.model_dump() for state in states])
    ill = [state.unit for state in states if not state.is_well]
    if ill:
        raise PermanentError(f"{', '.join(ill)}: not running", f"see `journalctl --unit={ill[0]} --pager-end`")
    if all(state.state == "not installed" for state in states):
        note("nothing is installed: flywheel service install")


def _settings(config: Path | None, *, user: bool) -> tuple[Settings, Path]:
    """Return the settings that services run by: named, or where services look for them."""
    usual = Path(CONFIG) if not user and Path(CONFIG).is_file() else None
    file = find_settings(config or usual)
    if file is None or not file.is_file():
        raise SettingsError(
            f"there are no settings{f' at {file}' if file else ''} to run by",
            "write them: flywheel init" if user else f"write them: flywheel init --config {CONFIG} --home {HOME}",
        )
    settings = settings_of(file)
    if not user and "home" not in settings.model_fields_set:
        settings = settings.model_copy(update={"home": Path(HOME)})
    return settings, file


def _places(settings: Settings, file: Path, user: bool, run_as: str | None, program: Path | None) -> UnitPlaces:
    from flywheel.cli.emitted_units import places_of  # the whole house, which `status` does without
    from flywheel.cli.surroundings import surroundings_of

    places = places_of(surroundings_of(settings), file, run_as, program)
    if user:
        return places
    refuse_root(places, run_as)
    refuse_unreadable(places)
    if settings.executor.socket is None:
        return places.model_copy(update={"executor_socket": EXECUTOR_SOCKET})
    return places


def _write(plan: Installation, *, force: bool) -> list[Path]:
    """Write what is not there as it should be; return what was."""
    found: dict[Path, Origin] = {path: origin(_text(path)) for path in plan.files}
    if not force:
        refuse_others(found)
    changed = [path for path, text in plan.files.items() if _text(path) != text]
    for path in changed:
        try:
            write_file(path, plan.files[path].encode())
        except OSError as error:
            raise MisuseError(f"{path} cannot be written: {error.strerror}", "use sudo, or --user") from error
    return changed


def _make_folders(places: UnitPlaces, *, user: bool) -> None:
    if user:
        places.credentials.mkdir(mode=0o700, parents=True, exist_ok=True)
        places.home.mkdir(mode=0o750, parents=True, exist_ok=True)


def _start(manager: Manager, plan: Installation) -> None:
    for command in freed(manager.states(plan.started)):
        manager.run(*command)
    manager.run("systemctl", "start", *plan.started)


def _wait_for_handover(manager: Manager, before: str) -> None:
    """Wait until another process is the gateway; the old one answers what it has."""
    until = time.monotonic() + _HANDOVER_SECONDS
    while time.monotonic() < until:
        state = manager.states([GATEWAY])[GATEWAY]
        if state.get("MainPID") not in {before, "0"}:
            return
        if "failed" in state.get("StatusText", ""):
            raise PermanentError(f"the gateway serves on as it was: {state['StatusText']}", "see its log")
        time.sleep(0.2)
    raise PermanentError("no new gateway got ready; the old one serves on", f"see `journalctl --unit={GATEWAY}`")


def _runs_as(folder: Path) -> str | None:
    text = _text(folder / DAEMON) or ""
    return next((line.removeprefix("User=") for line in text.splitlines() if line.startswith("User=")), None)


def _installed(folder: Path, root: Path, *, user: bool) -> list[Path]:
    files = [path for path in sorted(folder.glob("flywheel*")) if path.is_file()]
    parts = () if user else ("sysusers.d", "tmpfiles.d", "modules-load.d")
    return files + [path for part in parts if (path := root / "etc" / part / "flywheel.conf").is_file()]


def _remove(ours: list[Path], manager: Manager, root: Path) -> None:
    live = root == _SYSTEM
    units = [name for name in STARTED if name in {path.name for path in ours}]
    if units:
        manager.run("systemctl", *(["disable", "--now"] if live else [f"--root={root}", "disable"]), *units)
    for path in ours:
        path.unlink(missing_ok=True)
    if live:
        manager.run("systemctl", "daemon-reload")


def _data(folder: Path) -> dict[str, str]:
    text = _text(folder / DAEMON) or ""
    settings = named(text, "FLYWHEEL_CONFIG")
    credentials = next((line.partition(":")[2] for line in text.splitlines() if line.startswith("LoadCredential=")), "")
    return {"what it learned": named(text, "FLYWHEEL_HOME"), "settings": settings, "secrets": credentials}


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return ""


def _tell_plan(plan: Installation, places: UnitPlaces, root: Path, *, as_json: bool) -> None:
    commands = [*plan.prepared, *enabling(plan, root), ("systemctl", "start", *plan.started)]
    whose = {str(path): origin(_text(path)) for path in plan.files}
    if as_json:
        show_json({"files": {str(path): text for path, text in plan.files.items()}, "there": whose,
                   "commands": [list(command) for command in commands], "dry_run": True})  # fmt: skip
        return
    for path, state in whose.items():
        out.print(f"would write {path}" + ("" if state == "absent" else f" ({state}: there already)"), markup=False)
    for command in commands:
        out.print(f"would run   {' '.join(command)}", markup=False)
    out.print(f"runs as {places.user}; learns into {places.home}; settings {places.config}", markup=False)


def _tell_done(plan: Installation, places: UnitPlaces, changed: list[Path], wishes: Wishes, *, as_json: bool) -> None:
    told: dict[str, Any] = {"changed": [str(path) for path in changed], "enabled": list(plan.started),
                            "home": str(places.home), "started": wishes.start}  # fmt: skip
    if as_json:
        show_json(told)
        return
    _say_changed(changed)
    out.print(f"{'started' if wishes.start else 'enabled'}: {', '.join(plan.started)}", markup=False)
    out.print(f"learns into {places.home}; secrets go into {places.credentials}", markup=False)
    if places.executor_socket is not None:
        note("commands typed in a shell find home and executor where these services have them when the settings say:")
        note(f'  home = "{places.home}"  and in [executor]  socket = "{places.executor_socket}"')
    if shutil.which("bwrap") is None:
        note("without bubblewrap nothing that a model wrote is run, and no code is gated: install it")
    if wishes.user:
        note("so that they run while you are logged out: loginctl enable-linger")


def _say_changed(changed: list[Path]) -> None:
    for path in changed:
        out.print(f"written: {path}", markup=False)
    if not changed:
        out.print("every file was as it should be")
