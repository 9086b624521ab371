"""The systemd units that ship with flywheel, with the paths of one machine filled in. Pure.

A home below `/var/lib` is systemd's to make; any other is named as the one folder that may be written. What lies in a
person's home is hidden from the gateway, the executor and the model server but for what each of them needs of it.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from flywheel.cli.server_commands import ServerCommand
from flywheel.core.errors import MisuseError
from flywheel.core.frozen import Frozen

#: Which of a machine's places stand in the shipped units, and how.
PROGRAM, HOME, CONFIG, ENVS = (
    "/opt/flywheel/bin/flywheel", "/var/lib/flywheel", "/etc/flywheel/flywheel.toml", "/opt/flywheel/envs",
)  # fmt: skip
CREDENTIALS = "/etc/flywheel/credentials"
BACKUPS = "/var/backups/flywheel"
USER = "flywheel"
_EXECUTOR = "flywheel-executor.service"
_STATE = Path("/var/lib")
_RUN = Path("/run")
_PEOPLE = (Path("/home"), Path("/root"), Path("/run/user"))  # what ProtectHome= is about
_PRIVATE = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - what PrivateTmp= is about
_ODD = re.compile(r"[\s\"'\\%$;]")


class UnitPlaces(Frozen):
    """Where things lie on a machine and who flywheel runs as there."""

    program: Path
    home: Path
    config: Path
    envs: Path
    code: tuple[Path, ...] = ()
    reached: tuple[str, ...] = ()  # addresses of servers elsewhere
    socket: Path | None = None  # the gateway's
    socket_group: str | None = None
    ports: tuple[str, ...] | None = ("127.0.0.1:8711",)  # the gateway's; None where it opens them itself
    credentials: Path = Path(CREDENTIALS)
    backups: Path = Path(BACKUPS)
    executor_socket: Path | None = None  # where the settings name none and the executor is a service
    user: str = USER
    group: str = USER


def filled(name: str, text: str, places: UnitPlaces) -> str:
    """Return a shipped unit of flywheel's own, filled in."""
    if name.endswith(".socket"):
        return _filled_socket(text, places)
    return _filled_service(name, text, places) if name.endswith(".service") else text


def _filled_service(name: str, text: str, places: UnitPlaces) -> str:
    for path in (places.program, places.home, places.config, places.envs, places.backups, *places.code):
        checked(path)
    text = _state(text, places)
    for shipped, path in ((PROGRAM, places.program), (CONFIG, places.config), (ENVS, places.envs), (HOME, places.home),
                          (CREDENTIALS, places.credentials), (BACKUPS, places.backups)):  # fmt: skip
        text = text.replace(shipped, str(path))
    text = re.sub(rf"^User={USER}$", f"User={places.user}", text, flags=re.MULTILINE)
    text = re.sub(rf"^Group={USER}$", f"Group={places.group}", text, flags=re.MULTILINE)
    if places.executor_socket is not None and name in {"flywheel.service", _EXECUTOR}:
        text = _with_executor(text, places.executor_socket, places.group)
    if name == _EXECUTOR:
        return _shown(text, (), (places.program, places.config, *places.code))
    if name == "flywheel-gateway.service" and places.socket is not None:
        text = _with_socket(text, places.socket, places.home)
    allowed = "".join(f"IPAddressAllow={address}\n" for address in places.reached)
    text = re.sub(r"^(?=IPAddressDeny=)", allowed, text, flags=re.MULTILINE)
    written = (places.home, places.backups) if name == "flywheel-backup.service" else (places.home,)
    return _shown(text, written, (places.program, places.config, *places.code))


def _filled_socket(text: str, places: UnitPlaces) -> str:
    """Let systemd open what the settings say: the gateway's ports, its socket, or both."""
    streams = [*(places.ports or ()), *([checked(places.socket)] if places.socket is not None else [])]
    listened = "\n".join(f"ListenStream={stream}" for stream in streams)
    text = re.sub(r"^ListenStream=.*$", lambda _: listened, text, count=1, flags=re.MULTILINE)
    text = re.sub(rf"^SocketUser={USER}$", f"SocketUser={places.user}", text, flags=re.MULTILINE)
    group = places.socket_group or places.group
    text = re.sub(rf"^SocketGroup={USER}$", f"SocketGroup={group}", text, flags=re.MULTILINE)
    return text.replace("SocketMode=0600", "SocketMode=0660") if places.socket_group else text


def _with_executor(text: str, socket: Path, group: str) -> str:
    """Tell daemon and executor where they meet."""
    said = {"FLYWHEEL_EXECUTOR__SOCKET": checked(socket), "FLYWHEEL_EXECUTOR__GROUP": group}
    lines = "".join(f"Environment={name}={value}\n" for name, value in said.items())
    return re.sub(r"^(?=Environment=FLYWHEEL_CONFIG=)", lines, text, count=1, flags=re.MULTILINE)


