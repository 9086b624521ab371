"""Processes that tests fork from one with its libraries loaded: what they are, and that none is left."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures import nurslings
from fixtures.nurslings import SCRIPT, Nursery, completed, environment, nursery_for, started
from fixtures.tiny import run, train_python

pytestmark = pytest.mark.train

SELF = """
import os, sys
print(sys.argv, sys.path[0], __name__, os.getcwd(), os.environ.get("FLYWHEEL_OWN"), os.getsid(0) == os.getpid())
print("told", file=sys.stderr)
"""
#: A nursery that loads nothing but what it cannot do without.
BARE = """
import sys; sys.path.insert(0, {folder!r})
import numpy, train_nursery
train_nursery.load, train_nursery.refusal, train_nursery.IDLE_SECONDS = lambda: None, lambda: "", 0.5
train_nursery.main(sys.argv[1])
"""


@pytest.fixture(autouse=True)
def _forks() -> None:
    """Go on where processes are born loaded."""
    nursery = nursery_for([train_python()], environment())
    if nursery is None:
        pytest.skip("no process is born loaded here: a GPU's library, or another system")


def inline(code: str, *arguments: str) -> list[str]:
    return [train_python(), "-c", code, *arguments]


def test_it_is_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments, folder, environment, session and streams are what was asked for, inline or from a file."""
    monkeypatch.chdir(tmp_path)
    env = environment(FLYWHEEL_OWN="x")
    done = completed(inline(SELF, "a"), env, 60)
    assert (done.stdout, done.stderr) == (f"['-c', 'a']  __main__ {tmp_path} x True\n", "told\n")
    script = tmp_path / "script.py"
    script.write_text(SELF)
    done = completed([train_python(), str(script), "b"], environment(), 60)
    assert done.stdout == f"{[str(script), 'b']} {tmp_path} __main__ {tmp_path} None True\n"


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("pass", 0, ""),
        ("raise SystemExit", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('no')", 1, "no\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("import os; os._exit(7)", 7, ""),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
    ],
)
def test_it_ends_as_any_other(code: str, status: int, said: str) -> None:
    """Its status, its signal, and what Python says of an error."""
    done = completed(inline(code), environment(), 60)
    assert (done.returncode, done.stderr[-len(said) :] if said else done.stderr) == (status, said)


def test_it_can_be_waited_for_and_killed() -> None:
    """It is there until it ends; a wait that takes too long says so."""
    with started(inline("import time; print('up', flush=True); time.sleep(60)"), environment()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.kill()
        assert process.wait(10) == process.poll() == -9


def test_where_it_could_differ_a_process_is_started_afresh() -> None:
    """Another interpreter or another environment; a variable that only jobs read makes no other one."""
    assert nursery_for(["/bin/python"], environment()) is None
    assert nursery_for([train_python()], environment(HF_HOME="/nowhere")) is None
    assert nursery_for([train_python()], environment(FLYWHEEL_GPU_SHARE="0.5")) is not None
    loaded = "import sys; print('torch' in sys.modules)"
    assert [completed(inline(loaded), environment(), 60, afresh=way).stdout for way in (False, True)] == [
        "True\n", "False\n",
    ]  # fmt: skip


def test_no_job_was_loaded_before_it_is_run(tmp_path: Path) -> None:
    """Libraries are; our own code is read by the process that runs it."""
    loaded = "import sys; print([n for n, m in sys.modules.items() if '/jobs/' in str(getattr(m, '__file__', ''))])"
    assert completed(inline(loaded), environment(), 60).stdout == "[]\n"
    assert run("train_adapter.py", tmp_path / "none.json", python=train_python()).returncode == 2


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nursery]:
    """Return a nursery that loads next to nothing, and is not needed for long."""
    script = tmp_path / "bare.py"
    script.write_text(BARE.format(folder=str(SCRIPT.parent)))
    monkeypatch.setattr(nurslings, "SCRIPT", script)
    nursery = Nursery(train_python(), environment())
    assert nursery.open() == ""
    yield nursery
    nursery.end()


@pytest.fixture
def nothing() -> Iterator[list[int]]:
    """Return streams on which nothing is said."""
    with Path(os.devnull).open("r+b") as opened:
        yield [opened.fileno()] * 3


def test_it_ends_with_whoever_started_it_and_takes_its_own_along(bare: Nursery, nothing: list[int]) -> None:
    """A test run that dies leaves no process and no folder behind."""
    sleeper = bare.bear(inline("import time; time.sleep(60)"), environment(), nothing)
    process = bare._process
    assert sleeper.poll() is None
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()  # as the end of its other side would
    assert process.wait(10) == 0
    assert sleeper.wait(10) == -9
    with pytest.raises(ProcessLookupError):
        os.kill(sleeper.pid, 0)
    assert not bare.door.parent.exists()


def test_it_leaves_when_nobody_needs_it_and_comes_back(bare: Nursery, nothing: list[int]) -> None:
    """It keeps no memory for nothing; whoever asks again does not notice."""
    process = bare._process
    assert process is not None
    assert process.wait(10) == 0
    assert bare.bear(inline("raise SystemExit(5)"), environment(), nothing).wait(10) == 5
