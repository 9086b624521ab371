"""How a box is started: bubblewrap's command line, or the bare interpreter where Landlock alone is to hold. Pure."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Literal

from flywheel.core.frozen import Frozen

Containment = Literal["bubblewrap", "landlock"]

_BUNDLE = "/box.zip"
_SCRATCH = "/tmp"  # noqa: S108 - the box's own, made empty for it
_DEVICES = ("null", "zero", "full", "random", "urandom")
_SYSTEM = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/bin", "/usr/local/bin", "/usr/share/zoneinfo")
_FILES = ("/etc/ld.so.cache", "/etc/alternatives")
_LINKED = ("/lib", "/lib32", "/lib64", "/bin")
_ENVIRONMENT = {"LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "1", "PATH": "/usr/bin:/bin"}
_START = (
    "import sys; sys.path.insert(0, {bundle!r}); from inside.servers import main; sys.path.pop(0); main({line})"
)  # fmt: skip


class Ground(Frozen):
    """What the machine offers boxes: found once, by `find_ground`."""

    containment: Containment
    bwrap: str = ""
    options: tuple[str, ...] = ()
    privileged: bool = False
    interpreter: str
    readable: tuple[str, ...]
    links: dict[str, str]
    scratch_mib: int = 64

    @property
    def scratch(self) -> str:
        """Return where the box's scratch folder is, as the box sees it; empty where a folder is made for each."""
        return _SCRATCH if self.containment == "bubblewrap" else ""


def find_ground(containment: Containment, bwrap: str, words: str, programs: Iterable[str] = ()) -> Ground:
    """Return the ground for boxes here, which see `programs` too; `words` is what bubblewrap's --help says."""
    own = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    prefix = Path(sys.base_prefix)
    library = [
        prefix / sys.platlibdir / version,
        prefix / "lib" / version,
        *sorted((prefix / "lib").glob("libpython*")),
    ]
    wanted = [*map(Path, (*_SYSTEM, *_FILES)), own, *library, *map(Path, programs)]
    return Ground(
        containment=containment,
        bwrap=bwrap,
        options=tuple(option for option in ("--disable-userns", "--size") if option in words),
        privileged=os.geteuid() == 0,
        interpreter=str(own),
        readable=_outermost(path for path in wanted if path.exists()),
        links={name: str(Path(name).readlink()) for name in _LINKED if Path(name).is_symlink()},
    )


def _outermost(paths: Iterable[Path]) -> tuple[str, ...]:
    found = sorted({str(path) for path in paths})
    return tuple(
        path for path in found if not any(other != path and path.startswith(f"{other}/") for other in found)
    )  # fmt: skip


def python_argv(ground: Ground, bundle: str, line: int) -> list[str]:
    """Return the fork server's command line: its code comes from `bundle`, its line is descriptor `line`."""
    start = _START.format(bundle=bundle, line=line)
    return [ground.interpreter, "-P", "-s", "-S", "-B", "-X", "utf8", "-c", start]


def box_argv(ground: Ground, bundle: int, line: int, info: int) -> list[str]:
    """Return the command line of a box; the descriptors are those that it inherits."""
    if ground.containment == "landlock":
        return python_argv(ground, f"/dev/fd/{bundle}", line)
    return [
        ground.bwrap,
        *_walls(ground),
        *_roots(ground),
        *("--perms", "0444", "--ro-bind-data", str(bundle), _BUNDLE),
        *_scratch(ground),
        *("--remount-ro", "/", "--chdir", "/", "--hostname", "box", "--info-fd", str(info), "--clearenv"),
        *(word for name, value in _ENVIRONMENT.items() for word in ("--setenv", name, value)),
        *python_argv(ground, _BUNDLE, line),
    ]  # fmt: skip


def environment(ground: Ground) -> dict[str, str]:
    """Return what a box is started with: bubblewrap clears it and sets its own, the bare interpreter takes it."""
    return _ENVIRONMENT if ground.containment == "landlock" else {"PATH": os.defpath}


def _walls(ground: Ground) -> list[str]:
    """Return the namespaces and capabilities: root needs no user namespace, and gives itself up inside."""
    walls = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try",
             "--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]  # fmt: skip
    if ground.privileged:
        return [*walls, "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    closed = ["--disable-userns"] if "--disable-userns" in ground.options else []
    return [*walls, "--unshare-user", *closed, "--uid", "65534", "--gid", "65534"]


def _roots(ground: Ground) -> list[str]:
    """Return what the box sees: the interpreter and the system's libraries, read-only, and five devices."""
    devices = [f"/dev/{name}" for name in _DEVICES]
    folders = {str(parent) for path in (*ground.readable, *devices) for parent in PurePosixPath(path).parents}
    made = [word for folder in sorted(folders - {"/"}) for word in ("--perms", "0755", "--dir", folder)]
    bound = [word for path in ground.readable for word in ("--ro-bind", path, path)]
    links = [word for name, target in ground.links.items() for word in ("--symlink", target, name)]
    return [*made, *bound, *links, *(word for path in devices for word in ("--dev-bind", path, path))]


def _scratch(ground: Ground) -> list[str]:
    size = ["--size", str(ground.scratch_mib * 1024 * 1024)] if "--size" in ground.options else []
    return [*size, "--perms", "1777", "--tmpfs", _SCRATCH]
