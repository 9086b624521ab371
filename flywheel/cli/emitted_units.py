"""`flywheel emit units`: the systemd units of this machine, from those that ship with flywheel."""

import grp
import ipaddress
import pwd
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from flywheel.cli.contexts import AsJson, Config, settings_of
from flywheel.cli.environments import Cpu, Cuda
from flywheel.cli.outputs import Force, note, refuse_taken, tell, write
from flywheel.cli.server_commands import is_loopback
from flywheel.cli.surroundings import Surroundings, command_of, flavour_of, servers_of, surroundings_of
from flywheel.cli.unit_files import (
    BACKUPS,
    CONFIG,
    CREDENTIALS,
    USER,
    UnitPlaces,
    bundle,
    filled_server,
    first_steps,
    headed,
    is_personal,
    unit_name,
)
from flywheel.cli.unit_sets import own_units
from flywheel.core.serving import ModelServer
from flywheel.daemon.places import shipped
from flywheel.daemon.settings import GatewaySection, find_settings
from flywheel.proc.environments import Flavour, environment


def units(
    user: Annotated[str | None, typer.Option("--as", help="Who the services run as (else whose home it is).")] = None,
    program: Annotated[Path | None, typer.Option("--program", help="The flywheel to run (else this one).")] = None,
    cpu: Cpu = False,
    cuda: Cuda = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A folder to write them to.")] = None,
    force: Force = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Write the systemd units of daemon, gateway, executor and model servers, paths filled in."""
    around = surroundings_of(settings_of(config))
    places = places_of(around, config, user, program)
    files = _units(around, places, flavour_of(cpu, cuda))
    if output is not None:
        refuse_taken([output / name for name in files], force=force)
        for name, text in files.items():
            write(output / name, text, force=force)
    for step in first_steps(places) if not as_json else ():
        note(f"before the first start: {step}")
    tell(files, bundle(files), as_json=as_json, written=output)


def places_of(around: Surroundings, config: Path | None, user: str | None, program: Path | None) -> UnitPlaces:
    """Return where things lie on this machine, as its units have it."""
    home = around.settings.home
    found = find_settings(config)
    ours = Path(sys.prefix) / "bin" / "flywheel"
    if program is None and not ours.exists():
        note(f"there is no {ours}: install flywheel, or name it with --program")
    name = user or _owner(home)
    root = environment("serve").folder.parent
    code = (Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parent.parent.parent) if program is None else ()
    return UnitPlaces(program=(program or ours).absolute(), home=home,
                      config=(found or Path(CONFIG)).expanduser().absolute(), envs=root, code=code,
                      reached=_reached(around), socket=around.settings.gateway.socket,
                      socket_group=around.settings.gateway.socket_group, ports=_ports(around.settings.gateway),
                      backups=around.settings.keep.backups or Path(BACKUPS),
                      credentials=Path(CREDENTIALS) if found is None else _credentials(found),
                      user=name, group=_group(name))  # fmt: skip


def _credentials(config: Path) -> Path:
    """Return the folder of secrets: beside the settings."""
    return config.expanduser().absolute().parent / Path(CREDENTIALS).name


def _ports(section: GatewaySection) -> tuple[str, ...] | None:
    """Return what systemd opens for the gateway; None where only the gateway itself can."""
    if not section.host:
        return ()
    host = "127.0.0.1" if section.host == "localhost" else section.host
    if not section.port or not _is_address(host):
        note(f"systemd cannot open {section.host}:{section.port} for the gateway, which opens it itself")
        return None
    if not is_loopback(f"http://{f'[{host}]' if ':' in host else host}"):
        note(f"others may knock at {host} once drop-ins of the gateway's service and socket say IPAddressAllow=")
    return (f"[{host}]:{section.port}" if ":" in host else f"{host}:{section.port}",)


def _reached(around: Surroundings) -> tuple[str, ...]:
    """Return the addresses elsewhere that requests go to; units allow addresses, no names."""
    settings = around.settings
    urls = [server.url for server in settings.servers] + [
        base.server for base in settings.bases.values() if base.server
    ]
    urls += [settings.gpu.fallback_url] if settings.gpu.fallback_url else []
    urls += [notify.url for notify in settings.notify if notify.url]
    urls += [settings.telemetry.endpoint] if settings.telemetry.endpoint else []
    hosts = sorted({urlsplit(url).hostname or "" for url in urls if not is_loopback(url)})
    for host in hosts:
        if not _is_address(host):
            note(f"a unit reaches addresses only: allow that of {host} by IPAddressAllow= in a drop-in")
    return tuple(host for host in hosts if _is_address(host))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _owner(home: Path) -> str:
    """Return whose home it is: the person's it lies in, else the user that is made for flywheel."""
    if not is_personal(home):
        return USER
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    return there.owner()


def _group(user: str) -> str:
    try:
        return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except KeyError:
        return user


def _units(around: Surroundings, places: UnitPlaces, flavour: Flavour | None) -> dict[str, str]:
    """Return the units by their names: ours, and one for each model server on this machine."""
    files = {name: headed(text, ()) for name, text in own_units(places).items()}
    template = (shipped("systemd") / "vllm.service").read_text()
    for number, server in enumerate(servers_of(around) if around.bases else ()):
        if is_loopback(server.url):
            name = unit_name(urlsplit(server.url).port, number, around.settings.gpu.unit)
            files[name] = _server_unit(around, server, places, template, flavour)
    return files


def _server_unit(
    around: Surroundings, server: ModelServer, places: UnitPlaces, template: str, flavour: Flavour | None
) -> str:
    env = environment("serve", flavour)
    command = command_of(around, server, env, None, {})
    base = Path(around.base_at(server.url).path)
    module = command.environment.get("PYTHONPATH")
    read = [env.folder, base, *([Path(module)] if module else [])]
    return headed(filled_server(template, command, places, read), command.notes)
