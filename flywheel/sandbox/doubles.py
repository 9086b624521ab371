"""A real runner without a box: for tests of the gate over code that is trusted. Never for a model's code.

It keeps the same promises about runs as the executor (one contract suite goes over both), and none about containment.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from flywheel.sandbox.endings import Told, ending_of
from flywheel.sandbox.languages import Runtimes, Trial, UnsupportedError, count_runs, find_runtimes, said, trials_of
from flywheel.sandbox.programs import Ending, Program, Run

_PACKAGE = str(Path(__file__).parent)
_ALONE = "import sys; sys.path.insert(0, {package!r}); from inside.alone import command, main; {what}"


class PlainExecutor:
    """Runs every test as a plain child process: the executor's methods, and no containment."""

    def __init__(self) -> None:
        """Know nothing yet of what runs beside Python."""
        self._runtimes: Runtimes | None = None

    async def __aenter__(self) -> Self:
        """Give itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""

    async def check(self) -> str:
        """Say that nothing stands in the way: nothing is contained, and nobody who uses this wants it to be."""
        return ""

    async def run(self, program: Program) -> tuple[Run, ...]:
        """Return one Run for each input or call of the program, in order; one where it has neither."""
        if self._runtimes is None:
            self._runtimes = find_runtimes()
        try:
            trials = trials_of(program, self._runtimes)
        except UnsupportedError as error:
            return (Run(ending=Ending.REFUSED, detail=str(error)),) * count_runs(program)
        return tuple([await _run(trial) for trial in trials])


async def _run(trial: Trial) -> Run:
    with tempfile.TemporaryDirectory(prefix="flywheel-double-") as folder, tempfile.TemporaryFile() as told:
        for name, text in trial.files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        began = time.monotonic()
        status, output, errors = await _process(trial, Path(folder), told.fileno())
        seconds = time.monotonic() - began
        told.seek(0)
        heard = Told(status=status, output=output, errors=errors, word=told.read(), seconds=seconds)
        return ending_of(heard, is_call=trial.returns, limits=trial.limits)


async def _process(trial: Trial, folder: Path, told: int) -> tuple[int | None, bytes, bytes]:
    """Return how the process ended (None: it was ended for its time), what it printed, and what it complained of."""
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as stdin:
        asked.write(json.dumps(said(trial)).encode())
        stdin.write(trial.stdin.encode())
        for file in (asked, stdin):
            file.seek(0)
        child = await asyncio.create_subprocess_exec(
            *_argv(trial, asked.fileno(), told),
            cwd=folder,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT if trial.kind == "command" else asyncio.subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(folder)},
            pass_fds=(asked.fileno(), told),
            start_new_session=True,
        )
        try:
            output, errors = await asyncio.wait_for(child.communicate(), trial.limits.seconds)
        except TimeoutError:
            os.killpg(child.pid, signal.SIGKILL)
            output, errors = await child.communicate()
            return None, output, errors or b""
        return child.returncode, output, errors or b""


def _argv(trial: Trial, asked: int, told: int) -> list[str]:
    what = f"command({told})" if trial.kind == "command" else f"main({asked}, {told})"
    first, *rest = trial.argv or ("",)
    argv = [sys.executable if first in {"python", "python3"} else first, *rest]
    return [sys.executable, "-S", "-c", _ALONE.format(package=_PACKAGE, what=what), *argv]
