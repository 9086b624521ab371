"""`flywheel gateway`: the door itself, and `key add | list | remove`: who may come in."""

from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli.contexts import AsJson, Config, err, out, settings_of, show_json, show_table
from flywheel.cli.services import gateway, gateway_settings
from flywheel.core.clocks import SystemClock
from flywheel.gateway.keys import OWN, KeyFile

app = typer.Typer(invoke_without_command=True, subcommand_metavar="[key]")
keys = typer.Typer(help="The gateway's keys: with the first one it begins to ask for them.", no_args_is_help=True)
app.add_typer(keys, name="key")

Name = Annotated[str, typer.Argument(help="Who has the key, such as an agent or a machine.")]


@app.callback(epilog="Example: flywheel gateway --config flywheel.toml")
def _gateway(context: typer.Context, config: Config = None) -> None:
    """Run the gateway, the door the agent talks to, until it is told to stop."""
    context.obj = config
    if context.invoked_subcommand is None:
        gateway(config)


@keys.command("add", epilog="Example: flywheel gateway key add laptop")
def add(context: typer.Context, name: Name, as_json: AsJson = False, config: Config = None) -> None:
    """Make a key and tell it, this once; the gateway keeps only its hash, and asks for keys from now on."""
    file, at = _file(context, config), SystemClock().now()
    secret = file.add(name, at)
    if as_json:
        show_json({"name": name, "key": secret, "created_at": at.isoformat()})
        return
    err.print(f"the key of {name}, told this once; its hash is in {file.path}", markup=False)
    err.print("send it as `Authorization: Bearer KEY`; from now on the gateway asks for one", markup=False)
    out.print(secret, markup=False)


@keys.command("list", epilog="Example: flywheel gateway key list")
def list_(context: typer.Context, as_json: AsJson = False, config: Config = None) -> None:
    """Show who has a key, and since when."""
    rows = [{"name": key.name, "created_at": key.created_at.isoformat(timespec="seconds")}
            for key in _file(context, config).read() if key.name != OWN]  # fmt: skip
    if as_json:
        show_json(rows)
    elif rows:
        show_table("keys", ("name", "created_at"), rows)
    else:
        out.print("there are no keys: the gateway asks for none and listens on this machine only", markup=False)


@keys.command("remove", epilog="Example: flywheel gateway key remove laptop")
def remove(context: typer.Context, name: Name, as_json: AsJson = False, config: Config = None) -> None:
    """Let a key open nothing any more; in force within a second. With the last one the gateway asks for none."""
    file = _file(context, config)
    file.remove(name)
    left = [key.name for key in file.read() if key.name != OWN]
    if as_json:
        show_json({"removed": name, "left": left})
    else:
        out.print(f"the key of {name} is removed; " + (f"{len(left)} left" if left else "there are none left"))


def _file(context: typer.Context, config: Path | None) -> KeyFile:
    return KeyFile(gateway_settings(settings_of(config or context.obj)).key_file)
