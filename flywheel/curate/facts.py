"""What the room knows when it plans; every reading costs the same at any size of the pool."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlmodel import Session

from flywheel.core.examples import DatasetManifest
from flywheel.core.facts import Value, check_facts
from flywheel.core.frozen import Frozen
from flywheel.core.lines import Line
from flywheel.core.requests import Request
from flywheel.core.weaknesses import weakest
from flywheel.curate.comparisons import NEAR_FRESH
from flywheel.curate.lessons import kind_of
from flywheel.curate.needs import fresh_of, outgrown
from flywheel.curate.situations import LineSituation, Situation
from flywheel.curate.supersessions import unreported
from flywheel.store.counters import counters
from flywheel.store.datasets import (
    dataset_seq,
    has_unhandled_work,
    last_dataset,
    last_watermark,
    lessons_until,
    was_trained,
)
from flywheel.store.departures import has_departed
from flywheel.store.examples import oldest_fresh
from flywheel.store.judgements import count_judgements
from flywheel.store.ledger import last_event
from flywheel.store.outcomes import has_waiting
from flywheel.store.pairs import count_pairs
from flywheel.store.reports import newest_report
from flywheel.store.requests import open_requests
from flywheel.store.runs import run_of_dataset
from flywheel.store.suites import live_suite


class _Moment(Frozen):
    """What all lines share at one moment."""

    lowest_rung: int | None
    requests: tuple[Request, ...]
    ingested: int | None


def gather(session: Session, lines: Mapping[str, Line], now: datetime) -> Situation:
    """Take the readings of every line."""
    event = last_event(session, kinds=["sources.outcomes_ingested"])
    moment = _Moment(
        lowest_rung=_lowest(line.rung for line in lines.values() if not line.planning),
        requests=tuple(open_requests(session, "train", "freeze")),
        ingested=event.seq if event else None,
    )
    here = tuple(_of_line(session, line, moment) for line in lines.values())
    return Situation(now=now, lines=here, published=unreported(session))


def _of_line(session: Session, line: Line, moment: _Moment) -> LineSituation:
    counts = counters(session, f"line:{line.name}")
    last = last_dataset(session, line.name)
    admitted = last_event(session, line=line.name, kinds=["curate.examples_admitted"])
    # What is nearly the same as an older example brings no dataset nearer.
    fresh = max(0, counts.get("examples_fresh", 0) - counts.get(NEAR_FRESH, 0))
    here = LineSituation(
        line=line,
        waiting=has_waiting(session, line.name) or has_departed(session, line.name),
        fresh=fresh,
        examples=counts.get("examples", 0),
        **_lessons(session, line, counts),
        outgrown=outgrown(line, last) or _weakness(session, line, last),
        last=last,
        since=last.created_at if last else oldest_fresh(session, line.name, last_watermark(session, line.name)),
        failed=_failed(session, last),
        request=next((one for one in moment.requests if one.line == line.name), None),
        ingested=moment.ingested,
        admitted=admitted.seq if admitted else moment.ingested,
        facts=_facts(session, line, moment, last),
    )
    return here.model_copy(update={"in_flight": _in_flight(session, here)})


def _weakness(session: Session, line: Line, last: DatasetManifest | None) -> str:
    """Return that a category was measured as weak since the last dataset was made and learned; once a report."""
    least, newest = line.trigger.weak_below, newest_report(session, line.name)
    if least is None or newest is None or last is None or not was_trained(session, last.hash):
        return ""
    score = weakest(newest.report)
    if score is None or score >= least or newest.seq < (dataset_seq(session, last.hash) or 0):
        return ""
    return f"a category scored {score:.2f}, below {least:.2f}"


def _lessons(session: Session, line: Line, counts: Mapping[str, int]) -> dict[str, int]:
    """Return how many pairs or bad answers there are, no more than are asked for, and how many are fresh."""
    kind, enough = kind_of(line.train.technique), line.trigger.fresh_examples
    until = lessons_until(session, line.name, kind) if kind else 0
    if kind == "pair":
        return {"pairs": counts.get("pairs", 0), "fresh_pairs": count_pairs(session, line.name, until, enough)}
    if kind == "judgement":
        bad = count_judgements(session, line.name, 0, line.dataset.minimum_judgements)
        return {"bad": bad, "fresh_bad": count_judgements(session, line.name, until, enough)}
    return {}


def _in_flight(session: Session, here: LineSituation) -> bool:
    """Tell whether the line is busy, or its last dataset waits to be trained by the technique the line has now."""
    if has_unhandled_work(session, here.line.name):
        return True
    few = fresh_of(here) < here.line.trigger.fresh_examples and not here.asks_for_dataset
    return few and not here.outgrown and _waits_for_training(session, here.last)


def _waits_for_training(session: Session, last: DatasetManifest | None) -> bool:
    # Until enough is fresh again: a dataset that policy will never let be trained must not end the line.
    return last is not None and not was_trained(session, last.hash)


def _failed(session: Session, last: DatasetManifest | None) -> bool:
    run = run_of_dataset(session, last.hash) if last else None
    return run is not None and run.state in {"failed", "cancelled"}


def _facts(session: Session, line: Line, moment: _Moment, last: DatasetManifest | None) -> dict[str, Value]:
    suite = live_suite(session, line.name)
    facts: dict[str, Value] = {
        "ladder.lowest_other_rung": moment.lowest_rung,
        "line.is_planning": line.planning,
        "line.minimum_examples": line.least_examples,
        "line.minimum_judgements": line.dataset.minimum_judgements,
        "line.minimum_pairs": line.dataset.minimum_pairs,
        "line.technique": line.train.technique,
        "line.rung": line.rung,
        "parent.exists": last is not None,
        "suite.exists": suite is not None,
        "suite.problems": suite.problems if suite else 0,
    }
    check_facts(facts)
    return facts


def _lowest(rungs: Iterable[int]) -> int | None:
    return min(rungs, default=None)
