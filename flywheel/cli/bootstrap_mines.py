"""`flywheel bootstrap mine`: lessons from the histories of local clones."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from flywheel.bootstrap.chunk_miners import Way
from flywheel.bootstrap.miners import Progress, mine
from flywheel.bootstrap.repos import Repo, look_at
from flywheel.bootstrap.shelves import Shelf
from flywheel.cli.contexts import AsJson, Config, check_line, err, out, settings_of, show_json, show_table
from flywheel.core.errors import MisuseError

Say = Any


def mine_repos(
    repos: Annotated[list[Path], typer.Argument(help="Local clones; nothing is written there.")],
    own: Annotated[
        bool, typer.Option("--own", help="They are yours: of any size and kind, and never foreign.")
    ] = False,
    author: Annotated[
        list[str] | None, typer.Option("--author", help="Only commits by this address; may be given again.")
    ] = None,
    line: Annotated[str | None, typer.Option("--line", help="For this line alone, whatever the lines select.")] = None,
    processes: Annotated[int, typer.Option("--processes", min=1, max=64, help="So many at once.")] = os.cpu_count()
    or 1,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Make examples of the small, well-told commits of local clones; goes on where it stopped."""
    settings = settings_of(config)
    check_line(settings, line)
    looked = [look_at(path) for path in repos]
    refused = {} if own else {repo.name: repo.reason_against for repo in looked if repo.reason_against}
    if len(refused) == len(looked):
        raise MisuseError(
            f"{looked[0].name} is not mined: {refused[looked[0].name]}", "--own mines your own in any case"
        )
    way = Way(own, frozenset(address.lower() for address in author or ()), line, processes)
    with Shelf(settings.home / "bootstrap.db") as shelf:
        rows = [_mine(repo, shelf, way, quiet=as_json) for repo in looked if repo.name not in refused]
    if as_json:
        show_json({"repos": rows, "refused": refused})
        return
    for row in rows:
        _show(row)
    for name, reason in refused.items():
        err.print(f"not mined: {name}: {reason}", markup=False)


def _mine(repo: Repo, shelf: Shelf, way: Way, *, quiet: bool) -> dict[str, Any]:
    with _bar(repo, quiet=quiet) as say:
        end = mine(repo, shelf, way, say)
    told = {"repo": repo.name, "licence": repo.licence, "domain": repo.domain, "lines": repo.lines}
    return {**told, "commits": end.done, "makings": end.makings, "counts": end.counts,
            "poor_messages": end.poor}  # fmt: skip


@contextmanager
def _bar(repo: Repo, *, quiet: bool) -> Iterator[Say]:
    """Give a bar by commits; where nobody looks, nothing."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn(repo.name),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[kept]}"),
    )
    with Bar(*columns, console=err, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task("", total=None, kept="")

        def say(progress: Progress) -> None:
            kept = f"{progress.counts.get('kept', 0)} lessons"
            bar.update(task, completed=progress.done, total=progress.of, kept=kept)

        yield say


def _show(row: dict[str, Any]) -> None:
    out.print(
        f"{row['repo']}: {row['makings']} examples of {row['commits']} commits (licence {row['licence']})", markup=False
    )
    if row["poor_messages"]:
        out.print(f"{row['poor_messages']} commits wait for a better message: a teacher can write it", markup=False)
    counted = sorted(row["counts"].items(), key=lambda pair: -pair[1])
    show_table("", ("commits", "what became of them"),
               [{"commits": count, "what became of them": reason} for reason, count in counted])  # fmt: skip
