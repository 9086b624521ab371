"""`flywheel adapters export NAME --to adapter|merged|gguf|ollama --out DIR`: an adapter, taken out of the loop."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from flywheel.cli.contexts import AsJson, Config, err, out, reading, show_json
from flywheel.cli.requests import Adapter
from flywheel.core.errors import MisuseError
from flywheel.daemon.bases import known_bases
from flywheel.daemon.settings import Settings
from flywheel.proc.environments import environment
from flywheel.store.prunings import refuse_pruned
from flywheel.store.runs import adapter_by_name
from flywheel.store.stores import Store
from flywheel.train.exports import (
    PRECISIONS,
    TARGETS,
    Export,
    ExportOrder,
    ExportTools,
    Target,
    converter_in,
    export,
)


def add_to(app: typer.Typer) -> None:
    """Add the command to the `adapters` noun."""
    app.command("export", epilog="Example: flywheel adapters export tool-calling@1 --to ollama --out ./tool-calling")(
        export_
    )


def export_(
    name: Adapter,
    to: Annotated[str, typer.Option("--to", help="adapter, merged, gguf or ollama.")] = "adapter",
    folder: Annotated[Path | None, typer.Option("--out", help="A folder that is not there yet.")] = None,
    precision: Annotated[
        str, typer.Option("--type", help="Numbers of a GGUF: auto (the base's), f32, f16, bf16, q8_0.")
    ] = "auto",
    beside: Annotated[
        bool, typer.Option("--beside", help="A GGUF of the adapter alone, not added to the base.")
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help="It stays with you: of what learned from what has no known licence.")
    ] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Export an adapter, load the export again, and compare its answers with the adapter's own."""
    if to not in TARGETS:
        raise MisuseError(f"there is no export to {to!r}", f"choose from {', '.join(TARGETS)}")
    if precision not in PRECISIONS:
        raise MisuseError(f"there is no type {precision!r}", f"choose from {', '.join(PRECISIONS)}")
    if folder is None:
        raise MisuseError("an export needs a folder", "add --out DIR")
    with reading(config) as (settings, store):
        order = _order(settings, store, name, to, folder.expanduser().absolute())
        tools = ExportTools(
            python=settings.train_python or environment("train").python,
            llama_cpp=converter_in(settings.export.llama_cpp),
        )
    asked = {"precision": precision, "beside": beside, "private": private}
    done = _export(order.model_copy(update=asked), tools)
    _show(done, as_json)


def _order(settings: Settings, store: Store, name: str, to: Target, target: Path) -> ExportOrder:
    with store.read() as session:
        found = adapter_by_name(session, name)
    if found is None:
        raise MisuseError(f"there is no adapter {name!r}", "see `flywheel adapters list`")
    refuse_pruned(found)
    base = known_bases(settings).get(found.manifest.base_name)
    if base is None:
        raise MisuseError(
            f"the settings define no base {found.manifest.base_name!r}", f"add [bases.{found.manifest.base_name}] again"
        )
    prompts = settings.home / "datasets" / found.manifest.dataset / "train.jsonl"
    return ExportOrder(
        to=to, out=target, manifest=found.manifest, folder=Path(found.path), base=base, prompts=prompts
    )  # fmt: skip


def _export(order: ExportOrder, tools: ExportTools) -> Export:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[what]}"))
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(f"export {order.manifest.name}", total=None, what="")

        def say(done: int, total: int, what: str) -> None:
            progress.update(task, completed=done, total=total, what=what)
            if not err.is_terminal:
                err.print(f"{done} of {total}: {what}", markup=False)

        return export(order, tools, say)


def _show(done: Export, as_json: bool) -> None:
    if as_json:
        show_json(done.model_dump(mode="json"))
        return
    out.print(f"{done.adapter} is exported to {done.out} ({done.to})", markup=False)
    told = done.compared
    if "prompts" in told:
        out.print(
            f"loaded again: {told['same_answers']} of {told['prompts']} answers are the adapter's own, "
            f"logits are off by {told['largest_gap']:.2%} of their spread at most"
        )
