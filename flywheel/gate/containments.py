"""Whether what is answered could be run: asked before a suite with programs is measured, so that it waits if not."""

import asyncio
from pathlib import Path

from flywheel.core.errors import CorruptError, UnavailableError
from flywheel.gate.metrics.registry import METRICS
from flywheel.gate.metrics.scores import ExecutedMetric
from flywheel.gate.situations import Situation
from flywheel.gate.suites import read_manifest
from flywheel.sandbox.clients import Executor

_LONGEST_SECONDS = 10
NONE_NAMED = "no executor is named — set executor.socket (docs/executor.md)"


async def obstacles(here: Situation, suites: Path, socket: Path | None) -> dict[str, str]:
    """Return, for each suite that is to be measured now and cannot be, why its answers cannot be run."""
    executed = await asyncio.to_thread(_executed, here, suites)
    why = await why_not(socket) if executed else ""
    return dict.fromkeys(executed, why) if why else {}


async def why_not(socket: Path | None) -> str:
    """Return nothing when an executor contains what it runs, else the sentence why not, with the mend."""
    if socket is None:
        return NONE_NAMED
    try:
        async with asyncio.timeout(_LONGEST_SECONDS):
            return await Executor(socket).check()
    except UnavailableError as error:
        return str(error)
    except TimeoutError:
        return f"the executor at {socket} gave no answer for {_LONGEST_SECONDS} s — see `flywheel doctor`"


def _executed(here: Situation, suites: Path) -> list[str]:
    busy = {job.line for job in here.jobs}
    waiting = [line.suite for line in here.lines if line.suite and line.candidates and line.line.name not in busy]
    return [suite.hash for suite in waiting if _holds_programs(suites / suite.hash)]


def _holds_programs(folder: Path) -> bool:
    try:
        manifest = read_manifest(folder)
    except CorruptError:
        return False  # measuring it will say so
    return any(isinstance(METRICS.get(kind), ExecutedMetric) for kind in manifest.kinds)
