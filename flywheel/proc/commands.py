"""Short commands of an operator's own: run to their end within a limit, their last words kept."""

import subprocess
from collections.abc import Sequence

from flywheel.core.errors import UnavailableError

_SHOWN = 300


def run_command(argv: Sequence[str], seconds: float) -> None:
    """Run a command that returns by itself; raises UnavailableError with its last line when it does not, or fails."""
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"{argv[0]} did not return in {seconds:g} s", "name a command that returns", delay=10
        ) from error
    except OSError as error:
        raise UnavailableError(
            f"{argv[0]} cannot be run: {error.strerror}", "see the command in the settings", delay=10
        ) from error
    if done.returncode != 0:
        lines = done.stdout.decode(errors="replace").strip().splitlines()
        told = lines[-1][:_SHOWN] if lines else f"it ended with {done.returncode}"
        raise UnavailableError(f"`{' '.join(argv)}` failed: {told}", "run it by hand as flywheel's user", delay=10)