def filled_server(text: str, command: ServerCommand, places: UnitPlaces, read: Iterable[Path]) -> str:
    """Return the shipped example of a model server's unit with its command; `read` is what it reads."""
    words = " \\\n    ".join(" ".join(quoted(word) for word in group) for group in command.groups)
    text = re.sub(r"^ExecStart=(?:.*\\\n)*.*$", lambda _: f"ExecStart={words}", text, count=1, flags=re.MULTILINE)
    text = re.sub(r"^Environment=(?!HOME=).*\n", "", text, flags=re.MULTILINE)
    said = "".join(f"Environment={assigned(name, value)}\n" for name, value in command.environment.items())
    text = re.sub(r"^(?=Environment=HOME=)", lambda _: said, text, count=1, flags=re.MULTILINE)
    text = re.sub(rf"^SupplementaryGroups={USER}$", f"SupplementaryGroups={places.group}", text, flags=re.MULTILINE)
    text = text.replace(HOME, checked(places.home))
    return _shown(text, (), (*read, places.home / "adapters"))


def quoted(word: str) -> str:
    """Return a word of a command line as systemd reads it back."""
    return assigned("", word).replace("$", "$$")


def assigned(name: str, value: str) -> str:
    """Return an assignment to a variable as systemd reads it back; without a name, the value alone."""
    word = f"{name}={value}" if name else value
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if _ODD.search(word) or not word else word


def checked(path: Path) -> str:
    """Return a path that can stand in a unit as it is."""
    if _ODD.search(str(path)):
        raise MisuseError(f"{str(path)!r} cannot stand in a unit", "choose a path without spaces, quotes, % and $")
    return str(path)


def first_steps(places: UnitPlaces) -> list[str]:
    """Return what a person does before the first start, beside what the units themselves say."""
    steps = []
    if _state_of(places.home) is None:
        steps.append(f"install -d -m 750 -o {places.user} -g {places.group} {places.home} {places.home / 'adapters'}")
    if any(_is_below(path, _PRIVATE) for path in (places.home, places.program, places.config, places.envs)):
        steps.append(
            "move what lies in a folder for temporary files elsewhere: services have folders of their own there"
        )
    return steps


def is_personal(path: Path) -> bool:
    """Tell whether a path lies in a person's home."""
    return _is_below(path, _PEOPLE)


def _with_socket(text: str, socket: Path, home: Path) -> str:
    """Let systemd make the socket's folder where it may; else the folder is named as what may be written."""
    if socket.is_relative_to(home):
        return text
    folder = socket.parent
    below = folder != _RUN and folder.is_relative_to(_RUN) and not is_personal(folder)
    # It is kept while the gateway is away: connections wait at a socket of systemd's in it.
    made = (
        f"RuntimeDirectory={folder.relative_to(_RUN)}\nRuntimeDirectoryPreserve=yes"
        if below
        else f"ReadWritePaths={checked(folder)}"
    )
    return re.sub(r"^(?=UMask=)", f"{made}\n", text, count=1, flags=re.MULTILINE)


def _state(text: str, places: UnitPlaces) -> str:
    """Let systemd make the home where it may, else name it as what may be written."""
    name = _state_of(places.home)
    if name is not None:
        return re.sub(rf"^StateDirectory={USER}$", f"StateDirectory={name}", text, flags=re.MULTILINE)
    text = re.sub(rf"^StateDirectory={USER}$", f"ReadWritePaths={places.home}", text, flags=re.MULTILINE)
    return re.sub(r"^StateDirectoryMode=.*\n", "", text, flags=re.MULTILINE)


def _state_of(home: Path) -> str | None:
    return str(home.relative_to(_STATE)) if home != _STATE and home.is_relative_to(_STATE) else None


def _shown(text: str, written: Iterable[Path], read: Iterable[Path]) -> str:
    """Show a unit that sees no home what it needs of one."""
    binds = [*(f"BindPaths={checked(path)}" for path in _outermost(written)),
             *(f"BindReadOnlyPaths={checked(path)}" for path in _outermost(read))]  # fmt: skip
    if not binds:
        return text
    return re.sub(r"^ProtectHome=yes$", "\n".join(["ProtectHome=tmpfs", *binds]), text, flags=re.MULTILINE)


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Return the personal ones, each once and none that lies in another."""
    personal = sorted({path for path in paths if is_personal(path)})
    return [path for path in personal if not any(path != other and path.is_relative_to(other) for other in personal)]


def _is_below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def unit_name(url_port: int | None, number: int, own: str | None) -> str:
    """Return what a server's unit is called: as the settings say, else `vllm`, further ones by their port."""
    name = own if own and number == 0 else "vllm" if number == 0 else f"vllm-{url_port or number}"
    return name if name.endswith(".service") else f"{name}.service"


def headed(text: str, notes: Iterable[str]) -> str:
    """Return a unit with a head that says where it is from and what to know."""
    told = [f"# {note}" for note in ("Filled in by `flywheel emit units`.", *notes)]
    return "\n".join(told) + "\n#\n" + text


def bundle(units: Mapping[str, str]) -> str:
    """Return several units as one text for a person to read."""
    return "\n".join(f"# ===== {name}\n{text}" for name, text in units.items())
