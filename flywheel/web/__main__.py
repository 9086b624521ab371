"""`python -m flywheel.web` is the dashboard's process; `flywheel web` and `flywheel run` start it."""

import argparse
import asyncio
import sys
from pathlib import Path

from flywheel.core.errors import FlywheelError
from flywheel.daemon.logs import configure_logs
from flywheel.daemon.notices import Notifier
from flywheel.daemon.settings import find_settings, load_settings
from flywheel.web.run import serve_web


def main() -> None:
    """Serve the dashboard; a mistake is one line on standard error and the exit status of the command line."""
    asked = argparse.ArgumentParser(prog="python -m flywheel.web", description="The dashboard of flywheel.")
    asked.add_argument("--config", type=Path, help="settings file")
    asked.add_argument("--child", action="store_true", help="leave when standard input ends")
    given = asked.parse_args()
    configure_logs()
    notifier = None if given.child else Notifier()
    try:
        settings = load_settings(find_settings(given.config))
        ready = (lambda address: notifier.ready(f"answering at {address}")) if notifier else None
        asyncio.run(serve_web(settings, child=given.child, on_ready=ready))
    except FlywheelError as error:
        sys.stderr.write(f"flywheel: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
