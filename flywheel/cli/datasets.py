"""`flywheel datasets validate | export`: looking a foreign folder through, and taking a dataset out of the house."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from flywheel.cli.contexts import AsJson, Config, err, out, reading, show_json, show_table
from flywheel.cli.listings import Name, one_row
from flywheel.core.errors import MisuseError
from flywheel.core.examples import DatasetManifest
from flywheel.core.ids import short
from flywheel.core.lineages import Lineage
from flywheel.core.pairs import Preference
from flywheel.curate.exports import Exported, Order, export_pairs, export_rows
from flywheel.curate.row_rules import RULES
from flywheel.curate.shapes import LESSON_SHAPES, PREFERENCE, SHAPES, UNPAIRED
from flywheel.curate.validations import Inspection, Problem, Shares, Validation
from flywheel.store.lineages import lineages, outcome_lineages
from flywheel.store.pairs import pair_lineages, pairs_of
from flywheel.store.stores import Store

_SHAPES = (*SHAPES, *LESSON_SHAPES)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the `datasets` noun."""
    app.command("validate", epilog="Example: flywheel datasets validate ./my-dataset --json")(validate)
    app.command("export", epilog="Example: flywheel datasets export 1a2b3c4d --to prompt-completion ./out")(export)


def validate(
    path: Annotated[Path, typer.Argument(help="A folder with train.jsonl, valid.jsonl, test.jsonl; or one file.")],
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="Tell at most so many problems; 0 tells all.")
    ] = 1000,
    least_tools: Annotated[float, typer.Option(min=0, max=1, help="Warn when fewer of the rows call tools.")] = 0.1,
    most_tools: Annotated[float, typer.Option(min=0, max=1, help="Fail when more of the rows call tools.")] = 0.8,
    as_json: AsJson = False,
) -> None:
    """Look a dataset through before it is trained on: every problem with its file and row. Writes nothing."""
    kept: list[Problem] = []
    with _progress() as say:
        inspection = Inspection(path.expanduser(), say, Shares(least_tools, most_tools))
        for count, problem in enumerate(inspection.problems()):
            if limit and count >= limit:
                continue
            if as_json:
                kept.append(problem)
            else:
                out.print(_words(problem), markup=False)
    found = inspection.result()
    left_off = max(0, sum(found.rules.values()) - limit) if limit else 0
    if as_json:
        show_json({**found.model_dump(mode="json"), "fails": found.fails, "left_off": left_off,
                   "problems": [problem.model_dump(mode="json") for problem in kept]})  # fmt: skip
    else:
        _summary(found, left_off)
    if found.fails:
        raise typer.Exit(1)


def export(
    name: Name,
    target: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    to: Annotated[str, typer.Option("--to", help=f"{', '.join(_SHAPES)}.")],
    plain: Annotated[
        bool, typer.Option("--plain", help="With prompt-completion: text instead of messages; render chats yourself.")
    ] = False,
    rehearsal: Annotated[
        bool, typer.Option("--rehearsal/--no-rehearsal", help="Keep the rows that rehearse earlier datasets, or not.")
    ] = True,
    private: Annotated[
        bool, typer.Option("--private", help="It stays with you: of a dataset that holds what has no known licence.")
    ] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Write a dataset in another trainer's shape; searched for secrets again, whole or absent, never over anything."""
    if to not in _SHAPES:
        raise MisuseError(f"there is no shape {to!r}", f"shapes: {', '.join(_SHAPES)}")
    if plain and to != "prompt-completion":
        raise MisuseError(f"--plain does not go with {to}", "it goes with --to prompt-completion")
    order = Order(to, target.expanduser().absolute(), plain, rehearsal)
    with reading(config) as (settings, store):
        with store.read() as session:
            manifest = DatasetManifest.model_validate(one_row(session, "datasets", name)["body"])
        if manifest.private and not private:
            raise MisuseError(
                f"{manifest.private} examples of dataset {short(manifest.hash)} stand under no known licence, "
                "and are not passed on", "--private exports it for yourself alone",
            )  # fmt: skip
        if to == PREFERENCE and "pairs" not in manifest.splits:
            done = export_pairs(manifest, order, _pairs(store, manifest))
        else:
            done = export_rows(
                manifest, settings.home / "datasets" / manifest.hash, order, partial(_lineages, store, to)
            )
    _show(done, manifest, as_json)


def _pairs(store: Store, manifest: DatasetManifest) -> Iterator[Preference]:
    cap = float(manifest.settings.get("dataset", {}).get("session_cap", 0.01))
    with store.read() as session:
        yield from pairs_of(session, manifest.line, cap)


def _lineages(store: Store, shape: str, names: Sequence[str]) -> Mapping[str, Lineage]:
    with store.read() as session:
        if shape == PREFERENCE:
            return pair_lineages(session, names)
        found = lineages(session, names)
        unknown = [name for name, one in found.items() if one.forgotten] if shape == UNPAIRED else []
        return {**found, **outcome_lineages(session, unknown)}  # a bad answer is known by its outcome


def _show(done: Exported, manifest: DatasetManifest, as_json: bool) -> None:
    if as_json:
        show_json({"dataset": manifest.hash, **done.model_dump(mode="json")})
        return
    rows = ", ".join(f"{file} {count:,}" for file, count in done.rows.items())
    out.print(
        f"dataset {short(manifest.hash)} of {manifest.line} as {done.shape} in {done.folder}: {rows}", markup=False
    )
    for reason, count in done.left_out.items():
        out.print(f"left out {count:,}: {reason}", markup=False)
    if done.superseded:
        told = f"{done.superseded:,} rows have lost their evidence since: see `flywheel examples superseded`"
        out.print(told, markup=False)


def _words(problem: Problem) -> str:
    place = f"{problem.file}:{problem.row}" if problem.row else problem.file or "all parts"
    return f"{place}: {problem.level}: {problem.rule}: {problem.reason}"


def _summary(found: Validation, left_off: int) -> None:
    if left_off:
        out.print(f"and {left_off:,} more problems: --limit 0 tells all")
    rows = [{"part": name, **part.model_dump()} for name, part in found.parts.items()]
    show_table("parts", ("part", "rows", "bytes", "characters", "tool_rows"), rows)
    if found.rules:
        broken = [{"rule": rule, "level": RULES[rule][0], "times": count, "what is wanted": RULES[rule][1]}
                  for rule, count in found.rules.items()]  # fmt: skip
        show_table("rules that are broken", ("rule", "level", "times", "what is wanted"), broken)
    verdict = "fails" if found.fails else "passes"
    told = f"{_count(found.errors, 'error')}, {_count(found.warnings, 'warning')}"
    out.print(f"{verdict}: {told}, {found.tool_share:.1%} of the rows call tools")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show on standard error how far it is, where a person looks on."""
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("reading", total=None)
        yield lambda read, total: progress.update(task, completed=read, total=total)
