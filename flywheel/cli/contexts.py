"""What every command needs: settings, a store to read, and a way to answer people and programs."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from flywheel.core.errors import SettingsError
from flywheel.daemon.settings import Settings, find_settings, load_settings
from flywheel.store.stores import Store, open_store

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file (else $FLYWHEEL_CONFIG, ~/.config/flywheel, /etc/flywheel)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of words.")]
LineOption = Annotated[str | None, typer.Option("--line", "-l", help="Only this line.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most this many, newest first.")]

_NO_TERMINAL = 160  # columns, where nobody says how many there are


def _console(*, stderr: bool = False) -> Console:
    person = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=None if person else _NO_TERMINAL)


out = _console()
err = _console(stderr=True)


def settings_of(config: Path | None) -> Settings:
    """Return the settings a command is to use."""
    return load_settings(find_settings(config))


@contextmanager
def reading(config: Path | None) -> Iterator[tuple[Settings, Store]]:
    """Give settings and store; a store that was never made is said, not created."""
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
