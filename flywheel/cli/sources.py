"""`flywheel sources list | probe | ingest`."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli.contexts import AsJson, Config, err, out, reading, settings_of, show_json, show_table
from flywheel.core.errors import ConflictError, MisuseError, PermanentError
from flywheel.core.lines import Line
from flywheel.daemon.lines import chosen_lines
from flywheel.daemon.logs import configure_logs
from flywheel.daemon.places import policies_folder
from flywheel.daemon.settings import Settings
from flywheel.policy.loading import load_policies
from flywheel.sources.probes import SOURCES, probe_source
from flywheel.store.counters import counters, cursor

if TYPE_CHECKING:
    from flywheel.daemon.ingestions import Ingestion

app = typer.Typer(help="Look at the watched databases and folders.", no_args_is_help=True)

_POLL_SECONDS = 0.5


@app.command("list", epilog="Example: flywheel sources list --json")
def list_(as_json: AsJson = False, config: Config = None) -> None:
    """List the watched databases, how far each was read and what is wrong with it."""
    with reading(config) as (settings, store), store.read() as session:
        rows = [
            {
                "name": source.name,
                "kind": source.kind,
                "path": str(source.path),
                "problem": str(cursor(session, f"health:{source.name}").get("problem", "")),
                "outcomes": counters(session, f"source:{source.name}"),
            }
            for source in settings.sources
        ]
    if as_json:
        show_json(rows)
    else:
        show_table("sources", ("name", "kind", "path", "problem", "outcomes"), rows)


@app.command("probe", epilog="Example: flywheel sources probe ~/agent/agent.db")
def probe(
    path: Annotated[Path, typer.Argument(help="A database, or a folder of records, that an agent writes.")],
    kind: Annotated[
        str | None, typer.Option("--kind", "-k", help=f"Read it as this: {', '.join(SOURCES)}; else it is found out.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Say what a file or folder is, what it holds, and what cannot be read and why. Writes nothing.

    With --config its outcomes are given to the lines of those settings, and a source they know is read as they say.
    """
    if kind is not None and kind not in SOURCES:
        raise MisuseError(f"there is no kind {kind!r}", f"kinds: {', '.join(SOURCES)}")
    place = path.expanduser().absolute()
    settings = settings_of(config) if config is not None else None
    known = next((source for source in settings.sources if source.path == place), None) if settings else None
    if known is not None and kind not in {None, known.kind}:
        known = None
    report = probe_source(place, known, kind=kind, lines=_lines(settings) if settings else None)
    if as_json:
        show_json(report.model_dump(mode="json"))
    elif report.readable:
        out.print(report.words, markup=False)
    if not report.readable:
        raise PermanentError(f"{report.path} {report.problem}", report.mend)


@app.command("ingest", epilog="Example: flywheel sources ingest --once")
def ingest(
    once: Annotated[
        bool, typer.Option("--once", help="Read what is there and leave; else follow until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Read what is new in every source, as the daemon would; refused while a daemon does so itself."""
    configure_logs()
    settings = settings_of(config)
    if not settings.sources:
        raise MisuseError("the settings name no source", "add [[sources]], see `flywheel sources probe PATH`")
    if as_json and not once:
        raise MisuseError("--json tells of one look", "add --once")
    told: list[str] = []
    with suppress(KeyboardInterrupt):
        failed = asyncio.run(_ingest(settings, once=once, told=None if not as_json else told))
    if as_json:
        show_json({"sentences": told, "failed": failed})
    if once and failed:
        raise PermanentError(f"{len(failed)} source(s) could not be read", failed[0])


async def _ingest(settings: Settings, *, once: bool, told: list[str] | None) -> list[str]:
    from flywheel.daemon.ingestions import ingesting  # every room: only where something is read

    try:
        async with ingesting(settings) as ingestion:
            failed = await _read_all(ingestion, told)
            while not once:
                await asyncio.sleep(_POLL_SECONDS)
                if await ingestion.changed():
                    await _read_all(ingestion, told)
            return failed
    except ConflictError as error:
        mend = "it ingests by itself: see `flywheel status`; `flywheel sources probe` may look beside it"
        raise ConflictError(error.message, mend) from error


async def _read_all(ingestion: "Ingestion", told: list[str] | None) -> list[str]:
    """Look until nothing is left to read; each look tells how far it got."""
    first = True
    while True:
        report = await ingestion.look()
        for sentence in (*report.done, *report.stopped, *([] if report.done or not first else ["nothing new"])):
            _tell(sentence, told)
        for sentence in report.failed:
            err.print(sentence, markup=False)
        if not report.changed:
            return list(report.failed)
        first = False


def _tell(sentence: str, told: list[str] | None) -> None:
    if told is None:
        out.print(sentence, markup=False)
    else:
        told.append(sentence)


def _lines(settings: Settings) -> Mapping[str, Line]:
    return chosen_lines(settings, load_policies(policies_folder(settings)))
