"""Environments: named by what they are built from, whole or built anew, never by two builders at once."""

import re
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from flywheel.core.errors import MisuseError, PermanentError
from flywheel.proc import environments
from flywheel.proc.environments import (
    KINDS,
    MARKER,
    TRAINER_KINDS,
    Environment,
    create,
    environment,
    why_not,
)

LOCKS = Path(environments.__file__).parent.parent / "locks"


def test_a_folder_is_named_by_kind_flavour_python_and_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed lock is another environment; an unchanged one is the same."""
    lock = tmp_path / "train-cpu.lock"
    monkeypatch.setattr(environments, "_lock", lambda *_: lock)
    names = []
    for text in ("a==1\n", "a==2\n", "a==1\n"):
        lock.write_text(text)
        names.append(environment("train", "cpu", tmp_path).folder.name)
    assert names[0] == names[2] != names[1]
    assert re.fullmatch(rf"train-cpu-py{sys.version_info.major}{sys.version_info.minor}-[0-9a-f]{{8}}", names[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_root_is_where_the_operator_says(
    kind: environments.Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FLYWHEEL_ENVS wins over the cache, the argument over both."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FLYWHEEL_ENVS", raising=False)
    assert environment(kind, "cpu").folder.parent == tmp_path / "cache" / "flywheel" / "envs"
    monkeypatch.setenv("FLYWHEEL_ENVS", str(tmp_path / "envs"))
    found = environment(kind, "cpu")
    assert found.folder.parent == tmp_path / "envs"
    assert found.python == found.folder / "bin" / "python"
    assert environment(kind, "cpu", tmp_path / "here").folder.parent == tmp_path / "here"


@pytest.mark.parametrize(("gpu", "flavour"), [(True, "cuda"), (False, "cpu")])
def test_the_flavour_follows_the_machine(gpu: bool, flavour: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    """A machine with a CUDA GPU gets the CUDA build; a person may choose otherwise."""
    monkeypatch.setattr(environments, "has_cuda", lambda: gpu)
    assert environment("train").flavour == flavour
    assert environment("train", "cpu").flavour == "cpu"


def test_gpus_are_counted_by_the_drivers_own_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs are two; a driver that fails or hangs, or none at all, is no GPU."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (environments.has_cuda(), environments.count_gpus()) == (False, 0)
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: x)'\necho 'GPU 1: B (UUID: y)'\n")
    tool.chmod(0o755)
    assert (environments.has_cuda(), environments.count_gpus()) == (True, 2)
    tool.write_text("#!/bin/sh\necho 'No devices were found, GPU or not'\nexit 9\n")
    assert (environments.has_cuda(), environments.count_gpus()) == (False, 0)
    tool.write_text("#!/bin/sh\nwhile :; do :; done\n")
    monkeypatch.setattr(environments, "_GPU_SECONDS", 0.1)
    assert (environments.has_cuda(), environments.count_gpus()) == (False, 0)


def fake(tmp_path: Path, kind: environments.Kind = "serve", flavour: environments.Flavour = "cpu") -> Environment:
    return Environment(kind=kind, flavour=flavour, lock=tmp_path / "x.lock", folder=tmp_path / "envs" / f"{kind}-x")


@pytest.mark.parametrize(
    ("kind", "flavour", "system", "machine", "avx", "reason"),
    [
        ("serve", "cpu", "linux", "x86_64", True, ""),
        ("serve", "cpu", "linux", "x86_64", False, "AVX2"),
        ("serve", "cuda", "linux", "x86_64", False, ""),
        ("serve", "cuda", "linux", "aarch64", True, "for x86-64, this machine is aarch64"),
        ("serve", "cpu", "darwin", "arm64", True, "no vLLM build runs on"),
        ("train", "cpu", "darwin", "arm64", False, ""),
        ("core", "cpu", "win32", "x", False, ""),
        ("mlx", "cpu", "darwin", "arm64", False, ""),
        ("mlx", "cpu", "darwin", "x86_64", False, "needs Apple silicon, this machine is x86_64"),
        ("mlx", "cpu", "linux", "x86_64", False, ""),
        ("mlx", "cpu", "win32", "x", False, "no MLX build runs on"),
        ("unsloth", "cuda", "linux", "x86_64", False, ""),
    ],
)
def test_why_not_is_said_before_anything_is_built(
    kind: environments.Kind, flavour: environments.Flavour, system: str, machine: str, avx: bool, reason: str,  # noqa: FBT001
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Where the locked builds cannot run, creating refuses with the reason and touches nothing."""
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(environments, "_has_avx512_or_avx2", lambda: avx)
    env = fake(tmp_path, kind, flavour)
    assert reason in why_not(env)
    assert bool(why_not(env)) == bool(reason)
    if reason:
        with pytest.raises(MisuseError, match="cannot run here"):
            create(env, lambda *_: None)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "torch", "rest"),
    [
        ("a==1\nb==2\n", "", ["a==1", "b==2"]),
        ("a==1\ntorch==2.13.0+cpu\ntorchvision==1\n", "torch==2.13.0", ["a==1", "torchvision==1"]),
        ("# words\n\n  a==1  \n    # via b\ntorch==2.13.0\n", "torch==2.13.0", ["a==1"]),
        ("", "", []),
    ],
)
def test_torch_is_taken_out_of_a_lock(tmp_path: Path, text: str, torch: str, rest: list[str]) -> None:
    """Torch is installed by itself, without the local mark of its build; comments are nothing."""
    lock = tmp_path / "x.lock"
    lock.write_text(text)
    assert environments._split(lock) == (torch, rest)


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*.lock")), ids=lambda lock: str(lock.name))
def test_every_shipped_lock_pins_every_package_once(lock: Path) -> None:
    """A lock is a list of exact versions; torch stands only where models run."""
    torch, rest = environments._split(lock)
    assert [
        line for line in rest if not re.fullmatch(r"[a-z0-9._-]+(\[[a-z,]+\])?==[^\s;]+", line, re.IGNORECASE)
    ] == []
    names = [re.split(r"[=\[]", line)[0].lower().replace("_", "-") for line in rest]
    assert len(names) == len(set(names))
    assert bool(torch) == lock.name.startswith(("train", "serve", "unsloth", "llama-factory"))


