"""`flywheel adapters list | show`: what each adapter is, where it stands, and what the agent got from it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlmodel import Session

from flywheel.cli.contexts import AsJson, Config, Limit, LineOption, out, reading, show_json, show_table
from flywheel.cli.listings import Name, one_row
from flywheel.core.ids import short
from flywheel.gate.statistics import clopper_pearson
from flywheel.store.attributions import Successes, successes
from flywheel.store.gateway_calls import NEWEST, Speed
from flywheel.store.registry import Entry, Validation, entries, entry_of

_COLUMNS = (
    "name", "state", "verdict", "success", "requests", "errors", "p50_ms", "p95_ms", "last_used", "rank", "base",
    "previous",
)  # fmt: skip
_UNSURE = 0.025  # on either side: together the interval holds the true rate 95 times in 100
_SECOND = 1000


def list_(line: LineOption = None, limit: Limit = 50, as_json: AsJson = False, config: Config = None) -> None:
    """List the newest versions, newest first, each with its success and what its requests cost."""
    with reading(config) as (_, store), store.read() as session:
        found = sorted(entries(session, line), key=lambda entry: -entry.id)[:limit]
    if as_json:
        show_json([as_row(entry) for entry in found])
    else:
        show_table(f"{len(found)} adapters", _COLUMNS, [_cells(entry) for entry in found])


def show(name: Name, as_json: AsJson = False, config: Config = None) -> None:
    """Show one version: what it is, what the gate found, what the agent got from it."""
    with reading(config) as (_, store), store.read() as session:
        entry, row = _found(session, name)
        beside = {other: ended for other, ended in successes(session, entry.line).items() if other != entry.name}
    if as_json:
        others = {other: success_row(ended) for other, ended in beside.items()}
        show_json({**as_row(entry), "body": row["body"], "beside": others})
        return
    out.print(f"[bold]{entry.name}[/bold]  id {entry.id}, {short(entry.hash)}", markup=True)
    for title, told in _told(entry, beside):
        out.print(f"  {title:<11} {told}", markup=False)


def as_row(entry: Entry) -> dict[str, Any]:
    """Return an adapter in the shape that programs read."""
    told = entry.model_dump(mode="json", exclude={"served", "success"})
    served = entry.served.model_dump(mode="json")
    return {
        **told,
        "number": entry.version,
        "success": success_row(entry.success),
        "requests": served.pop("calls"),
        "last_used": served["last_at"],
        "error_rate": _rounded(entry.served.error_rate),
        **{_RENAMED.get(key, key): value for key, value in served.items()},
    }


_RENAMED = {"first_at": "first_used", "last_at": "last_used", "latency": "latency_ms", "first_token": "first_token_ms"}


def success_row(ended: Successes) -> dict[str, Any]:
    """Return how the tasks ended: the rate, with the exact interval that holds the true one 95 times in 100."""
    if not ended.tasks:
        return {"tasks": 0, "successes": 0, "rate": None, "low": None, "high": None}
    low, high = clopper_pearson(ended.successes, ended.tasks, _UNSURE)
    return {
        **ended.model_dump(),
        "rate": _rounded(ended.successes / ended.tasks),
        "low": _rounded(low),
        "high": _rounded(high),
    }


def success_words(ended: Successes) -> str:
    """Return the same as a person reads it: `81 % of 120 (73 to 88)`."""
    row = success_row(ended)
    if row["rate"] is None:
        return "–"  # noqa: RUF001 - a dash is what a table shows for nothing
    return f"{row['rate'] * 100:.0f} % of {ended.tasks} ({row['low'] * 100:.0f} to {row['high'] * 100:.0f})"


def _found(session: Session, name: str) -> tuple[Entry, dict[str, Any]]:
    row = one_row(session, "adapters", name)
    entry = entry_of(session, row["line"], row["name"])
    assert entry is not None  # its row was just read in the same moment
    return entry, row


def _cells(entry: Entry) -> dict[str, Any]:
    served = entry.served
    return {
        "name": entry.name,
        "state": entry.state + ("" if entry.pruned_at is None else ", deleted"),
        "verdict": entry.validation.verdict if entry.validation else None,
        "success": success_words(entry.success),
        "requests": served.calls,
        "errors": served.errors if served.measured else None,
        "p50_ms": _whole(served.latency.p50),
        "p95_ms": _whole(served.latency.p95),
        "last_used": _day(served.last_at) if served.last_at else None,
        "rank": entry.rank,
        "base": entry.base,
        "previous": entry.previous,
    }


def _told(entry: Entry, beside: dict[str, Successes]) -> Iterable[tuple[str, str]]:
    """Yield what is known of an adapter, title by title."""
    yield "state", _state(entry)
    yield "made", _made(entry)
    yield "folder", entry.path if entry.pruned_at is None else f"deleted {_day(entry.pruned_at)}"
    yield "loaded on", ", ".join(entry.loaded_on) or "no server"
    yield "validation", _validation(entry.validation)
    yield "success", _success(entry.success)
    others = [f"{name} {success_words(ended)}" for name, ended in sorted(beside.items())]
    yield "beside it", ", ".join(others) or "nobody else's tasks ended"
    yield "requests", _requests(entry)
    if entry.served.latency.answers:
        yield "latency", _speed(entry.served.latency)
        yield "first token", _speed(entry.served.first_token)
        yield "tokens", f"{entry.served.prompt_tokens} asked, {entry.served.completion_tokens} answered"


def _state(entry: Entry) -> str:
    words = [entry.state + (f" since {_day(entry.changed_at)}" if entry.changed_at else "")]
    words += [f"{entry.share * 100:g} % of the sessions"] if entry.share else []
    words += ["approved"] if entry.approved else []
    words += ["overridden by a person"] if entry.overridden else []
    words += [f"took over from {entry.took_over_from}"] if entry.took_over_from else []
    return "; ".join(words)


def _made(entry: Entry) -> str:
    words = [f"version {entry.version} of {entry.line}", f"by {entry.run}", f"rank {entry.rank}"]
    words += [f"on base {entry.base} ({short(entry.base_fingerprint)})"]
    words += [f"about {', '.join(entry.domains)}"] if entry.domains else []
    words += [_day(entry.created_at)] if entry.created_at else []
    words += [f"after {entry.previous}" if entry.previous else "the first of its line"]
    return ", ".join(words)


def _validation(found: Validation | None) -> str:
    if found is None:
        return "no verdict yet"
    return f"{found.verdict}, {_day(found.at)}, in {found.report}" + (f": {found.sentence}" if found.sentence else "")


def _success(ended: Successes) -> str:
    if not ended.tasks:
        return "no task that it alone answered has ended"
    row = success_row(ended)
    sure = f"95 % sure: {row['low'] * 100:.1f} to {row['high'] * 100:.1f} %"
    return f"{row['rate'] * 100:.1f} % of {ended.tasks} tasks ({sure})"


def _requests(entry: Entry) -> str:
    served = entry.served
    if not served.calls:
        return "none yet"
    arms = ", ".join(f"{count} as {arm or 'nothing'}" for arm, count in served.arms.items())
    words = [f"{served.calls}: {arms}"]
    if served.measured:
        words.append(f"{served.errors} errors ({(served.error_rate or 0) * 100:.1f} %)")
        words.append(f"{served.unfinished} not ended")
    words += [f"{served.stand_ins} for a model that was away"] if served.stand_ins else []
    words += [f"last used {_day(served.last_at)}"] if served.last_at else []
    return "; ".join(words)


def _speed(speed: Speed) -> str:
    if speed.p50 is None or speed.p95 is None:
        return "unknown"
    of = f"the newest {NEWEST}" if speed.answers == NEWEST else f"{speed.answers}"
    return f"half within {_time(speed.p50)}, 95 of 100 within {_time(speed.p95)}, of {of} answers"


def _time(milliseconds: float) -> str:
    return f"{milliseconds / _SECOND:.2f} s" if milliseconds >= _SECOND else f"{milliseconds:.0f} ms"


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
