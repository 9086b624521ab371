"""Suites: what a line's adapters are measured on, and the questions that no dataset may hold."""

from collections.abc import Iterable

from sqlmodel import Session, col, select

from flywheel.core.examples import DatasetManifest
from flywheel.core.suites import HeldOut, Provenance, Suite
from flywheel.store.evidence_tables import PurgeRow
from flywheel.store.stores import insert_new
from flywheel.store.tables import DatasetRow, ExampleRow, SuitePromptRow, SuiteRow


def record_suite(session: Session, suite: Suite, prompt_keys: Iterable[str]) -> None:
    """Record a suite as the live one of its line, with every question it holds."""
    insert_new(session, SuiteRow, [suite.model_dump()])
    rows = [{"suite": suite.hash, "prompt_key": key, "line": suite.line} for key in prompt_keys]
    insert_new(session, SuitePromptRow, rows)


def live_suite(session: Session, line: str) -> Suite | None:
    """Return the suite on which a line is measured now."""
    row = session.exec(select(SuiteRow).where(SuiteRow.line == line, col(SuiteRow.live).is_(True))).first()
    return _suite(row) if row else None


def suite_by_hash(session: Session, digest: str) -> Suite | None:
    """Return one suite."""
    row = session.get(SuiteRow, digest)
    return _suite(row) if row else None


def suites(session: Session, line: str | None = None) -> list[Suite]:
    """Return the suites, oldest first."""
    query = select(SuiteRow).order_by(col(SuiteRow.seq))
    return [_suite(row) for row in session.exec(query.where(SuiteRow.line == line) if line else query).all()]


def suite_prompts(session: Session, line: str) -> set[str]:
    """Return the keys of every question that stands in any suite of a line."""
    return set(session.exec(select(SuitePromptRow.prompt_key).where(SuitePromptRow.line == line)).all())


def newest_held_out(session: Session, line: str) -> HeldOut | None:
    """Return the newest dataset of a line that holds rows out for a suite."""
    purged = select(PurgeRow.hash).where(col(PurgeRow.hash) == col(DatasetRow.hash)).exists()
    query = select(DatasetRow).where(DatasetRow.line == line, ~purged).order_by(col(DatasetRow.number).desc())
    for row in session.exec(query):
        manifest = DatasetManifest.model_validate(row.body)
        if "test" in manifest.splits and manifest.splits["test"].rows:
            return HeldOut(manifest=manifest, seq=row.seq)
    return None


def provenance(session: Session, examples: Iterable[str]) -> dict[str, Provenance]:
    """Return where examples come from, by id; unknown ones are left out."""
    wanted = list(examples)
    found: dict[str, Provenance] = {}
    for start in range(0, len(wanted), 500):
        query = select(ExampleRow).where(col(ExampleRow.id).in_(wanted[start : start + 500]))
        found |= {row.id: _provenance(row) for row in session.exec(query).all()}
    return found


def _provenance(row: ExampleRow) -> Provenance:
    group = row.body.get("group") or row.body.get("task") or ""
    return Provenance(group=str(group), category=row.category, prompt_key=row.prompt_key)


def _suite(row: SuiteRow) -> Suite:
    return Suite(**row.model_dump())
