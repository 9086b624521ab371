"""`flywheel env create | list`."""

from typing import Annotated, get_args

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from flywheel.cli.contexts import AsJson, err, out, show_json, show_table
from flywheel.core.errors import MisuseError
from flywheel.proc.environments import (
    KINDS,
    TRAINER_KINDS,
    Environment,
    Flavour,
    Kind,
    create,
    environment,
    why_not,
)

app = typer.Typer(help="Build the environments that training and serving need.", no_args_is_help=True)

Kinds = Annotated[
    list[str] | None,
    typer.Argument(
        help="core, train, serve, or another trainer's: unsloth, llama-factory, mlx; "
        "the first three, as far as they can run here, when none is named."
    ),
]
Cpu = Annotated[bool, typer.Option("--cpu", help="The CPU build, whatever this machine has.")]
Cuda = Annotated[bool, typer.Option("--cuda", help="The CUDA build, whatever this machine has.")]


@app.command("create", epilog="Example: flywheel env create train serve --cpu")
def create_(kinds: Kinds = None, cpu: Cpu = False, cuda: Cuda = False, as_json: AsJson = False) -> None:
    """Build environments from the shipped lock files; one that is whole already costs nothing."""
    if cpu and cuda:
        raise MisuseError("--cpu and --cuda exclude each other", "leave both away to let the machine decide")
    flavour: Flavour | None = "cpu" if cpu else "cuda" if cuda else None
    chosen = [environment(kind, flavour) for kind in _kinds(kinds)]
    for env in chosen:
        if not kinds and (reason := why_not(env)):
            told = f"{env.kind}: left out, {reason}; the shipped double serves instead"
        else:
            build(env)
            told = f"{env.kind} ({env.flavour}): {env.folder}"
        if not as_json:
            out.print(told)
    if as_json:
        show_json([_row(env) for env in chosen])


@app.command("list", epilog="Example: flywheel env list --json")
def list_(as_json: AsJson = False) -> None:
    """List the environments this machine would use and whether they are whole."""
    rows = [_row(environment(kind)) for kind in (*KINDS, *TRAINER_KINDS)]
    if as_json:
        show_json(rows)
    else:
        show_table("environments", ("kind", "flavour", "state", "folder"), rows)


def _row(env: Environment) -> dict[str, str]:
    state = "whole" if env.whole else (why_not(env) or "not built")
    return {
        "kind": env.kind,
        "flavour": env.flavour,
        "state": state,
        "folder": str(env.folder),
        "python": str(env.python),
    }


def _kinds(kinds: list[str] | None) -> tuple[Kind, ...]:
    known = get_args(Kind)
    for kind in kinds or ():
        if kind not in known:
            raise MisuseError(f"there is no environment {kind!r}", f"choose from {', '.join(known)}")
    return tuple(kind for kind in (*KINDS, *TRAINER_KINDS) if kind in (kinds or KINDS))


def build(env: Environment) -> None:
    """Build an environment with a bar; say where it is."""
    if env.whole:
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[what]}"),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(f"{env.kind} ({env.flavour})", total=None, what="")
        last = [""]

        def say(done: int, total: int, what: str) -> None:
            progress.update(task, completed=done, total=total, what=what)
            if not err.is_terminal and what != last[0] and done % 20 == 0:
                err.print(f"{env.kind} ({env.flavour}): {done} of {total} {what}")
            last[0] = what

        create(env, say)
