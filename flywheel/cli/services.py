"""`flywheel run | cycle | gateway`: the processes themselves."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from flywheel.cli.contexts import AsJson, Config, out, settings_of, show_json
from flywheel.cli.late_commands import unswept
from flywheel.core.errors import PermanentError, SettingsError
from flywheel.daemon.logs import configure_logs
from flywheel.daemon.notices import Notifier, watchdog_seconds
from flywheel.daemon.settings import Settings, find_settings

if TYPE_CHECKING:
    from flywheel.gateway.settings import GatewaySettings


def run(config: Config = None) -> None:
    """Run the daemon until it is told to stop (SIGTERM, SIGINT); SIGHUP reloads settings and policies."""
    with unswept():
        from flywheel.daemon.run import serve

    configure_logs()
    asyncio.run(serve(find_settings(config)))


def cycle(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide, but do and record nothing.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Run one cycle and say in one sentence what it did."""
    with unswept():
        from flywheel.daemon.run import cycle_once

    configure_logs()
    report = asyncio.run(cycle_once(settings_of(config), dry_run=dry_run))
    if as_json:
        show_json(report.model_dump(mode="json"))
    else:
        out.print(report.sentence, markup=False)
    if report.failed:
        raise PermanentError(f"{len(report.failed)} thing(s) could not be done", report.failed[0])


def gateway(config: Config = None) -> None:
    """Run the gateway until it is told to stop; SIGHUP lets a new process of it take over, and no request is lost."""
    with unswept():
        from flywheel.gateway.loops import run_gateway

    configure_logs()
    run_gateway(gateway_settings(settings_of(config)), words=Notifier(), beat=watchdog_seconds())


def gateway_settings(settings: Settings) -> "GatewaySettings":
    """Return the gateway's part of the settings in the gateway's own terms."""
    from flywheel.gateway.settings import GatewaySettings

    section = settings.gateway
    bases = list(settings.bases.values())
    try:
        return GatewaySettings(
            home=settings.home,
            host=section.host,
            port=section.port,
            socket=section.socket,
            socket_group=section.socket_group,
            capture=section.capture,
            capture_limit=section.capture_mib * 1024 * 1024,
            capture_days=section.capture_days,
            upstreams=tuple(server.url for server in settings.servers),
            base_model=bases[0].served_as if bases else "",
            lines=settings.lines,
            body_limit=section.body_limit_mib * 1024 * 1024,
            header_limit=section.header_limit_kib * 1024,
            requests_at_once=section.requests_at_once,
            requests_at_once_per_key=section.requests_at_once_per_key,
            mirrors_at_once=section.mirrors_at_once,
            mirrors_below=section.mirrors_below,
            check_seconds=section.check_seconds,
            connect_timeout=section.connect_timeout,
            drain_seconds=section.drain_seconds,
            handover_seconds=section.handover_seconds,
            telemetry=settings.telemetry,
        )
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(str(part) for part in found["loc"])
        raise SettingsError(f"the gateway cannot use {where}: {found['msg']}", "see docs/settings.md") from error
