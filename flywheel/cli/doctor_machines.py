"""What the doctor sees of the machine: versions, environments, bases, disk, GPU, clocks."""

import platform
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

from flywheel import __version__
from flywheel.cli.doctor_findings import Finding, ill, needed, odd, well
from flywheel.cli.doctor_patients import Patient
from flywheel.core.lines import Line
from flywheel.core.trainers import TRAINERS
from flywheel.proc.environments import Environment, count_gpus, environment, why_not
from flywheel.proc.measures import GIB, free_disk
from flywheel.proc.memories import gpu_memory
from flywheel.store.ledger import last_event

_CORE_LOCK = Path(__file__).parent.parent / "locks" / "core.lock"
_LEAST_DISK_GIB, _LITTLE_DISK_GIB = 1.0, 10.0
_JUMP_SECONDS, _WATCHED_SECONDS = 0.5, 1.0
_FUTURE = timedelta(seconds=60)
_IMPORTED = ("torch", "transformers", "peft", "trl")
_VERSIONS = (
    "import importlib.metadata as m, sys\n"
    "for name in sys.argv[1:]:\n"
    "    try: print(name, m.version(name))\n"
    "    except m.PackageNotFoundError: print(name, '-')\n"
)


def versions() -> Iterator[Finding]:
    """Look at flywheel's own environment: its Python, and the packages it was locked with."""
    here = f"flywheel {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", _CORE_LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    found = {name: _version(name) for name in locked}
    if missing := [name for name, version in found.items() if version is None]:
        yield ill("versions", f"{here}; missing: {', '.join(missing)}", "install flywheel again: pip install flywheel")
        return
    others = sum(found[name] != version for name, version in locked.items())
    told = f"{others} of {len(locked)} packages are other versions than the locked ones" if others else "as locked"
    yield well("versions", f"{here}; {told}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def environments(patient: Patient) -> Iterator[Finding]:
    """Look at what trains and what serves: built to the end, and able to start."""
    own = patient.settings.train_python
    kinds: dict[str, list[str]] = {}
    for name, line in patient.lines.items():
        kinds.setdefault(_kind(line), []).append(name)
    for kind, names in sorted(kinds.items()):
        wanted = any(map(patient.has_dataset, names))
        if own is not None and kind == "train":
            yield _interpreter(kind, own, "the setting train_python", wanted=wanted)
        else:
            yield _environment(environment(kind), wanted=wanted)  # type: ignore[arg-type]
    if not kinds:
        yield well("environment train", "no line is switched on: nothing is trained")
    yield _serve(environment("serve"))


def _kind(line: Line) -> str:
    return TRAINERS[line.train.backend].environment if line.train.backend in TRAINERS else "train"


def _environment(env: Environment, *, wanted: bool) -> Finding:
    check, mend = f"environment {env.kind}", f"flywheel env create {env.kind}"
    if reason := why_not(env):
        return needed(check, f"it cannot run here: {reason}", "choose another backend for the line", now=wanted)
    if not env.whole:
        how = "was left half-built" if env.folder.exists() else "is not built"
        return needed(check, f"the {env.flavour} build {how}; training needs it", mend, now=wanted)
    return _interpreter(env.kind, env.python, f"the {env.flavour} build", wanted=wanted)


def _interpreter(kind: str, python: Path, what: str, *, wanted: bool) -> Finding:
    """Start an interpreter and ask which trainer's libraries it has; none of them is imported."""
    check = f"environment {kind}"
    try:
        argv = [str(python), "-c", _VERSIONS, *_IMPORTED]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=8)
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = getattr(error, "strerror", None) or "it does not answer"
        return needed(check, f"{what} does not start: {reason}", f"flywheel env create {kind}", now=wanted)
    said = dict(line.split() for line in ended.stdout.splitlines())
    if ended.returncode or (kind == "train" and "-" in said.values()):
        missing = ", ".join(name for name, version in said.items() if version == "-") or "its libraries"
        return needed(check, f"{what} lacks {missing}", f"remove it and run `flywheel env create {kind}`", now=wanted)
    told = ", ".join(f"{name} {version}" for name, version in said.items() if version != "-")
    return well(check, f"{what} is whole ({told})" if told else f"{what} starts")


