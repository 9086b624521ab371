"""`flywheel suites list | show | import | adopt | rotate`: what lines are measured on, and where it comes from."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from flywheel.cli.contexts import AsJson, Config, Limit, LineOption, err, out, reading, show_json, show_table
from flywheel.cli.listings import Name, one_row, show_facts
from flywheel.cli.requests import Reason, Wait, ask_of
from flywheel.core.errors import CorruptError, MisuseError
from flywheel.core.suites import Suite
from flywheel.store.reports import spent_on
from flywheel.store.suites import suite_by_hash, suites
from flywheel.store.wishes import Wish

_STATES = ("line", "name", "origin", "state", "problems", "groups", "judged", "alpha_spent", "hash")
OfLine = Annotated[str, typer.Option("--line", "-l", help="A line of the settings.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands that change suites to the `suites` noun."""
    app.command("import", epilog="Example: flywheel suites import lcb6 ./test6.jsonl --line python-lora")(import_)
    app.command("adopt", epilog="Example: flywheel suites adopt tool-calling --line tool-calling")(adopt)
    app.command("rotate", epilog="Example: flywheel suites rotate tool-calling --reason 'new repos'")(rotate)


def list_(line: LineOption = None, limit: Limit = 50, as_json: AsJson = False, config: Config = None) -> None:
    """List suites, newest first, with how they stand and what of their budget is spent."""
    with reading(config) as (_, store), store.read() as session:
        found = [_row(one, *spent_on(session, one.hash)) for one in reversed(suites(session, line))][:limit]
    if as_json:
        show_json(found)
    else:
        show_table(f"{len(found)} suites", _STATES, found)


def show(name: Name, as_json: AsJson = False, config: Config = None) -> None:
    """Show a suite: how it stands, its categories, and what was left out of it and why."""
    with reading(config) as (settings, store), store.read() as session:
        found = suite_by_hash(session, str(_named(session, name)["hash"]))
        if found is None:
            raise MisuseError(f"there is no suite {name!r}", "see `flywheel suites list`")
        row = _row(found, *spent_on(session, found.hash))
    facts = {**row, **_manifest(settings.home / "suites" / found.hash)}
    if as_json:
        show_json(facts)
    else:
        show_facts(facts)


def import_(
    name: Annotated[str, typer.Argument(help="What the suite is to be called.")],
    file: Annotated[Path, typer.Argument(help="JSON lines or JSON; packed by gzip or not.")],
    line: OfLine,
    shape: Annotated[
        str, typer.Option("--shape", help="livecodebench, apps, humaneval, flywheel; auto looks.")
    ] = "auto",
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many problems.")] = None,
    reason: Reason = "",
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for the daemon; 0 does not wait.")] = 60,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Import a suite that others made: every row that is no problem, or that the house knows, is counted."""
    from flywheel.gate.foreign_suites import staging  # the gate's room: only where it is asked for
    from flywheel.gate.imports import Order, stage

    with reading(config) as (settings, _):
        _check_line(line, settings.lines)
        folder = staging(settings.home / "suites")
    _check_name(name)
    order = Order(name=name, path=file.expanduser(), shape=shape, limit=limit)
    with _progress() as say:
        digest, staged = stage(order, folder, say)
    if not as_json:
        _tell(staged.model_dump())
    body = {"staged": digest, **staged.model_dump(mode="json", exclude={"sha256"})}
    ask_of(Wish(kind="import", subject=name, reason=reason, body=body), line, wait, as_json, config)


def adopt(
    name: Annotated[str, typer.Argument(help="An imported suite, the beginning of its hash, or a starter.")],
    line: OfLine,
    reason: Reason = "",
    wait: Wait = 10,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Measure a line on an imported suite or a starter from now on; the suite before it is retired."""
    with reading(config) as (settings, _):
        _check_line(line, settings.lines)
    ask_of(Wish(kind="adopt", subject=name, reason=reason), line, wait, as_json, config)


def rotate(
    line: Annotated[str, typer.Argument(help="A line of the settings.")],
    reason: Reason = "",
    wait: Wait = 10,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Replace a line's suite: by rows held out since, by an imported one, or as soon as a dataset holds rows out."""
    with reading(config) as (settings, _):
        _check_line(line, settings.lines)
    ask_of(Wish(kind="rotate", subject=line, reason=reason), line, wait, as_json, config)


def _row(suite: Suite, judged: int, spent: float) -> dict[str, Any]:
    state = "live, to be replaced" if suite.live and suite.due else "live" if suite.live else "retired"
    if not suite.live and not suite.retired and suite.origin == "imported":
        state = "waiting"
    return {
        **suite.model_dump(include={"line", "name", "origin", "problems", "groups", "hash", "dataset", "live", "seq"}),
        "state": state, "judged": judged, "alpha_spent": round(spent, 6),
    }  # fmt: skip


def _named(session: Any, name: str) -> dict[str, Any]:
    """Return the suite that is meant by its name, its hash or the beginning of one."""
    called = [one for one in suites(session) if one.name == name]
    if len(called) == 1:
        return called[0].model_dump()
    if called:
        raise MisuseError(f"{len(called)} suites are called {name!r}", "give the beginning of a hash")
    return one_row(session, "suites", name)


def _manifest(folder: Path) -> dict[str, Any]:
    from flywheel.gate.suites import read_manifest

    try:
        kept = read_manifest(folder).model_dump(mode="json")
    except CorruptError as error:
        return {"files": str(error)}
    told = ("metric", "kinds", "categories", "left_out", "tests_left_out", "read", "times", "format")
    return {name: kept[name] for name in told if kept[name]}


def _check_line(line: str, lines: tuple[str, ...] | list[str]) -> None:
    if line not in lines:
        raise MisuseError(f"{line!r} is not a line of the settings", f"lines: {', '.join(lines) or 'none'}")


def _check_name(name: str) -> None:
    if not name.isprintable() or not name.strip() or len(name) > 60 or "/" in name:  # noqa: PLR2004 - a name for a table
        raise MisuseError(f"{name[:60]!r} is no name for a suite", "short, without slashes")


def _tell(staged: dict[str, Any]) -> None:
    out.print(f"read {staged['read']} rows as {staged['shape']}: {staged['problems']} problems", markup=False)
    for reason, count in sorted(staged["rejected"].items(), key=lambda item: -item[1]):
        out.print(f"left out {count:,}: {reason}", markup=False)
    for reason, count in sorted(staged["tests_left_out"].items(), key=lambda item: -item[1]):
        out.print(f"left out {count:,} tests: {reason}", markup=False)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show on standard error how far it is, where a person looks on."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("reading", total=None)
        yield lambda read, total: progress.update(task, completed=read, total=total)
