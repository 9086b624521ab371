"""`flywheel adapters check PATH --base NAME`: whether an adapter made elsewhere fits a base of the settings."""

from pathlib import Path
from typing import Annotated

import typer
from sqlmodel import Session

from flywheel.cli.contexts import AsJson, Config, out, reading, show_json
from flywheel.core.errors import MisuseError, PermanentError
from flywheel.core.training import Base
from flywheel.daemon.bases import known_bases
from flywheel.serve.foreigners import inspect_foreigner
from flywheel.serve.inspections import Demands
from flywheel.store.runs import pinned_base, pinned_parts
from flywheel.train.fingerprints import prints


def add_to(app: typer.Typer) -> None:
    """Add the command to the `adapters` noun."""
    app.command("check", epilog="Example: flywheel adapters check ./my-adapter --base main")(check)


def check(
    path: Annotated[Path, typer.Argument(help="The adapter's folder.")],
    base: Annotated[str, typer.Option("--base", help="A base of the settings.")],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Say whether an adapter, wherever it was made, is whole, sound and of this base; changes nothing."""
    with reading(config) as (settings, store):
        bases = known_bases(settings)
        if base not in bases:
            raise MisuseError(f"{base!r} is not a base of the settings", f"bases: {', '.join(sorted(bases)) or 'none'}")
        rank = max(server.max_lora_rank for server in settings.servers)
        with store.read() as session:
            demands = _demands(session, bases[base], rank)
    found = inspect_foreigner(path.expanduser().absolute(), demands)
    if as_json:
        show_json({"path": str(path), "base": base, "fits": found.wrong is None, **found.model_dump(mode="json")})
    elif found.wrong is not None:
        raise PermanentError(f"{path} does not fit base {base!r}: {found.wrong}")
    else:
        out.print(f"{path} fits base {base!r}, by its {found.by}", markup=False)


def _demands(session: Session, base: Base, rank: int) -> Demands:
    pinned, parts = pinned_base(session, base.name), pinned_parts(session, base.name)
    if pinned is None:
        found = prints(Path(base.path))
        pinned, parts = found.whole, found.parts
    return Demands(base=base, pinned=pinned, largest_rank=rank, parts=parts)
