"""One process a folder: the kernel's lock says whether the work goes on, and only the right process is ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flywheel.core.errors import PermanentError, ResourceError
from flywheel.core.jobs import ProcessMark
from flywheel.proc import children

SLEEP = ("sleep", "60")
ENV = dict(os.environ)


def eventually(check: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run-1"


class Nursery:
    """Starts children and makes sure that none outlives its test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[subprocess.Popen[bytes]] = []

    def launch(self, *argv: str, nice: int = 0) -> subprocess.Popen[bytes]:
        """Start a child that the fixture ends."""
        child = children.launch(argv, self.folder, ENV, nice)
        self.children.append(child)
        return child

    def python(self, source: str) -> subprocess.Popen[bytes]:
        """Start a program and wait until it is ready."""
        child = self.launch(sys.executable, "-c", source)
        eventually(lambda: b"ready" in self.said())
        return child

    def said(self) -> bytes:
        """Return what the children said."""
        return (self.folder / "log.jsonl").read_bytes()


@pytest.fixture
def nursery(folder: Path) -> Iterator[Nursery]:
    nursery = Nursery(folder)
    yield nursery
    for child in nursery.children:
        children.end(children.mark(child.pid), force=True)
        child.wait(10)


def test_a_child_speaks_into_its_folder(nursery: Nursery, folder: Path) -> None:
    """Its working directory is the folder, its words and its complaints lie there, and it hears nothing."""
    nursery.launch("sh", "-c", "pwd; echo oh >&2; cat").wait(10)
    nursery.launch("echo", "again").wait(10)
    assert nursery.said().decode() == f"{folder}\nagain\n"
    assert (folder / "stderr.log").read_text() == "oh\n"


def test_a_folder_is_busy_exactly_as_long_as_its_child_lives(nursery: Nursery, folder: Path) -> None:
    """Before and after nobody is at work; a folder that is not there is not busy, and asking does not make it."""
    assert not children.is_busy(folder)
    assert not folder.exists()
    child = nursery.launch(*SLEEP)
    assert children.is_busy(folder)
    child.kill()
    child.wait(10)
    assert not children.is_busy(folder)


def test_a_second_child_in_a_folder_is_refused(nursery: Nursery, folder: Path) -> None:
    """Two can never write the same files; the refusal is temporary, and afterwards the folder is free."""
    first = nursery.launch(*SLEEP)
    with pytest.raises(ResourceError, match="another process is at work in run-1"):
        nursery.launch(*SLEEP)
    first.kill()
    first.wait(10)
    nursery.launch(*SLEEP)


def test_a_grandchild_keeps_the_folder_busy(nursery: Nursery, folder: Path) -> None:
    """Work goes on as long as any process of it, even when the one that was started is gone."""
    child = nursery.launch("sh", "-c", "sleep 60 & echo $!")
    child.wait(10)
    assert children.is_busy(folder)
    os.kill(int(nursery.said()), signal.SIGKILL)
    eventually(lambda: not children.is_busy(folder))


PARENT = """
import os, sys, time
from pathlib import Path
from flywheel.proc import children
child = children.launch(["sleep", "60"], Path(sys.argv[1]), os.environ)
mark = children.mark(child.pid)
print(mark.model_dump_json(), flush=True)
time.sleep(60)
"""


def test_a_killed_parent_does_not_hide_its_child(folder: Path) -> None:
    """After the parent's kill -9 another program still sees the work and can end it by its mark."""
    with subprocess.Popen([sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        mark = ProcessMark.model_validate_json(parent.stdout.readline())
        parent.kill()
    assert children.is_busy(folder)
    with pytest.raises(ResourceError):
        children.launch(SLEEP, folder, ENV)
    assert children.end(mark)
    eventually(lambda: not children.is_busy(folder))


def test_a_reused_id_is_not_hit(nursery: Nursery) -> None:
    """A process with the right id that began at another moment is somebody else."""
    child = nursery.launch(*SLEEP)
    mark = children.mark(child.pid)
    assert not children.end(ProcessMark(pid=child.pid, started=mark.started - 1), force=True)
    assert child.poll() is None
    assert children.end(mark, force=True)
    assert child.wait(10) == -signal.SIGKILL


def test_what_is_gone_is_not_ended(nursery: Nursery) -> None:
    """The mark of a process that ended, or was never seen alive, ends nothing."""
    child = nursery.launch("true")
    mark = children.mark(child.pid)
    child.wait(10)
    assert mark.started > 0
    assert not children.end(mark)
    assert not children.end(children.mark(child.pid))
    assert not children.end(ProcessMark(pid=os.getpid(), started=-1.0))


STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    print("ready", flush=True)
time.sleep(60)
"""


def test_the_whole_group_is_asked_and_then_made_to_leave(nursery: Nursery, folder: Path) -> None:
    """A group that will not hear TERM stays; KILL ends all of it, grandchildren as well."""
    child = nursery.python(STUBBORN)
    mark = children.mark(child.pid)
    assert children.end(mark)
    time.sleep(0.05)
    assert child.poll() is None
    assert children.end(mark, force=True)
    assert child.wait(10) == -signal.SIGKILL
    eventually(lambda: not children.is_busy(folder))


def test_a_polite_group_leaves_at_the_first_word(nursery: Nursery, folder: Path) -> None:
    """TERM reaches the child and its own children."""
    child = nursery.launch("sh", "-c", "sleep 60 & sleep 60")
    assert children.end(children.mark(child.pid))
    assert child.wait(10) == -signal.SIGTERM
    eventually(lambda: not children.is_busy(folder))


def test_a_child_is_apart_from_us(nursery: Nursery) -> None:
    """It has a group and a session of its own, and steps aside as far as asked."""
    child = nursery.launch(*SLEEP, nice=7)
    assert os.getpgid(child.pid) == os.getsid(child.pid) == child.pid != os.getpgid(0)
    assert os.getpriority(os.PRIO_PROCESS, child.pid) == 7


def test_where_nobody_may_step_aside_the_child_starts_all_the_same(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped unit forbids changing priorities; its slice's weight takes their place."""

    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", forbidden)
    assert nursery.launch(*SLEEP, nice=7).poll() is None


@pytest.mark.parametrize("kind", ["missing", "no program", "not allowed"])
def test_what_cannot_be_started_is_said_and_leaves_the_folder_free(folder: Path, tmp_path: Path, kind: str) -> None:
    """The reason is told, and the next launch is not refused."""
    program = tmp_path / "program"
    if kind != "missing":
        program.write_bytes(b"\x7fELF nonsense")
        program.chmod(0o755 if kind == "no program" else 0o644)
    with pytest.raises(PermanentError, match=f"cannot start {program}: .*env list"):
        children.launch([str(program)], folder, ENV)
    assert not children.is_busy(folder)
