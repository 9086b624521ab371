"""`flywheel explain ID`: from an effect back to its causes and the first outcomes, in words."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer
from sqlmodel import Session

from flywheel.cli.consoles import Painted, out
from flywheel.cli.contexts import AsJson, Config, reading, show_json
from flywheel.cli.explanation_words import (
    Line,
    of_beginning,
    of_effect,
    of_effects,
    of_example,
    of_report,
    of_row,
    of_steps,
)
from flywheel.core.errors import MisuseError
from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.store.examples import examples_from
from flywheel.store.explanations import explained as story_around
from flywheel.store.explanations import find
from flywheel.store.lineages import lineages
from flywheel.store.listings import NOUNS, find_rows
from flywheel.store.reports import StoredReport, report_by_id
from flywheel.store.roots import Root, Roots, dataset_behind, root_of, roots_of
from flywheel.store.supersessions import TAUGHT, Held, Made, held_in, made_from

Id = Annotated[
    str,
    typer.Argument(
        help="Anything that has a name: a number of the ledger, an adapter or release, a run, a dataset, a suite, "
        "a report, an example, an outcome, a request, a job, a refused row; or the beginning of one."
    ),
]


#: What has a name and may have no event of its own, and what one of them is called.
_ROWS = {"jobs": "job", "quarantine": "refused row", "releases": "release", "runs": "run", "suites": "suite"}


class Explained(Frozen):
    """An effect with its causes, what it led to, the reports about it, and what was learned from at the beginning."""

    chain: tuple[Event, ...]
    effects: tuple[Event, ...] = ()
    reports: tuple[StoredReport, ...] = ()
    beginning: Roots | None = None


class Seen(Frozen):
    """An example or an outcome: what it rests on, and what rests on it."""

    kind: str
    name: str
    line: str = ""
    root: Root | None = None
    examples: tuple[str, ...] = ()
    withdrawn: bool = False
    held: tuple[Held, ...] = ()
    made: tuple[Made, ...] = ()


class Noted(Frozen):
    """Something that has a name and no event of its own: a row that was refused, a job."""

    kind: str
    name: str
    facts: dict[str, Any]


def explain(
    name: Id,
    as_json: AsJson = False,
    config: Config = None,
    color: Painted = None,  # noqa: ARG001 - its callback has seen to it
) -> None:
    """Tell why something happened: the facts, the policies that judged it, the evidence."""
    with reading(config) as (_, store), store.read() as session:
        found = explained(session, name)
    if as_json:
        show_json(document(found))
        return
    for text, style in words_of(found):
        out.print(text, style=style, markup=False)


def explained(session: Session, name: str) -> Explained | Seen | Noted:
    """Return the story behind a name."""
    try:
        found = find(session, name)
    except MisuseError:
        noted = _noted(session, name)
        if noted is None:
            raise
        return noted
    if found.kind == "example":
        return _seen_example(session, found.name)
    return _seen_outcome(session, found.name) if found.kind == "outcome" else _around(session, int(found.name))


def story_of(session: Session, name: str) -> Iterator[str]:
    """Yield the whole story behind a name, in words."""
    for text, _ in words_of(explained(session, name)):
        yield text


def words_of(found: Explained | Seen | Noted) -> Iterator[Line]:
    """Yield the story, effect first, each cause below what it led to, and the first outcomes at the end."""
    if isinstance(found, Noted):
        yield from of_row(found.kind, found.name, found.facts)
        return
    if isinstance(found, Seen):
        yield from of_example(found.model_dump(), found.root)
        return
    yield from of_effect(found.chain[0])
    for report in found.reports:
        yield from of_report(report)
    yield from of_steps(found.chain[1:])
    if found.beginning is not None:
        yield from of_beginning(found.beginning)
    yield from of_effects(found.effects)


def document(found: Explained | Seen | Noted) -> dict[str, Any]:
    """Return the story as one document for programs."""
    if isinstance(found, Seen | Noted):
        return found.model_dump(mode="json")
    return {
        "events": [event.model_dump(mode="json") for event in found.chain],
        "evidence": [_evidence(report) for report in found.reports],
        "effects": [event.model_dump(mode="json") for event in found.effects],
        "beginning": found.beginning.model_dump(mode="json") if found.beginning else None,
    }


def _evidence(stored: StoredReport) -> dict[str, Any]:
    report = stored.report
    return {"id": stored.id, "line": stored.line, "adapter": report.adapter, "suite": report.suite,
            "verdict": report.verdict.value, "alpha_spent": report.alpha_spent, "at": stored.at, "seq": stored.seq,
            "body": report.model_dump(mode="json")}  # fmt: skip


def _around(session: Session, seq: int) -> Explained:
    story = story_around(session, seq)
    chain = (story.effect, *story.causes)
    reports = [report_by_id(session, name) for name in story.reports]
    dataset = _dataset(session, chain)
    return Explained(
        chain=chain,
        effects=story.effects,
        reports=tuple(report for report in reports if report is not None),
        beginning=roots_of(session, dataset) if dataset else None,
    )


def _dataset(session: Session, chain: Sequence[Event]) -> str | None:
    frozen = [event.subject for event in chain if event.kind == "curate.dataset_frozen"]
    return frozen[0] if frozen else dataset_behind(session, [event.subject for event in chain if event.subject])


def _seen_example(session: Session, name: str) -> Seen:
    lineage = lineages(session, [name])[name]
    held = held_in(session, [name]).get(name, ())
    made = made_from(session, [one.hash for one in held if one.part in TAUGHT])
    root = root_of(session, lineage.outcome, name) if lineage.outcome else None
    return Seen(kind="example", name=name, line=lineage.line, root=root, withdrawn=lineage.withdrawn, held=held,
                made=tuple(made))  # fmt: skip


def _seen_outcome(session: Session, key: str) -> Seen:
    examples = tuple(str(one["id"]) for one in examples_from(session, key))
    held = tuple({one: None for several in held_in(session, examples).values() for one in several})
    made = made_from(session, [one.hash for one in held if one.part in TAUGHT])
    return Seen(kind="outcome", name=key, root=root_of(session, key), examples=examples, held=held, made=tuple(made))


def _noted(session: Session, name: str) -> Noted | None:
    for noun, kind in _ROWS.items():
        rows = find_rows(session, noun, name) if name else []
        if len(rows) == 1:
            return Noted(kind=kind, name=str(rows[0][NOUNS[noun].key]), facts=rows[0])
    return None
