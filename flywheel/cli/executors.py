"""`flywheel executor`: the process that runs model-written programs in a box."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli.contexts import AsJson, Config, out, settings_of, show_json
from flywheel.core.errors import PermanentError
from flywheel.daemon.logs import configure_logs
from flywheel.daemon.notices import Notifier, watchdog_seconds
from flywheel.daemon.settings import Settings


def executor(
    check: Annotated[bool, typer.Option("--check", help="Prove that a box holds on this machine, and leave.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Run the executor, which runs model-written programs in boxes, until it is told to stop."""
    from flywheel.sandbox.plans import Plan
    from flywheel.sandbox.run import check_executor, serve_executor

    configure_logs()
    settings = settings_of(config)
    section = settings.executor
    plan = Plan(
        workers=section.workers,
        seconds=section.seconds,
        memory_mib=section.memory_mib,
        containment=section.containment,
    )
    if check:
        _say(asyncio.run(check_executor(plan.model_copy(update={"workers": 1}))), plan.containment, as_json=as_json)
        return
    beat = watchdog_seconds()
    asyncio.run(serve_executor(plan, executor_socket(settings), Notifier(), group=section.group, beat=beat))


def executor_socket(settings: Settings) -> Path:
    """Return where the executor listens: where the settings say, else in the home."""
    return settings.executor.socket or settings.home / "executor.sock"


def _say(why: str, containment: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"containment": containment, "holds": not why, "why_not": why})
    if why:
        message, _, mend = why.partition(" — ")
        raise PermanentError(message, mend)
    if not as_json:
        out.print(f"the box holds ({containment}): no network, no writes, no /proc, no other process, bounded forks")
