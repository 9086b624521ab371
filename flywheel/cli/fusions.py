"""`flywheel adapters fuse ADAPTER --as BASE`: a request to the daemon, which asks the guardrails first."""

from typing import Annotated

import typer

from flywheel.cli.contexts import AsJson, Config
from flywheel.cli.requests import Adapter, Reason, Wait, ask
from flywheel.store.wishes import Wish


def add_to(app: typer.Typer) -> None:
    """Add the command to the `adapters` noun."""
    app.command("fuse", epilog="Example: flywheel adapters fuse tool-calling@1 --as main-1")(fuse)


def fuse(
    name: Adapter,
    base: Annotated[str, typer.Option("--as", help="What the new base is called, as in main-1.")],
    reason: Reason = "",
    wait: Wait = 10,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Fuse an adapter into a copy of its base, to train on; refused unless the operator changed the guardrails."""
    ask(Wish(kind="fuse", subject=name, reason=reason, body={"base": base}), wait, as_json, config)
