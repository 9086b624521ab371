"""Suites: what a line's adapters are measured on, and the questions that no dataset may hold."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from flywheel.core.examples import DatasetManifest
from flywheel.core.sketches import Sketch
from flywheel.core.suites import HeldOut, Provenance, Suite
from flywheel.store.batches import among, insert_rows
from flywheel.store.evidence_tables import PurgeRow
from flywheel.store.nearness_tables import AnswerSketchRow
from flywheel.store.stores import insert_new
from flywheel.store.suite_tables import SuiteSketchRow, SuiteStandingRow
from flywheel.store.tables import DatasetExampleRow, DatasetRow, ExampleRow, OutcomeRow, SuitePromptRow, SuiteRow

_AT_ONCE = 500
_STANDING = ("name", "origin", "due", "retired")
_TAUGHT = ("train", "valid")


def record_suite(
    session: Session, suite: Suite, prompt_keys: Iterable[str], sketches: Mapping[str, Sketch] | None = None,
    scheme: str = "",
) -> None:  # fmt: skip
    """Record a suite, live or not, with every question it holds; sketches say what is nearly one of them."""
    whole = suite.model_dump()
    standing = {name: whole.pop(name) for name in _STANDING}
    insert_new(session, SuiteRow, [whole])
    insert_new(session, SuiteStandingRow, [{"suite": suite.hash, **standing}])
    known = set(session.exec(select(SuitePromptRow.prompt_key).where(SuitePromptRow.suite == suite.hash)).all())
    new = [key for key in dict.fromkeys(prompt_keys) if key not in known]
    asked = [(suite.hash, key, suite.line) for key in new]
    insert_rows(session, SuitePromptRow, ("suite", "prompt_key", "line"), asked)
    drawn = [(suite.hash, key, scheme, *sketches[key]) for key in new if sketches and key in sketches]
    insert_rows(session, SuiteSketchRow, ("suite", "prompt_key", "scheme", "words", "hashes"), drawn)


def live_suite(session: Session, line: str) -> Suite | None:
    """Return the suite on which a line is measured now."""
    return next(iter(_suites(session, SuiteRow.line == line, col(SuiteRow.live).is_(True))), None)


def suite_by_hash(session: Session, digest: str) -> Suite | None:
    """Return one suite."""
    return next(iter(_suites(session, SuiteRow.hash == digest)), None)


def suites(session: Session, line: str | None = None) -> list[Suite]:
    """Return the suites, oldest first."""
    return _suites(session, *([SuiteRow.line == line] if line else []))


def suites_called(session: Session, line: str, name: str) -> list[Suite]:
    """Return the suites of a line that have a name, or whose hash begins with it, newest first."""
    named = [one for one in reversed(suites(session, line)) if one.name == name]
    return named or [one for one in reversed(suites(session, line)) if name and one.hash.startswith(name)]


def waiting_suite(session: Session, line: str) -> Suite | None:
    """Return the oldest imported suite of a line that was not used yet and whose files are there."""
    purged = select(PurgeRow.hash).where(col(PurgeRow.hash) == col(SuiteRow.hash)).exists()
    found = _suites(session, SuiteRow.line == line, col(SuiteRow.live).is_(False), ~purged)
    return next((one for one in found if one.origin == "imported" and not one.retired), None)


def holds_out(session: Session, line: str) -> bool:
    """Tell whether the line's datasets hold rows out: there is no suite, or the one there is has to be replaced."""
    suite = live_suite(session, line)
    return suite is None or suite.due


def mark_due(session: Session, digest: str) -> None:
    """Let the line's datasets hold rows out, because its suite is to be replaced."""
    _stand(session, digest, due=True)


def retire(session: Session, digest: str) -> None:
    """Let a suite examine nobody any more; its questions stay forbidden."""
    session.connection().execute(update(SuiteRow).where(col(SuiteRow.hash) == digest).values(live=False))
    _stand(session, digest, retired=True)


def use(session: Session, digest: str) -> None:
    """Let a recorded suite be what its line is measured on; the one before must have been retired."""
    session.connection().execute(update(SuiteRow).where(col(SuiteRow.hash) == digest).values(live=True))


