"""Where examples come from: from an example to the outcome it rests on, and to the source's row."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from flywheel.core.lineages import UNKNOWN, Lineage
from flywheel.store.tables import ExampleRow, OutcomeRow

_NAMES_A_QUERY = 400


def lineages(session: Session, examples: Sequence[str]) -> dict[str, Lineage]:
    """Return where each of these examples comes from; one that the store does not know any more is forgotten."""
    found = {name: Lineage(example=name, line="", withdrawn=True, forgotten=True) for name in examples}
    for start in range(0, len(examples), _NAMES_A_QUERY):
        chunk = examples[start : start + _NAMES_A_QUERY]
        rows = session.exec(select(ExampleRow).where(col(ExampleRow.id).in_(chunk))).all()
        outcomes = _outcomes(session, sorted({row.outcome for row in rows if row.outcome}))
        found.update({row.id: _lineage(row, outcomes.get(row.outcome)) for row in rows})
    return found


def outcome_lineages(session: Session, keys: Sequence[str]) -> dict[str, Lineage]:
    """Return where the answers of these outcomes come from, by their keys; one that is gone is forgotten."""
    found = {key: Lineage(example=key, line="", outcome=key, withdrawn=True, forgotten=True) for key in keys}
    for start in range(0, len(keys), _NAMES_A_QUERY):
        chunk = keys[start : start + _NAMES_A_QUERY]
        found.update({key: _of_outcome(row) for key, row in _outcomes(session, chunk).items()})
    return found


def _of_outcome(row: OutcomeRow) -> Lineage:
    body = row.body
    own = Lineage(
        example=row.key, line=row.line or "", outcome=row.key, task=row.task, session=row.session, group=row.repo,
        at=row.at, origin=body.get("origin", "logged"), tags=tuple(body.get("tags", ())),
        foreign=bool(body["extra"].get("foreign")),
    )  # fmt: skip
    return _with_outcome(own, row)


def _outcomes(session: Session, keys: Sequence[str]) -> dict[str, OutcomeRow]:
    return {row.key: row for row in session.exec(select(OutcomeRow).where(col(OutcomeRow.key).in_(keys))).all()}


def _lineage(row: ExampleRow, outcome: OutcomeRow | None) -> Lineage:
    body = row.body
    if not body.get("messages"):
        return Lineage(example=row.id, line=row.line, withdrawn=row.withdrawn, forgotten=True)
    own = Lineage(
        example=row.id, line=row.line, outcome=row.outcome, task=body["task"], session=body["session"],
        group=body["group"], at=row.at, origin=body["origin"], category=row.category,
        form=body.get("form", "as_logged"), tags=tuple(body.get("tags", ())), foreign=body["foreign"],
        withdrawn=row.withdrawn,
    )  # fmt: skip
    return own if outcome is None else _with_outcome(own, outcome)


def _with_outcome(own: Lineage, outcome: OutcomeRow) -> Lineage:
    licence = outcome.body["extra"].get("licence") or UNKNOWN
    more = {"source": outcome.source, "call_type": outcome.call_type, "model": outcome.model, "label": outcome.label,
            "confidence": outcome.confidence, "licence": str(licence)}  # fmt: skip
    return own.model_copy(update=more)
