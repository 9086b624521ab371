"""What the person in front of the demo sees: a line for each thing that happened, a bar for what is under way."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from flywheel.core.events import Event

SHOWN = (
    "curate.dataset_frozen",
    "gate.suite_frozen",
    "train.",
    "gate.measurement_started",
    "gate.adapter_passed",
    "gate.adapter_failed",
    "policy.intent_held",
    "policy.intent_refused",
    "rollout.",
    "serve.adapter_loaded",
    "serve.adapter_unloaded",
    "serve.aliases_flipped",
    "operator.",
)

EVERY_SECONDS = 10.0  # how often a bar speaks where nobody can see it move


class Bar:
    """One bar that can be moved; where there is no terminal, a line now and then."""

    def __init__(self, progress: Progress, task: TaskID, say: Callable[[str], None] | None) -> None:
        """Move this task of this display, or say how far it is."""
        self._progress = progress
        self._task = task
        self._say = say
        self._next = time.monotonic() + EVERY_SECONDS

    def move(self, done: int, of: int | None, what: str = "") -> None:
        """Say how far it is."""
        self._progress.update(self._task, completed=done, total=of, what=what)
        if self._say is not None and time.monotonic() > self._next:
            self._next = time.monotonic() + EVERY_SECONDS
            title = self._progress.tasks[0].description
            self._say(f"{title}: {done}{f' of {of}' if of else ''} {what}".rstrip())


class Screen:
    """Prints the story as it happens; on a terminal with live bars, elsewhere line by line."""

    def __init__(self, console: Console) -> None:
        """Print on this console."""
        self.console = console
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Return the seconds since the story began."""
        return time.monotonic() - self._began

    def chapter(self, title: str) -> None:
        """Begin a new part of the story."""
        self.console.print(f"\n[bold cyan]{title}[/bold cyan]")

    def say(self, words: str) -> None:
        """Tell one thing."""
        # In one piece: what is printed without its end is lost where a bar is drawn anew.
        self.console.print(Text.assemble((f"{self.elapsed:5.0f} s", "dim"), "  ", words))

    def tell(self, event: Event) -> None:
        """Tell an event of the ledger, when a person would want to hear it."""
        if event.kind.startswith(SHOWN):
            words = str(event.body.get("sentence") or event.body.get("why") or _words(event))
            self.say(f"{event.kind}  {event.subject}  {words}")

    @contextmanager
    def bar(self, title: str) -> Iterator[Bar]:
        """Show a bar while something is under way."""
        person = self.console.is_terminal
        what = TextColumn("{task.fields[what]}")
        columns = (
            TextColumn("         {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            what,
        )
        with Progress(*columns, console=self.console, transient=True, disable=not person) as progress:
            yield Bar(progress, progress.add_task(title, total=None, what=""), None if person else self.say)

    def table(self, title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        """Show a table."""
        table = Table(title=title, title_justify="left")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)


def _words(event: Event) -> str:
    plain: dict[str, Any] = {
        k: v for k, v in event.body.items() if not isinstance(v, dict | list) and v not in ("", None)
    }
    return ", ".join(f"{key.replace('_', ' ')} {_short(value)}" for key, value in list(plain.items())[:5])


def _short(value: Any) -> str:
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else text[:12] + "…"  # noqa: PLR2004 - a hash is recognised by its beginning