@pytest.mark.parametrize(("kind", "flavour"), [(k, f) for k in (*KINDS, *TRAINER_KINDS) for f in ("cpu", "cuda")])
def test_every_environment_has_its_lock(kind: environments.Kind, flavour: environments.Flavour) -> None:
    """What can be asked for can be built."""
    assert environment(kind, flavour).lock.is_file()


@pytest.mark.parametrize(("system", "lock"), [("darwin", "mlx-metal.lock"), ("linux", "mlx-cpu.lock")])
def test_mlx_has_one_build_for_a_system(system: str, lock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever GPU is asked for or there, a Mac gets Metal and another machine the plain CPU build."""
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(environments, "has_cuda", lambda: True)
    for flavour in ("cuda", "cpu", None):
        env = environment("mlx", flavour)
        assert (env.flavour, env.lock.name) == ("cpu", lock)


def wheel(path: Path) -> None:
    """Write the smallest package there is."""
    info = f"{path.name.rpartition('-py3')[0]}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("tinypackage.py", "ANSWER = 42\n")
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinypackage\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")


def test_an_environment_is_built_once_and_whole(tmp_path: Path) -> None:
    """A build that fails says pip's reason and is not whole; two builders at once then build it anew, once."""
    package = tmp_path / "tinypackage-1.0-py3-none-any.whl"
    env = fake(tmp_path, "train")
    env.lock.write_text(f"tinypackage @ {package.as_uri()}\n")
    with pytest.raises(PermanentError, match="pip could not build the train environment: ERROR"):
        create(env, lambda *_: None)
    assert (env.python.exists(), env.whole) == (True, False)
    (env.folder / "leftover").write_text("of a build that was killed")
    wheel(package)
    built: list[bool] = []
    said: list[tuple[int, int, str]] = []
    builders = [threading.Thread(target=lambda: built.append(create(env, lambda *w: said.append(w)))) for _ in "12"]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert sorted(built) == [False, True]
    assert env.whole
    assert not (env.folder / "leftover").exists()
    answer = subprocess.run(
        [env.python, "-c", "import tinypackage; print(tinypackage.ANSWER)"], capture_output=True, check=True
    )
    assert answer.stdout == b"42\n"
    assert said[0] == (0, 2, "virtual environment")
    assert all(0 <= done <= total for done, total, _ in said)
    assert not create(env, lambda *_: None)
    assert (env.folder / MARKER).read_text() == "x.lock\n"
