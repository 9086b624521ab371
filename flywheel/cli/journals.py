"""`flywheel reports show | open | journal`: one report for people, its page, and the page over all of a line."""

import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from flywheel.cli.contexts import AsJson, Config, err, out, reading, show_json, show_table
from flywheel.cli.listings import one_row
from flywheel.core.errors import MisuseError, PermanentError, ResourceError
from flywheel.core.verdicts import Report
from flywheel.gate.journals import Entry, render_journal
from flywheel.proc.files import write_file
from flywheel.store.reports import StoredReport, report_by_id, reports
from flywheel.store.runs import adapter_by_name, adapters

ReportName = Annotated[str, typer.Argument(help="A report, or the beginning of its name; or an adapter, for its last.")]
LineName = Annotated[str, typer.Argument(metavar="LINE", help="A line with evaluations.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where the page goes; else among the reports' pages.")]

_CATEGORIES = ("category", "problems", "base", "candidate", "difference", "estimate")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the `reports` noun; `show` is listed with the others."""
    app.command("open", epilog="Example: flywheel reports open plan@3")(open_)
    app.command("journal", epilog="Example: flywheel reports journal plan --out journal.html")(journal)


def show(name: ReportName, as_json: AsJson = False, config: Config = None) -> None:
    """Show one report: its verdict, every check with its number, the categories, and where its page lies."""
    with reading(config) as (settings, store), store.read() as session:
        row = _row(session, name)
    page = settings.home / "reports" / f"{row['id']}.html"
    if as_json:
        show_json(row | {"page": str(page) if page.is_file() else None})
        return
    report = Report.model_validate(row["body"])
    out.print(f"{row['id']}, measured {row['at']}", markup=False)
    out.print(report.sentence, markup=False, style="bold")
    for check in report.checks:
        out.print(f"  {check.verdict.value:<21} {check.name}: {check.sentence}", markup=False)
    _show_categories(report)
    out.print(f"page: {page}" if page.is_file() else "its page is not there any more", markup=False)


def open_(name: ReportName, as_json: AsJson = False, config: Config = None) -> None:
    """Open a report's page in the browser; where there is none, say where the page lies."""
    with reading(config) as (settings, store), store.read() as session:
        row = _row(session, name)
    page = settings.home / "reports" / f"{row['id']}.html"
    if not page.is_file():
        raise PermanentError(f"{row['id']} has no page any more", f"see `flywheel reports show {row['id']}`")
    if not as_json:
        out.print(str(page), markup=False)
    opened = webbrowser.open(page.as_uri())
    if as_json:
        show_json({"report": row["id"], "page": str(page), "opened": opened})
    elif not opened:
        err.print("no browser was found to open it with", markup=False)


def journal(line: LineName, page: Out = None, as_json: AsJson = False, config: Config = None) -> None:
    """Write one page over all evaluations of a line, with a chart over time."""
    with reading(config) as (settings, store), store.read() as session:
        stored = reports(session, line=line)
        names = {adapter.hash: adapter.name for adapter in adapters(session, line)}
    if not stored:
        raise MisuseError(f"nothing of line {line!r} was measured", "see `flywheel reports list`")
    folder = settings.home / "reports"
    entries = [_entry(one, names, folder, beside=page is None) for one in stored]
    if as_json:
        show_json([_told(one) for one in entries])
        return
    target = page or folder / f"journal-{line}.html"
    try:
        write_file(target.absolute(), render_journal(line, entries).encode())
    except OSError as error:
        raise ResourceError(f"{target} cannot be written: {error.strerror or error}") from error
    out.print(f"{len(entries)} evaluations of {line}: {target}", markup=False)


def _row(session: Session, name: str) -> dict[str, Any]:
    """Return the report a person means: by its name, or the last one of an adapter."""
    adapter = None if report_by_id(session, name) else adapter_by_name(session, name)
    if adapter is None:
        return one_row(session, "reports", name)
    found = reports(session, adapter=adapter.hash)
    if not found:
        raise MisuseError(f"{name} was not measured", "see `flywheel reports list`")
    return one_row(session, "reports", found[-1].id)


def _entry(stored: StoredReport, names: dict[str, str], folder: Path, *, beside: bool) -> Entry:
    """Return a journal's entry; it links the report's page only where that lies beside the journal."""
    file = folder / f"{stored.id}.html"
    name = names.get(stored.report.adapter, stored.report.adapter[:8])
    return Entry(name, stored.at, stored.report, file.name if beside and file.is_file() else "")


def _told(one: Entry) -> dict[str, Any]:
    report = one.report
    return {
        "adapter": one.adapter, "at": one.at.isoformat(), "verdict": report.verdict.value, "suite": report.suite,
        "gate": report.gate, "alpha_spent": report.alpha_spent, "numbers": report.numbers, "sentence": report.sentence,
    }  # fmt: skip


def _show_categories(report: Report) -> None:
    rows = [
        {
            "category": name, "problems": f"{one.get('problems') or 0:.0f}", "base": _percent(one.get("base")),
            "candidate": _percent(one.get("candidate")), "difference": _points(one.get("difference")),
            "estimate": _points(one.get("shrunk")),
        }
        for name, one in sorted(report.categories.items())
    ]  # fmt: skip
    if rows:
        show_table(f"{len(rows)} categories", _CATEGORIES, rows)


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.1f} %"


def _points(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:+.1f}"
