"""How things stand: words first, one table after; the same words on a terminal and in a pipe. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flywheel.cli.spans import ago, bar, percent, plural, span
from flywheel.core.ladders import RUNGS
from flywheel.daemon.standings import LastVerdict, LineStanding, Placed, Standing, Stock, Work, why_idle

_VERDICTS = {"pass": "green", "fail": "red"}
_STATES = {"active": "green", "canary": "yellow", "shadow": "cyan"}
_STATE_WORDS = {"canary": "as a canary", "shadow": "listens", "registered": "waits"}
_KINDS = {"train": "training", "gate": "measuring", "measure": "measuring", "fuse": "fusing"}
_INDENT = 2
_LABEL = 9
_TABLE = 72  # columns; on a narrower terminal the words are all there is


class Told(NamedTuple):
    """A label and what is said under it."""

    label: str
    text: Text


def shown(standing: Standing, now: datetime, width: int) -> RenderableType:
    """Return the whole, for a terminal of any width: what is too long goes on below its beginning."""
    parts: list[RenderableType] = [_head(standing, now)]
    for line in standing.lines:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(min_width=_INDENT + _LABEL, no_wrap=True)
        grid.add_column(overflow="fold")
        for told in of_line(line, now, daemon=standing.daemon, looked=standing.at is not None):
            grid.add_row(Text(" " * _INDENT + told.label, style="dim"), told.text)
        parts += [Text(), _title(line), grid]
    if standing.lines and width >= _TABLE:
        parts += [Text(), pools(standing.lines)]
    return Group(*parts)


def plain(standing: Standing, now: datetime) -> Iterator[str]:
    """Yield the whole as lines that are never broken: for pipes and files."""
    yield _head(standing, now).plain
    for line in standing.lines:
        yield ""
        yield _title(line).plain
        for told in of_line(line, now, daemon=standing.daemon, looked=standing.at is not None):
            yield f"{' ' * _INDENT}{told.label:<{_LABEL}}{told.text.plain}"


def of_line(line: LineStanding, now: datetime, *, daemon: bool, looked: bool) -> Iterator[Told]:
    """Yield what is said of one line."""
    yield Told("answers", _answers(line, now))
    if line.stocks or line.pool:
        yield Told("pool", _stocks(line))
    for work in line.work:
        yield Told("at work", _work(work))
    yield Told("verdict", _verdict(line.verdict, now))
    yield Told("now", Text(why_idle(line, daemon=daemon, looked=looked), style="yellow" if line.paused else ""))


def pools(lines: Sequence[LineStanding]) -> Table:
    """Return what every line has, in numbers."""
    table = Table(pad_edge=False, box=None, header_style="dim")
    table.add_column("line", overflow="fold")
    for column in ("good", "bad", "unknown", "examples", "fresh", "left out"):
        table.add_column(column, justify="right")
    for line in lines:
        pool = line.pool
        left = sum(count for name, count in pool.items() if name.startswith("left_out/"))
        counts = [pool.get(f"outcomes_{label}", 0) for label in ("positive", "negative", "unknown")]
        numbers = [*counts, pool.get("examples", 0), pool.get("examples_fresh", 0), left]
        table.add_row(line.line, *[f"{number:,}" for number in numbers])
    return table


def _head(standing: Standing, now: datetime) -> Text:
    told = Text()
    if standing.silent:
        told.append(f"the daemon hangs: no sign of life for {span(standing.silent)}", "red")
    elif standing.daemon:
        told.append("the daemon is at work", "green")
    else:
        told.append("no daemon is running", "red").append(": start it with `flywheel run`")
    if standing.sentence and standing.at:
        told.append(f"\nlast word, {ago(standing.at, now)}: ", "dim").append(standing.sentence)
    if standing.problem:
        told.append(f"\n{standing.problem}", "red")
    if not standing.lines:
        told.append('\nno line is on: name some in the settings, as in lines = ["tool-calling"]')
    return told


def _title(line: LineStanding) -> Text:
    title = Text().append(line.line, "bold")
    if line.rung is not None:
        title.append(f"  rung {line.rung} of {len(RUNGS)}, {RUNGS[line.rung]}", "dim")
        title.append(f"; {line.technique} on base {line.base}", "dim")
    return title


def _answers(line: LineStanding, now: datetime) -> Text:
    told = Text()
    if line.base_share > 0:
        told.append("the base model", "" if line.answers else "bold").append(_of_all(line.base_share))
    for one in line.releases:
        told.append(", " if told else "").append(one.name, _STATES.get(one.state, ""))
        told.append(_placed(one, now))
    if line.previous:
        told.append(f"; {line.previous} is kept to go back to", "dim")
    return told


def _placed(one: Placed, now: datetime) -> str:
    words = _STATE_WORDS.get(one.state, "")
    share = f" {percent(one.share)}" if one.share and (one.state != "active" or one.share < 1) else ""
    since = f" for {span(max(0.0, (now - one.since).total_seconds()))}" if one.since and words else ""
    marks = " by override" if one.overridden and words else " approved" if one.approved and words else ""
    return f"{f' {words}' if words else ''}{share}{marks}{since}"


def _of_all(share: float) -> str:
    return "" if share >= 1 else f" {percent(share)}"


def _stocks(line: LineStanding) -> Text:
    told = Text()
    for stock in line.stocks:
        told.append("; " if told else "").append(_stock(stock, line.dataset))
    return told or Text("policies do not declare this line", "red")


def _stock(stock: Stock, dataset: int | None) -> Text:
    told = Text(f"{plural(stock.held, stock.noun)}, {stock.fresh:,} fresh  ")
    told.append(bar(stock.part), "green" if not stock.missing else "cyan")
    if stock.missing:
        told.append(f"  {stock.missing:,} more for dataset {(dataset or 0) + 1}")
    else:
        told.append(f"  enough for dataset {(dataset or 0) + 1}")
    return told


def _work(work: Work) -> Text:
    told = Text(f"{_KINDS.get(work.kind, work.kind)} {work.subject}, {work.state}")
    if work.part is not None:
        told.append("  ").append(bar(work.part), "cyan").append(f"  {work.done:,} of {work.of:,}")
    for words in numbers(work):
        told.append(f"  {words}")
    if work.attempts > 1:
        told.append(f"  (start {work.attempts})", "dim")
    if work.ending:
        told.append(f"  is to end: {work.ending}", "yellow")
    return told


def numbers(work: Work) -> list[str]:
    """Return what a program told about its work, each in a word or two."""
    formats = {"loss": "loss {:.4g}", "eval_loss": "eval {:.4g}", "tokens_per_second": "{:,.0f} tokens/s"}
    found = [words.format(work.told[name]) for name, words in formats.items() if _is_number(work.told.get(name))]
    left = work.told.get("eta_seconds")
    return [*found, f"{span(left)} left"] if _is_number(left) and left else found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _verdict(verdict: LastVerdict | None, now: datetime) -> Text:
    if verdict is None:
        return Text("nothing was measured yet", "dim")
    told = Text().append(verdict.verdict, _VERDICTS.get(verdict.verdict, "yellow"))
    said = verdict.sentence.removeprefix(f"{verdict.verdict}: ")
    return told.append(f" for {verdict.adapter or verdict.report}, {ago(verdict.at, now)}: {said}")
