"""Daemons that are born with their modules loaded, for tests that kill one at every step.

A process forked from one that only imports: the same program, its own process, session and environment, killed as any
other. What it is spared is the second that Python takes to load it, a hundred times over.
"""

import multiprocessing
import os
import signal
import sys
from pathlib import Path

_NURSERY = multiprocessing.get_context("forkserver")
_NURSERY.set_forkserver_preload(["nurseries", "flywheel.cli.main", "flywheel.daemon.run"])


def live(arguments: list[str], env: dict[str, str], log: Path) -> None:
    """Be flywheel, as if started by that command line in that environment."""
    from flywheel.cli.main import main

    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    told = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(told, stream)
    sys.argv = ["flywheel", *arguments]
    main()


class Nursling:
    """A process of flywheel, with what the tests use of `subprocess.Popen`."""

    def __init__(self, arguments: list[str], env: dict[str, str], log: Path) -> None:
        """Start it."""
        self._process = _NURSERY.Process(target=live, args=(arguments, env, log))
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Return how it ended, once it did; raises TimeoutError when that takes longer."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise TimeoutError
        return self._process.exitcode
