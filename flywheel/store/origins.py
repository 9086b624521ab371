"""Where the examples of a frozen dataset come from."""

from typing import Any

from sqlmodel import Session, col, select

from flywheel.store.tables import DatasetExampleRow, ExampleRow, OutcomeRow


def origins_in(session: Session, dataset: str, source: str) -> list[str]:
    """Return of what origin (`logged`, `synthetic`, …) a dataset's examples from one source are; none: it gave none."""
    origin: Any = col(ExampleRow.body)["origin"].as_string()
    query = (
        select(origin)
        .select_from(DatasetExampleRow)
        .join(ExampleRow, col(ExampleRow.id) == col(DatasetExampleRow.example))
        .join(OutcomeRow, col(OutcomeRow.key) == col(ExampleRow.outcome))
        .where(col(DatasetExampleRow.dataset) == dataset, col(OutcomeRow.source) == source)
    )
    return sorted(session.exec(query.distinct()).all())
