"""`flywheel emit`: what other programs are told, most of it made from the settings.

Nothing is written but with `--output`, and no file is written over but with `--force`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from flywheel.cli import emitted_observability, emitted_units
from flywheel.cli.contexts import AsJson, Config, settings_of
from flywheel.cli.environments import Cpu, Cuda
from flywheel.cli.json_edits import read, set_value
from flywheel.cli.opencode_blocks import PROVIDER, Block, kept, opencode_block, to_set
from flywheel.cli.outputs import Force, Output, note, tell, write
from flywheel.cli.override_blocks import is_clean_room, overrides_of
from flywheel.cli.server_commands import ServerCommand
from flywheel.cli.surroundings import Surroundings, command_of, contexts_of, flavour_of, servers_of, surroundings_of
from flywheel.core.errors import MisuseError, SettingsError
from flywheel.core.lines import Line
from flywheel.gateway.keys import KeyFile, gateway_key_file
from flywheel.proc.environments import environment
from flywheel.sources.settings import CleanRoomSource

app = typer.Typer(help="Write what other programs are told, from the settings.", no_args_is_help=True)
app.command("units", epilog="Example: flywheel emit units --output ./units --as me")(emitted_units.units)
app.command("grafana", epilog="Example: flywheel emit grafana --output flywheel.json")(emitted_observability.grafana)
app.command("alerts", epilog="Example: flywheel emit alerts --output flywheel-alerts.yml")(emitted_observability.alerts)

KEY_VARIABLE = "FLYWHEEL_GATEWAY_KEY"

Lines = Annotated[list[str] | None, typer.Option("--line", "-l", help="Only this line; may be given again.")]
Context = Annotated[int | None, typer.Option("--context", min=1, help="The longest context in tokens.")]
ToolParser = Annotated[str | None, typer.Option("--tool-parser", help="vLLM's parser of the base's tool calls.")]


@app.command("vllm", epilog="Example: flywheel emit vllm --output serve.sh")
def vllm(
    server: Annotated[str | None, typer.Option("--server", help="Only this server of the settings.")] = None,
    base: Annotated[str | None, typer.Option("--base", help="A base of the settings (else the server's).")] = None,
    context: Context = None,
    tool_parser: ToolParser = None,
    cpu: Cpu = False,
    cuda: Cuda = False,
    output: Output = None,
    force: Force = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Say how vLLM is started for the settings: base, ranks, slots, lock-down, sleep."""
    around = surroundings_of(settings_of(config))
    tuned = {"context": context, "tool_parser": tool_parser}
    env = environment("serve", flavour_of(cpu, cuda))
    commands = [command_of(around, one, env, base, tuned) for one in servers_of(around, server)]
    if output is not None:
        if len(commands) > 1:
            raise MisuseError("the settings name several servers", "choose one with --server for --output")
        write(output, commands[0].script, force=force, mode=0o755)
    tell([_command_row(command) for command in commands], "\n".join(command.shell for command in commands),
          as_json=as_json, written=output)  # fmt: skip


@app.command("opencode", epilog="Example: flywheel emit opencode --output opencode.json --merge")
def opencode(
    lines: Lines = None,
    model: Annotated[str | None, typer.Option("--model", help="The line that opencode asks by default.")] = None,
    gateway: Annotated[str | None, typer.Option("--gateway", help="Its address (else the settings').")] = None,
    context: Context = None,
    merge: Annotated[bool, typer.Option("--merge", help="Add it to the file; all else there stays as it is.")] = False,
    output: Output = None,
    force: Force = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Say what opencode's configuration needs: a provider with every line, an agent for each language."""
    around = surroundings_of(settings_of(config))
    chosen = _chosen(around.lines, lines, clean_room=False)
    if not chosen:
        raise SettingsError("no line of the settings is for opencode", 'switch one on: lines = ["build-python"]')
    contexts = contexts_of(around, context)
    block = opencode_block((gateway or _gateway(around)).rstrip("/"), chosen, contexts, _key(around.settings.home))
    if model is not None:
        block["model"] = f"{PROVIDER}/{_known(model, chosen)}"
    for name in chosen if not as_json else ():
        if name not in contexts:
            note(f"nobody says how long a context line {name} may have: name it with --context")
    if merge:
        _merge(_needed(output), block)
    elif output is not None:
        write(output, _text(block), force=force)
    tell(block, _text(block), as_json=as_json, written=output)


@app.command("overrides", epilog="Example: flywheel emit overrides")
def overrides(
    lines: Lines = None,
    context: Annotated[int | None, typer.Option("--context", min=1, help="Say this context_window with each.")] = None,
    output: Output = None,
    force: Force = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Say which model each stage of a clean-room agent asks the gateway for."""
    around = surroundings_of(settings_of(config))
    chosen = _chosen(around.lines, lines, clean_room=True)
    bases = {name: around.bases[line.base].served_as for name, line in chosen.items()}
    sources = [source for source in around.settings.sources if isinstance(source, CleanRoomSource)]
    roles = {line: role for source in sources for line, role in source.roles.items()}
    found = overrides_of(chosen, bases, roles, context)
    if output is not None:
        write(output, found.toml, force=force)
    tell(found.model_dump(mode="json"), found.toml, as_json=as_json, written=output)


def _command_row(command: ServerCommand) -> dict[str, Any]:
    return {**command.model_dump(mode="json", exclude={"groups"}), "argv": command.argv}


def _chosen(lines: Mapping[str, Line], named: list[str] | None, *, clean_room: bool) -> dict[str, Line]:
    """Return the lines of one agent, or those that a person named."""
    for name in named or ():
        _known(name, lines)
    return {name: line for name, line in lines.items()
            if (name in named if named else is_clean_room(line) is clean_room)}  # fmt: skip


def _known(name: str, lines: Mapping[str, Line]) -> str:
    if name not in lines:
        raise MisuseError(f"{name!r} is not a line of the settings", f"lines: {', '.join(lines) or 'none'}")
    return name


def _gateway(around: Surroundings) -> str:
    if not around.settings.gateway.host:
        raise SettingsError("the gateway listens at its socket alone, and opencode asks an address", "set gateway.host")
    return around.gateway


def _key(home: Path) -> str:
    """Return how opencode finds its key, where the gateway asks for one; a file we may not read means that it does."""
    try:
        asked = bool(KeyFile(gateway_key_file(home)).read())
    except SettingsError:
        asked = True
    return f"{{env:{KEY_VARIABLE}}}" if asked else ""


def _needed(output: Path | None) -> Path:
    if output is None:
        raise MisuseError(
            "--merge needs the file to merge into", "name it with --output, as in ~/.config/opencode/opencode.json"
        )
    return output


def _merge(path: Path, block: Block) -> None:
    path = path.expanduser().resolve()
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    try:
        before = read(text or "{}").value
        for way, value in to_set(before, block):
            text = set_value(text or "{}", way, value)
    except ValueError as error:
        raise MisuseError(f"{path} cannot be added to: {error}", "mend that place") from error
    for place in kept(before, block):
        note(f"kept as it was: {place}")
    write(path, text if text.endswith("\n") else f"{text}\n", force=True, mode=_mode(path))


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777 if path.exists() else 0o644


def _text(block: Block) -> str:
    return set_value("{}", (), block) + "\n"
