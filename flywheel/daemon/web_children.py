"""The dashboard beside the daemon: a process of its own, so that its pages cost the daemon neither memory nor time.

The child holds the read end of a pipe as its standard input. However the daemon goes, the kernel closes the other end,
and the child leaves.
"""

import asyncio
import contextlib
import os
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

import structlog

from flywheel.daemon.web_settings import WebSection

log = structlog.get_logger()

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
_CALM_SECONDS = 60.0  # who lived that long begins again with the first delay
_LEAVE_SECONDS = 3.0
_MISUSE = 2
#: What systemd told the daemon is not the child's to answer.
_OURS_ALONE = frozenset(
    {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}
)


def web_command(config: Path | None) -> list[str]:
    """Return the command line of the dashboard's process."""
    return [sys.executable, "-m", "flywheel.web", *(("--config", str(config)) if config is not None else ())]


class WebChild:
    """Keeps the dashboard's process running until told to stop; one that ends comes back, after ever longer waits."""

    def __init__(self, config: Path | None, section: WebSection) -> None:
        """Start nothing yet."""
        self._command = [*web_command(config), "--child"]
        self._section = section
        self._keeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start it, where the settings want it."""
        if self._section.enabled:
            self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Let it go and wait until it is gone."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None

    async def _keep(self) -> None:
        delay = FIRST_SECONDS
        while True:
            began = time.monotonic()
            status = await self._live()
            if status == _MISUSE:  # its one line on standard error has said what to mend; trying again mends nothing
                log.error("web.refused", mend="change the settings and reload")
                return
            delay = FIRST_SECONDS if time.monotonic() - began > _CALM_SECONDS else delay
            log.warning("web.ended", status=status, again_in=delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_SECONDS)

    async def _live(self) -> int | None:
        """Return how a life of the child ended; None where it could not begin."""
        env = {name: value for name, value in os.environ.items() if name not in _OURS_ALONE}
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=DEVNULL, env=env, start_new_session=True
            )  # a session of its own: what a terminal tells the daemon is the daemon's to pass on
        except OSError as error:
            log.warning("web.not_started", reason=str(error))
            return None
        try:
            return await child.wait()
        finally:
            await _gone(child)


async def _gone(child: Process) -> None:
    """Ask a child to leave, and see to it that it does."""
    if child.returncode is not None:
        return
    if child.stdin is not None:
        child.stdin.close()
    for insist in (child.terminate, child.kill, None):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), _LEAVE_SECONDS)
            return
        if insist is not None:
            with contextlib.suppress(ProcessLookupError):
                insist()
