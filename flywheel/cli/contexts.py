"""What every command needs: settings, a store to read, and a way to answer people and programs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from flywheel.cli.consoles import err, out
from flywheel.core.errors import MisuseError, SettingsError
from flywheel.daemon.settings import Settings, find_settings, load_settings

if TYPE_CHECKING:
    from flywheel.store.stores import Store

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file (else $FLYWHEEL_CONFIG, ~/.config/flywheel, /etc/flywheel)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of words.")]
LineOption = Annotated[str | None, typer.Option("--line", "-l", help="Only this line.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most this many, newest first.")]

__all__ = ["AsJson", "Config", "Limit", "LineOption", "err", "out", "reading", "settings_of", "show_json", "show_table"]


def settings_of(config: Path | None) -> Settings:
    """Return the settings a command is to use."""
    return load_settings(find_settings(config))


def check_line(settings: Settings, line: str | None) -> None:
    """Refuse a line that the settings do not name; none at all is fine."""
    if line is not None and line not in settings.lines:
        raise MisuseError(f"there is no line {line!r} in the settings", f"lines: {', '.join(sorted(settings.lines))}")


@contextmanager
def reading(config: Path | None) -> Iterator[tuple[Settings, "Store"]]:
    """Give settings and store; a store that was never made is said, not created."""
    from flywheel.store.stores import open_store

    settings = settings_of(config)
    url = settings.store_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        raise SettingsError(
            f"there is no store at {url.removeprefix('sqlite:///')}", "start the daemon once: `flywheel run`"
        )
    with open_store(url) as store:
        yield settings, store


def show_json(value: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def show_table(title: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as a table that stays readable."""
    table = Table(title=title, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*[_cell(row.get(column)) for column in columns])
    out.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"  # noqa: RUF001 - a dash is what a table shows for nothing
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    return text if len(text) <= 64 else text[:61] + "…"  # noqa: PLR2004 - a column a person can read