def _serve(env: Environment) -> Finding:
    if reason := why_not(env):
        return well("environment serve", f"vLLM cannot run here: {reason}; a server elsewhere or llama-server serves")
    if env.whole:
        return well("environment serve", f"the {env.flavour} build of vLLM is whole")
    return odd("environment serve", "vLLM is not built here", "flywheel env create serve, or start a server your way")


def bases(patient: Patient) -> Iterator[Finding]:
    """Look whether every base model lies where the settings say; its bytes are hashed by `flywheel verify`."""
    learned = {line.base for name, line in patient.lines.items() if patient.has_dataset(name)}
    for name, base in patient.around.bases.items():
        folder, check = Path(base.path), f"base {name}"
        missing = _missing(folder)
        if missing:
            mend = f"put the model there, or set bases.{name}.path"
            yield needed(check, f"{folder}: {missing}", mend, now=name in learned)
        else:
            yield well(check, f"{folder} holds weights, configuration and tokenizer")
    if not patient.around.bases:
        yield odd("base", "the settings name no base model", "add [bases.NAME] (docs/settings.md)")


def _missing(folder: Path) -> str:
    if not folder.is_dir():
        return "there is no such folder"
    wanted = {"config.json": "config.json", "weights": "*.safetensors", "a tokenizer": "tokenizer*"}
    lacking = [what for what, pattern in wanted.items() if next(folder.glob(pattern), None) is None]
    return f"it holds no {', no '.join(lacking)}" if lacking else ""


def disk(patient: Patient) -> Iterator[Finding]:
    """Look how much may still be written where runs, datasets and adapters are kept."""
    free = free_disk(patient.home) / GIB
    asked = max((line.train.spare_disk_gib for line in patient.lines.values()), default=0.0)
    told = f"{free:.1f} GiB free at {patient.home}"
    mend = "free some space: `flywheel gc --dry-run` says what nobody needs"
    if free < max(_LEAST_DISK_GIB, asked):
        yield ill("disk", f"{told}; a run needs {max(_LEAST_DISK_GIB, asked):g}", mend)
    elif free < _LITTLE_DISK_GIB:
        yield odd("disk", told, mend)
    else:
        yield well("disk", told)


def gpu(patient: Patient) -> Iterator[Finding]:
    """Look at the GPU a run would take, and whether its sharing is settled."""
    count, memory = count_gpus(), gpu_memory()
    if not count:
        yield well("GPU", "this machine has none: everything runs on its processor")
        return
    if memory is None:
        mend = "run nvidia-smi by hand; reboot or install the driver again"
        yield ill("GPU", f"{count} GPU(s), and the driver does not tell their memory", mend)
        return
    free, total = memory.free / GIB, memory.total / GIB
    told = f"{count} GPU(s); {free:.1f} of {total:.1f} GiB free on the one that trains"
    if patient.settings.gpu.sharing == "none" and free < total / 4:
        mend = "set gpu.sharing, so that serving and training take turns (docs/serving.md)"
        yield odd("GPU", f"{told}; a run may not fit beside what is there", mend)
    else:
        yield well("GPU", told)


def clocks(patient: Patient) -> Iterator[Finding]:
    """Look whether the clock runs evenly and forward: intervals, leases and schedules are read from it."""
    wall, steady = time.time(), time.monotonic()
    with patient.reading() as session:
        last = last_event(session) if session is not None else None
    time.sleep(max(0.0, _WATCHED_SECONDS - (time.monotonic() - steady)))
    jumped = (time.time() - wall) - (time.monotonic() - steady)
    ahead = last.at - datetime.now(UTC) if last is not None else timedelta()
    mend = "let a time service set the clock, as in `timedatectl set-ntp true`"
    if ahead > _FUTURE:
        told = f"the ledger's last event lies {ahead.total_seconds():.0f} s in the future: the clock was set back"
        yield ill("clock", told, mend)
    elif abs(jumped) > _JUMP_SECONDS:
        yield odd("clock", f"the clock jumped by {jumped:+.1f} s while it was looked at", mend)
    else:
        yield well("clock", f"it runs evenly and forward: {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