def suite_prompts(session: Session, line: str) -> set[str]:
    """Return the keys of every question that stands in any suite of a line."""
    return set(session.exec(select(SuitePromptRow.prompt_key).where(SuitePromptRow.line == line)).all())


def suite_sketches(session: Session, scheme: str, line: str | None = None) -> dict[str, Sketch]:
    """Return sketches of the questions of all suites, or of one line's, by their keys; those of a scheme."""
    row = SuiteSketchRow
    query = select(row.prompt_key, row.words, row.hashes).where(row.scheme == scheme)
    if line is not None:
        query = query.join(SuiteRow, col(SuiteRow.hash) == col(row.suite)).where(SuiteRow.line == line)
    return {key: Sketch(words, hashes) for key, words, hashes in session.exec(query).all()}


def newest_held_out(session: Session, line: str) -> HeldOut | None:
    """Return the newest dataset of a line that holds rows out for a suite and gave none yet."""
    purged = select(PurgeRow.hash).where(col(PurgeRow.hash) == col(DatasetRow.hash)).exists()
    used = select(SuiteRow.hash).where(SuiteRow.line == line, col(SuiteRow.dataset) == col(DatasetRow.hash)).exists()
    query = select(DatasetRow).where(DatasetRow.line == line, ~purged, ~used).order_by(col(DatasetRow.number).desc())
    for row in session.exec(query):
        manifest = DatasetManifest.model_validate(row.body)
        if "test" in manifest.splits and manifest.splits["test"].rows:
            return HeldOut(manifest=manifest, seq=row.seq)
    return None


def taught_questions(session: Session, numbers: Sequence[int]) -> frozenset[int]:
    """Return which of these questions, by their numbers, any example asks that teaches in any dataset."""
    asks = AnswerSketchRow
    query = (
        select(asks.question)
        .join(ExampleRow, col(ExampleRow.seq) == col(asks.example))
        .join(DatasetExampleRow, col(DatasetExampleRow.example) == col(ExampleRow.id))
        .where(among(session, asks.question, numbers), col(DatasetExampleRow.part).in_(_TAUGHT))
    )
    return frozenset(session.exec(query.distinct()).all())


def provenance(session: Session, examples: Iterable[str]) -> dict[str, Provenance]:
    """Return where examples come from, by id; unknown ones are left out."""
    wanted = list(examples)
    found: dict[str, Provenance] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        query = (
            select(ExampleRow, col(OutcomeRow.body)["extra"])
            .join(OutcomeRow, col(OutcomeRow.key) == col(ExampleRow.outcome), isouter=True)
            .where(col(ExampleRow.id).in_(wanted[start : start + _AT_ONCE]))
        )
        found |= {row.id: _provenance(row, extra) for row, extra in session.exec(query).all()}
    return found


def _provenance(row: ExampleRow, extra: Any) -> Provenance:
    group = row.body.get("group") or row.body.get("task") or ""
    tests = extra.get("tests") if isinstance(extra, dict) else None
    return Provenance(
        group=str(group), category=row.category, prompt_key=row.prompt_key, at=row.at,
        tools=tuple(row.body.get("tools", ())), tests=tests if isinstance(tests, dict) else None,
    )  # fmt: skip


def _stand(session: Session, digest: str, **changes: bool) -> None:
    standing: dict[str, Any] = {"name": "", "origin": "held_out", "due": False, "retired": False}
    insert_new(session, SuiteStandingRow, [{"suite": digest, **standing}])
    session.connection().execute(
        update(SuiteStandingRow).where(col(SuiteStandingRow.suite) == digest).values(**changes)
    )


def _suites(session: Session, *where: Any) -> list[Suite]:
    query = (
        select(SuiteRow, SuiteStandingRow)
        .join(SuiteStandingRow, col(SuiteStandingRow.suite) == col(SuiteRow.hash), isouter=True)
        .where(*where)
        .order_by(col(SuiteRow.seq), col(SuiteRow.hash))
    )
    return [_suite(row, standing) for row, standing in session.exec(query).all()]


def _suite(row: SuiteRow, standing: SuiteStandingRow | None) -> Suite:
    stands = standing.model_dump(exclude={"suite"}) if standing is not None else {}
    return Suite(**row.model_dump(), **stands)
