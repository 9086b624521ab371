"""Which questions and examples are nearly the same, and where those questions stand: what freezing asks."""

from collections.abc import Iterable

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from flywheel.store.datasets import members
from flywheel.store.nearness_tables import AnswerSketchRow, NearExampleRow, NearQuestionRow
from flywheel.store.sketches import near_questions_of, questions_asked
from flywheel.store.suite_tables import SuiteStandingRow
from flywheel.store.tables import DatasetExampleRow, DatasetRow, ExampleRow, SuiteRow

_EXAMINING = "test"


def near_examples(session: Session, line: str, least: float) -> list[tuple[str, str]]:
    """Return the pairs of a line's examples that are at least so much alike, the newer one first."""
    newer, older = aliased(ExampleRow), aliased(ExampleRow)
    query = (
        select(newer.id, older.id)
        .select_from(NearExampleRow)
        .join(newer, col(newer.seq) == col(NearExampleRow.newer))
        .join(older, col(older.seq) == col(NearExampleRow.older))
        .where(col(newer.line) == line, col(NearExampleRow.similarity) >= least)
    )
    return sorted((one, other) for one, other in session.exec(query).all())


def near_duplicates_of(session: Session, example: str) -> list[tuple[str, float]]:
    """Return the older examples that one is nearly the same as, the most similar first."""
    newer, older = aliased(ExampleRow), aliased(ExampleRow)
    query = (
        select(older.id, NearExampleRow.similarity)
        .select_from(NearExampleRow)
        .join(newer, col(newer.seq) == col(NearExampleRow.newer))
        .join(older, col(older.seq) == col(NearExampleRow.older))
        .where(col(newer.id) == example)
    )
    return sorted(((name, alike) for name, alike in session.exec(query).all()), key=lambda pair: (-pair[1], pair[0]))


def near_questions(session: Session, least: float) -> list[tuple[int, int]]:
    """Return all pairs of questions, of any lines, that are at least so much alike."""
    query = select(NearQuestionRow.newer, NearQuestionRow.older).where(col(NearQuestionRow.similarity) >= least)
    return sorted((newer, older) for newer, older in session.exec(query).all())


def near_to(session: Session, prompt_keys: Iterable[str], least: float) -> frozenset[int]:
    """Return the numbers of these questions, and of all that are at least so much like one of them."""
    numbers = frozenset(questions_asked(session, sorted(prompt_keys)).values())
    found = near_questions_of(session, sorted(numbers))
    return numbers | {side for pair in found if pair.similarity >= least for side in (pair.newer, pair.older)}


def questions_held_elsewhere(session: Session, line: str) -> frozenset[int]:
    """Return the numbers of the questions that stand in datasets of other lines."""
    query = (
        select(AnswerSketchRow.question)
        .join(ExampleRow, col(ExampleRow.seq) == col(AnswerSketchRow.example))
        .join(DatasetExampleRow, col(DatasetExampleRow.example) == col(ExampleRow.id))
        .where(col(AnswerSketchRow.line) != line)
    )
    return frozenset(session.exec(query.distinct()).all())


def questions_set_aside(session: Session, line: str) -> frozenset[str]:
    """Return the questions that other lines hold out for suites they do not have yet, or for the next ones."""
    due = select(SuiteStandingRow.suite).where(
        col(SuiteStandingRow.suite) == col(SuiteRow.hash), col(SuiteStandingRow.due).is_(True)
    )
    served = select(SuiteRow.line).where(col(SuiteRow.live).is_(True), ~due.exists())
    lines = session.exec(select(DatasetRow.line).where(DatasetRow.line != line, col(DatasetRow.line).not_in(served)))
    found: set[str] = set()
    for other in sorted(set(lines.all())):
        found |= _held_out(session, other)
    return frozenset(found)


def _held_out(session: Session, line: str) -> set[str]:
    """Return the questions of the newest dataset of a line that holds any out: its suite is built from that one."""
    newest = select(DatasetRow.hash).where(DatasetRow.line == line).order_by(col(DatasetRow.number).desc())
    for dataset in session.exec(newest).all():
        if not members(session, dataset, _EXAMINING):
            continue
        query = (
            select(ExampleRow.prompt_key)
            .join(DatasetExampleRow, col(DatasetExampleRow.example) == col(ExampleRow.id))
            .where(DatasetExampleRow.dataset == dataset, DatasetExampleRow.part == _EXAMINING)
        )
        return set(session.exec(query).all())
    return set()
