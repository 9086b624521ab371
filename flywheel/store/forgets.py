"""Finding everything the store holds of a repo, a session or an example, and what was made from it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from sqlmodel import Session, col, or_, select

from flywheel.core.forgetting import ForgetReport, HoldingDataset, Scope, TaughtAdapter
from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Message
from flywheel.store.evidence_tables import PairRow
from flywheel.store.examples import as_logged
from flywheel.store.join_tables import CapturedCallRow
from flywheel.store.supersessions import TAUGHT, held_in, made_from, suites_from
from flywheel.store.tables import DatasetRow, ExampleRow, OutcomeRow

_NAMES_A_QUERY = 400


class Doomed(Frozen):
    """An outcome that is to be forgotten, without its words."""

    key: str
    source: str
    task: str
    session: str
    line: str | None
    label: str
    prompt_key: str


class Wording(Frozen):
    """The words of such an outcome."""

    prompt_key: str
    messages: tuple[Message, ...]
    response: str


def logged_content(session: Session, example: str) -> tuple[str, str] | None:
    """Return question and answer of an example as its outcome has them; None when there is no such example any more."""
    row = _example(session, example)
    return as_logged(row) if row is not None else None


def doomed(session: Session, scope: Scope) -> list[Doomed]:
    """Return the outcomes of a scope, oldest first."""
    if scope.kind == "example":
        return _of_example(session, scope.name)
    column = OutcomeRow.repo if scope.kind == "repo" else OutcomeRow.session
    return _doomed(session, column == scope.name)


def examples_of(session: Session, scope: Scope, outcomes: Sequence[Doomed]) -> list[str]:
    """Return the examples that rest, or rested last, on these outcomes and on no other that stays."""
    keys = frozenset(one.key for one in outcomes)
    found = {scope.name: ""} if scope.kind == "example" and _example(session, scope.name) is not None else {}
    for chunk in _chunks(sorted(keys)):
        query = select(ExampleRow.id, ExampleRow.outcome).where(col(ExampleRow.outcome).in_(chunk))
        found.update(dict(session.exec(query).all()))
    return sorted(example for example in found if not carriers(session, example, keys))


def carriers(session: Session, example: str, keys: frozenset[str]) -> list[str]:
    """Return the outcomes that are evidence for the same answer to the same question and stay."""
    row = _example(session, example)
    logged = as_logged(row) if row is not None else None
    if row is None or logged is None:
        return []
    answer: Any = col(OutcomeRow.body)["response"].as_string()
    query = select(OutcomeRow.key).where(
        OutcomeRow.line == row.line,
        OutcomeRow.prompt_key == logged[0],
        OutcomeRow.label == "positive",
        answer == logged[1],
    )
    return [key for key in session.exec(query.order_by(col(OutcomeRow.seq))).all() if key not in keys]


def report_on(session: Session, outcomes: Sequence[Doomed], examples: Sequence[str]) -> ForgetReport:
    """Return how much there is, in which frozen datasets it stands, and which adapters learned from them."""
    # What stands in pairs and judgements of datasets is known by its outcome.
    held = held_in(session, [*examples, *(one.key for one in outcomes)])
    count = Counter(one.hash for several in held.values() for one in several)
    taught = sorted({one.hash for several in held.values() for one in several if one.part in TAUGHT})
    examined = sorted({one.hash for several in held.values() for one in several if one.part == "test"})
    return ForgetReport(
        outcomes=len(outcomes),
        examples=len(examples),
        pairs=_pairs(session, [one.key for one in outcomes]),
        datasets=tuple(_dataset(session, digest, number) for digest, number in sorted(count.items())),
        adapters=tuple(TaughtAdapter(**made.model_dump()) for made in made_from(session, taught)),
        suites=tuple(sorted(suites_from(session, examined))),
    )


def wordings(session: Session, keys: Sequence[str]) -> Iterator[Wording]:
    """Yield the words of outcomes, a few at a time."""
    for chunk in _chunks(keys):
        query = select(OutcomeRow.prompt_key, OutcomeRow.body).where(col(OutcomeRow.key).in_(chunk))
        for question, body in session.exec(query).all():
            messages = tuple(Message(role=role, content=content) for role, content in body["messages"])
            yield Wording(prompt_key=question, messages=messages, response=body["response"])


def calls_of(session: Session, keys: Sequence[str]) -> frozenset[str]:
    """Return the gateway's calls that these outcomes were joined to."""
    found: set[str] = set()
    for chunk in _chunks(keys):
        query = select(CapturedCallRow.call).where(col(CapturedCallRow.outcome).in_(chunk))
        found.update(session.exec(query).all())
    return frozenset(found)


def _of_example(session: Session, example: str) -> list[Doomed]:
    """Return the outcomes that gave this answer to this question, and those of their sessions that repeat it later."""
    row = _example(session, example)
    logged = as_logged(row) if row is not None else None
    if logged is None:
        return []
    question, said = logged
    answer: Any = col(OutcomeRow.body)["response"].as_string()
    found = {one.key: one for one in _doomed(session, OutcomeRow.prompt_key == question, answer == said)}
    for source, name in sorted({(one.source, one.session) for one in found.values() if one.session}):
        for later in _doomed(session, OutcomeRow.source == source, OutcomeRow.session == name):
            if later.key not in found and _repeats(session, later.key, said):
                found[later.key] = later
    return list(found.values())


def _repeats(session: Session, key: str, said: str) -> bool:
    folded = " ".join(said.split())
    messages = (message for wording in wordings(session, [key]) for message in wording.messages)
    return any(message.role == "assistant" and " ".join(message.content.split()) == folded for message in messages)


def _doomed(session: Session, *where: Any) -> list[Doomed]:
    columns: Any = [getattr(OutcomeRow, name) for name in Doomed.model_fields]
    rows: Any = session.execute(select(*columns).where(*where).order_by(col(OutcomeRow.seq))).all()
    return [Doomed(**dict(zip(Doomed.model_fields, row, strict=True))) for row in rows]


def _example(session: Session, example: str) -> ExampleRow | None:
    return session.exec(select(ExampleRow).where(ExampleRow.id == example)).first()


def _dataset(session: Session, digest: str, examples: int) -> HoldingDataset:
    row = session.get_one(DatasetRow, digest)
    return HoldingDataset(hash=digest, line=row.line, number=row.number, examples=examples)


def _pairs(session: Session, keys: Sequence[str]) -> int:
    found: set[str] = set()
    for chunk in _chunks(keys):
        touching = or_(col(PairRow.chosen).in_(chunk), col(PairRow.rejected).in_(chunk))
        found.update(session.exec(select(PairRow.id).where(touching)).all())
    return len(found)


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _NAMES_A_QUERY] for start in range(0, len(names), _NAMES_A_QUERY))
