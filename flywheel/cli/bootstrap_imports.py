"""`flywheel bootstrap import | datasets`: lessons from the files of open datasets."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from flywheel.cli.contexts import AsJson, Config, check_line, err, out, settings_of, show_json, show_table
from flywheel.core.errors import PermanentError


def import_files(
    name: Annotated[str, typer.Argument(help="The dataset: `flywheel bootstrap datasets` lists those that are read.")],
    files: Annotated[list[Path], typer.Argument(help="Its files: JSON lines, packed by gzip or not, or Parquet.")],
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="Draw so many rows.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed draws the same rows.")] = 0,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many rows that teach.")] = None,
    line: Annotated[str | None, typer.Option("--line", "-l", help="For this line alone.")] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", help="The licence of rows that name none; else as it was published.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Make examples of an open dataset; every row that teaches nothing is counted; goes on where it stopped."""
    from flywheel.bootstrap.dataset_files import print_of
    from flywheel.bootstrap.dataset_readers import reader_of
    from flywheel.bootstrap.import_orders import Order

    settings = settings_of(config)
    check_line(settings, line)
    reader = reader_of(name)
    named = sorted((path.expanduser() for path in files), key=lambda path: (path.name, str(path)))
    prints = tuple((path, print_of(path)) for path in named)
    order = Order(name, prints, licence or reader.licence, line, sample, seed, limit)
    report = _import(order, settings, quiet=as_json)
    if as_json:
        show_json(_body(order, report))
    else:
        _show(order, report)
    if not report.kept:
        raise PermanentError(f"none of the {report.rows} rows teaches anything", "see the reasons above")


def show_datasets(as_json: AsJson = False) -> None:
    """List the open datasets that are read: their licences as published, and the columns that are looked at."""
    from flywheel.bootstrap.dataset_readers import READERS

    rows = [{"name": name, "licence": one.licence, "published": f"{one.published:%Y-%m}", "proved": one.proves,
             "columns": list(one.columns)} for name, one in sorted(READERS.items())]  # fmt: skip
    if as_json:
        show_json(rows)
        return
    show_table("", ("name", "licence", "published", "proved"), [
        {**row, "proved": "in the sandbox" if row["proved"] else ""} for row in rows])  # fmt: skip


def _import(order: Any, settings: Any, *, quiet: bool) -> Any:
    from flywheel.bootstrap.imports import Tools, import_dataset
    from flywheel.bootstrap.shelves import Shelf
    from flywheel.proc.environments import environment
    from flywheel.sandbox.clients import Executor

    python = settings.train_python or environment("train").python
    socket = settings.executor.socket or settings.home / "executor.sock"
    with Shelf(settings.home / "bootstrap.db") as shelf, _bar(quiet=quiet) as say:
        # Twice as many programs as there are boxes: one is sent while another runs.
        tools = Tools(Executor(socket), python, 2 * settings.executor.workers, say)
        return asyncio.run(import_dataset(order, shelf, tools))


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Callable[[Any], None]]:
    """Give a bar by what of a file was read; where nobody looks, nothing."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[kept]}"),
    )
    with Bar(*columns, console=err, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task("", total=None, kept="")

        def say(progress: Any) -> None:
            kept = f"{progress.report.kept} of {progress.report.rows} rows"
            what = f"{progress.phase} {progress.file}"
            bar.update(task, description=what, completed=progress.read, total=progress.of, kept=kept)

        yield say


def _body(order: Any, report: Any) -> dict[str, Any]:
    return {
        "dataset": order.dataset, "files": [str(path) for path, _ in order.files], "line": order.line,
        "sample": order.sample, "seed": order.seed, "rows": report.rows, "kept": report.kept,
        "makings": report.makings, "licences": report.licences, "rejected": report.rejected, "firsts": report.firsts,
    }  # fmt: skip


def _show(order: Any, report: Any) -> None:
    licences = ", ".join(f"{name}: {count}" for name, count in sorted(report.licences.items()))
    told = f"{order.dataset}: {report.kept} of {report.rows} rows teach, in {report.makings} examples"
    out.print(f"{told} ({licences})" if licences else told, markup=False)
    if report.rejected:
        counted = sorted(report.rejected.items(), key=lambda pair: (-pair[1], pair[0]))
        show_table("", ("rows", "teach nothing because", "the first"), [
            {"rows": count, "teach nothing because": reason, "the first": ", ".join(report.firsts.get(reason, []))}
            for reason, count in counted])  # fmt: skip
