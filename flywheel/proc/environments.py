"""The environments, built from the lock files that ship with the package.

Core, train and serve are the usual three; each further trainer brings one of its own, built only when it is named.

An environment's folder is named by the hash of its lock, so a changed lock is another
environment and an unchanged one is never built twice. A marker written last says that it
is whole.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from flywheel import __version__
from flywheel.core.errors import MisuseError, PermanentError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import bytes_hash, short

Kind = Literal["core", "train", "serve", "unsloth", "llama-factory", "mlx"]
Flavour = Literal["cpu", "cuda"]
KINDS: tuple[Kind, ...] = ("core", "train", "serve")
TRAINER_KINDS: tuple[Kind, ...] = ("unsloth", "llama-factory", "mlx")
MARKER = ".flywheel-whole"
Say = Callable[[int, int, str], None]
_GPU_SECONDS = 20


class Environment(Frozen):
    """One environment: where it is and what it is built from."""

    kind: Kind
    flavour: Flavour
    lock: Path
    folder: Path

    @property
    def python(self) -> Path:
        """Return its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def whole(self) -> bool:
        """Tell whether it was built to the end."""
        return (self.folder / MARKER).is_file()


def environment(kind: Kind, flavour: Flavour | None = None, root: Path | None = None) -> Environment:
    """Return the environment that this machine should use for a kind, built or not."""
    # MLX has one build for a system: Metal on a Mac, plain CPU elsewhere.
    chosen: Flavour = "cpu" if kind == "mlx" else flavour or ("cuda" if has_cuda() else "cpu")
    lock = _lock(kind, chosen)
    digest = bytes_hash([lock.read_bytes(), __version__.encode() if kind == "core" else b""])
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    name = f"{kind}-{chosen}-{python}-{short(digest)}"
    return Environment(kind=kind, flavour=chosen, lock=lock, folder=(root or _root()) / name)


def why_not(env: Environment) -> str:
    """Return why this machine cannot run an environment, or nothing when it can."""
    if env.kind == "mlx":
        return _why_no_mlx()
    if env.kind != "serve":
        return ""
    if sys.platform != "linux":
        return f"no vLLM build runs on {platform.system()}"
    if platform.machine() != "x86_64":
        return f"the vLLM builds in the lock are for x86-64, this machine is {platform.machine()}"
    if env.flavour == "cpu" and not _has_avx512_or_avx2():
        return "the CPU build of vLLM needs a processor with AVX2"
    return ""


def _why_no_mlx() -> str:
    if sys.platform == "darwin" and platform.machine() != "arm64":
        return f"MLX needs Apple silicon, this machine is {platform.machine()}"
    return "" if sys.platform in {"darwin", "linux"} else f"no MLX build runs on {platform.system()}"


def has_cuda() -> bool:
    """Tell whether this machine has a CUDA GPU, without loading anything that needs one."""
    return count_gpus() > 0


def count_gpus() -> int:
    """Return how many CUDA GPUs this machine has."""
    if shutil.which("nvidia-smi") is None:
        return 0
    try:
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=_GPU_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return 0  # a driver that hangs gives no work to anybody
    return found.stdout.count("GPU ") if found.returncode == 0 else 0


def create(env: Environment, say: Say) -> bool:
    """Build an environment; False when it was whole already. A half-built one is built anew."""
    if reason := why_not(env):
        mend = "the shipped double serves instead" if env.kind == "serve" else "choose another backend for the line"
        raise MisuseError(f"the {env.kind} environment cannot run here: {reason}", mend)
    with _alone(env):
        if env.whole:
            return False
        shutil.rmtree(env.folder, ignore_errors=True)
        say(0, _size(env), "virtual environment")
        _checked([sys.executable, "-m", "venv", str(env.folder)])
        _install(env, say)
        (env.folder / MARKER).write_text(env.lock.name + "\n")
    return True


def _install(env: Environment, say: Say) -> None:
    torch, rest = _split(env.lock)
    done = 0
    if torch:
        # With its dependencies: on a machine that finds only the CUDA build, its libraries come along.
        done = _pip(env, [torch], done, say)
    requirements = env.folder / "requirements.txt"
    requirements.write_text("\n".join(rest) + "\n")
    done = _pip(env, ["--no-deps", "-r", str(requirements)], done, say)
    if env.kind == "core":
        _pip(env, ["--no-deps", _ourselves()], done, say)


def _pip(env: Environment, arguments: list[str], done: int, say: Say) -> int:
    argv = [str(env.python), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off", *arguments]
    total, seen = _size(env), done
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        lines: list[str] = []
        for line in pip.stdout or ():
            lines = [*lines[-20:], line.rstrip()]
            if found := re.match(r"Collecting ([\w.\[\]-]+)|Installing collected packages", line):
                seen = min(seen + bool(found.group(1)), total)
                say(seen, total, found.group(1) or "unpacking")
    if pip.returncode != 0:
        reason = next((x for x in reversed(lines) if x.startswith("ERROR")), lines[-1] if lines else "no output")
        raise PermanentError(
            f"pip could not build the {env.kind} environment: {reason}", "check the network and try again"
        )
    return seen


def _split(lock: Path) -> tuple[str, list[str]]:
    lines = [x for line in lock.read_text().splitlines() if (x := line.strip()) and not x.startswith("#")]
    torch = next((x for x in lines if re.match(r"torch==", x)), "")
    # A local version (+cpu) is found where a CPU wheel is offered and would be refused elsewhere.
    return re.sub(r"\+\w+$", "", torch), [x for x in lines if x != torch]


def _ourselves() -> str:
    """Return what pip calls flywheel: this checkout, or else this very version."""
    root = Path(__file__).parent.parent.parent
    return str(root) if (root / "pyproject.toml").is_file() else f"flywheel=={__version__}"


def _size(env: Environment) -> int:
    return len(_split(env.lock)[1]) + 1


def _checked(argv: list[str]) -> None:
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        detail = (ended.stderr or ended.stdout).strip().splitlines()
        raise PermanentError(
            f"{argv[-2]} failed: {detail[-1] if detail else ended.returncode}", "is python3-venv installed?"
        )


@contextmanager
def _alone(env: Environment) -> Iterator[None]:
    """Let one builder at a time work on an environment; a second one waits and finds it whole."""
    import fcntl

    env.folder.parent.mkdir(parents=True, exist_ok=True)
    with env.folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lock(kind: Kind, flavour: Flavour) -> Path:
    build = "metal" if kind == "mlx" and sys.platform == "darwin" else flavour
    name = "core.lock" if kind == "core" else f"{kind}-{build}.lock"
    return Path(__file__).parent.parent / "locks" / name


def _root() -> Path:
    override = os.environ.get("FLYWHEEL_ENVS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(override) if override else cache / "flywheel" / "envs"


def _has_avx512_or_avx2() -> bool:
    try:
        return re.search(r"\bavx(2|512f)\b", Path("/proc/cpuinfo").read_text()) is not None
    except OSError:
        return False
