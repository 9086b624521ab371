"""`flywheel llama`: the door in front of llama-server, where vLLM cannot run."""

import asyncio
import ipaddress
import signal
from pathlib import Path

import structlog

from flywheel.cli.contexts import Config, settings_of
from flywheel.core.clocks import Clock, SystemClock
from flywheel.core.errors import ConflictError, SettingsError
from flywheel.daemon.bases import known_bases
from flywheel.daemon.logs import configure_logs
from flywheel.daemon.notices import Notifier
from flywheel.daemon.settings import LlamaSection, Settings
from flywheel.proc.environments import environment
from flywheel.proc.tokens import read_token, server_token
from flywheel.serve.llama_servers import LlamaSite
from flywheel.train.exports import converter_in

_JOB = Path(__file__).parent.parent / "jobs" / "convert_adapter.py"
_SEE = "see [llama] in docs/settings.md"

log = structlog.get_logger(__name__)


def llama(config: Config = None) -> None:
    """Run the door in front of llama-server until it is told to stop; it gives that server adapters by name."""
    configure_logs()
    settings = settings_of(config)
    asyncio.run(_serve(settings, llama_site(settings), SystemClock()))


def llama_site(settings: Settings) -> LlamaSite:
    """Return the door's part of the settings in its own terms; whatever is missing is said with its key."""
    section = settings.llama
    if section is None:
        raise SettingsError("the settings have no table [llama]", _SEE)
    base = known_bases(settings).get(section.base)
    if base is None:
        raise SettingsError(f"llama.base names {section.base!r}, which the settings do not define", _SEE)
    if not _is_loopback(section.host):
        raise SettingsError(f"llama.host {section.host} can be reached by others", "the door has no keys: 127.0.0.1")
    folder = settings.home / "llama"
    if set(str(folder)) & set(',"'):
        raise SettingsError(f"llama-server cannot read paths like {folder}", "choose a home without commas and quotes")
    return LlamaSite(
        folder=folder, url=section.url.rstrip("/"), served_as=base.served_as, base=Path(base.path),
        command=section.command, restart=section.restart, convert=section.convert or _converter(settings, section),
        start_seconds=section.start_seconds, drain_seconds=section.drain_seconds,
    )  # fmt: skip


def _converter(settings: Settings, section: LlamaSection) -> tuple[str, ...]:
    llama_cpp = converter_in(settings.export.llama_cpp)
    if llama_cpp is None:
        told = f"name llama.cpp's sources as llama_cpp in [export], or a converter as convert; {_SEE}"
        raise SettingsError(f"llama-server at {section.url} takes adapters as GGUF, and nothing here writes that", told)
    python = settings.train_python or environment("train").python
    return (str(python), str(_JOB), str(llama_cpp), "{adapter}", "{base}", "{gguf}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _serve(settings: Settings, site: LlamaSite, clock: Clock) -> None:
    from aiohttp import web

    from flywheel.serve.llama_doors import llama_door

    section, home = settings.llama, settings.home
    assert section is not None
    server_token(home)  # the daemon reads what is made here, whoever starts first
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with llama_door(site, clock, lambda: read_token(home)) as app:
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, section.host, section.port).start()
            log.info("llama.listening_started", host=section.host, port=section.port, script=str(site.script))
            Notifier().ready("answering")
            await stop.wait()
        except OSError as error:
            message = f"the door cannot listen on {section.host}:{section.port}: {error.strerror or error}"
            raise ConflictError(message, "end the process that holds the port, or set another one") from error
        finally:
            await runner.cleanup()
