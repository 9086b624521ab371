"""`flywheel decisions`: what was decided and done, as a list or as it happens."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, NoReturn

import typer
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from flywheel.cli.consoles import Painted, out
from flywheel.cli.contexts import AsJson, Config, Limit, LineOption, reading, show_json
from flywheel.cli.moments import moment_of
from flywheel.core.errors import MisuseError
from flywheel.core.events import EVENTS, Event
from flywheel.core.ids import short
from flywheel.store.ledger import events, last_event
from flywheel.store.stores import Store

#: What is listed where nobody asks for a kind: decisions and what came of them, without the bookkeeping.
DECIDED = (
    "policy.", "gate.", "rollout.", "train.", "operator.", "serve.", "curate.dataset", "daemon.attempt_failed",
    "daemon.approval_wanted", "daemon.line_stalled", "daemon.cycles_",
)  # fmt: skip
_GOOD = ("passed", "promoted", "finished", "published", "recovered", "approved", "allowed")
_BAD = ("failed", "rolled_back", "rejected", "refused", "cancelled")
_OPEN = ("held", "wanted", "stalled", "paused")
_LOOK_SECONDS = 0.3
_AT_ONCE = 100_000  # of what came since the last look nothing is left out
_NARROW = 110
_HASH = 64
_KINDS = 28  # columns for the kind where there is room for columns

Kind = Annotated[str | None, typer.Option("--kind", help="Only this kind, or kinds that begin so, as in rollout.")]
Since = Annotated[str | None, typer.Option("--since", help="Only since then: 2h, 3d, or 2026-01-31.")]


def decisions(
    line: LineOption = None,
    kind: Kind = None,
    since: Since = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as new ones come, until Ctrl-C.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
    config: Config = None,
    color: Painted = None,  # noqa: ARG001 - its callback has seen to it
) -> None:
    """List what was decided and done, oldest first, with its number for `flywheel explain`."""
    kinds = kinds_of(kind)
    moment: int | datetime = moment_of(since) if since else 0
    with reading(config) as (_, store):
        with store.read() as session:
            found = events(session, line=line, kinds=kinds, after=moment, limit=limit)
            last = last_event(session)
        if as_json and not follow:
            show_json([event.model_dump(mode="json") for event in found])
            return
        show(found, as_json=as_json)
        if follow:
            _go_on(store, line, kinds, (last.seq or 0) if last else 0, as_json=as_json)
        elif not found and out.is_terminal:
            out.print("nothing was decided yet", style="dim")


def kinds_of(kind: str | None) -> list[str]:
    """Return the kinds of events that a person asks for by a beginning, or those that are decisions."""
    kinds = [name for name in EVENTS if name.startswith(kind or DECIDED)]
    if not kinds:
        raise MisuseError(f"no event is called {kind!r}", "kinds are listed in docs/events.md")
    return kinds


def show(found: Sequence[Event], *, as_json: bool) -> None:
    """Show events, each in a line of its own; on a narrow terminal the words stand below."""
    for event in found:
        if as_json:
            print(event.model_dump_json(), flush=True)
        elif out.is_terminal:
            for part in drawn(event, out.width):
                out.print(part, soft_wrap=False)
        else:
            print(plain(event), flush=True)


def plain(event: Event) -> str:
    """Return an event as one line that is never broken."""
    return f"#{event.seq:<5} {event.at:%Y-%m-%d %H:%M:%S}  {event.kind:<30} {event.subject}  {words_of(event)}"


def drawn(event: Event, width: int) -> Iterator[RenderableType]:
    """Yield an event as it is drawn on a terminal of a width."""
    head = Text().append(f"#{event.seq:<5} ", "cyan")
    head.append(f"{event.at:%m-%d %H:%M:%S}  ", "dim").append(
        f"{event.kind:<{_KINDS if width >= _NARROW else 0}} ", style_of(event.kind)
    )
    head.append(_short(event.subject), "bold")
    words = words_of(event)
    if width >= _NARROW and head.cell_len + len(words) + 2 <= width:
        yield head.append(f"  {words}")
        return
    yield head
    yield Padding(Text(words), (0, 0, 0, 7))


def words_of(event: Event) -> str:
    """Return what an event says, in one line."""
    told = (event.body.get(name) for name in ("sentence", "why", "reason", "answer"))
    return " ".join(str(next((words for words in told if words), EVENTS[event.kind])).split())


def _short(subject: str) -> str:
    """Return a subject as a person reads it: of a hash only the beginning, which every command takes."""
    return short(subject) if len(subject) == _HASH and set(subject) <= set("0123456789abcdef") else subject


def style_of(kind: str) -> str:
    """Return the colour of a kind of event: good, bad, open, or none."""
    for words, style in ((_BAD, "red"), (_GOOD, "green"), (_OPEN, "yellow")):
        if any(word in kind for word in words):
            return style
    return ""


def _go_on(store: Store, line: str | None, kinds: Sequence[str], last: int, *, as_json: bool) -> NoReturn:
    while True:
        time.sleep(_LOOK_SECONDS)
        with store.read() as session:
            found = events(session, line=line, kinds=kinds, after=last, limit=_AT_ONCE)
        show(found, as_json=as_json)
        last = max([last, *[event.seq or 0 for event in found]])
