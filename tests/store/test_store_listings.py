"""Every noun a person may list: its table, its columns, its order, from an empty store and from a filled one."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import JSON
from sqlmodel import AutoString, SQLModel

from flywheel.store.listings import NOUNS, count_releases, find_rows, list_rows
from flywheel.store.stores import Store
from flywheel.store.tables import ReleaseRow, Utc

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def value(column: Any, number: int) -> Any:
    """Return a value for a column, different for every number."""
    if isinstance(column.type, Utc):
        return NOW + timedelta(minutes=number)
    if isinstance(column.type, JSON):
        return {"n": number}
    if isinstance(column.type, AutoString):
        return "ab"[number % 2] if column.name == "line" else f"{column.name}-{number}"
    return False if column.type.python_type is bool else column.type.python_type(number)


def row(table: type[SQLModel], number: int) -> SQLModel:
    """Return a row of any table with every column filled."""
    columns = table.__table__.columns  # type: ignore[attr-defined]
    return table(**{column.name: value(column, number) for column in columns})


@pytest.fixture
def filled(store: Store) -> Store:
    with store.write() as session:
        for noun in NOUNS.values():
            for number in range(1, 5):
                session.add(row(noun.table, number))
    return store


@pytest.mark.parametrize("noun", NOUNS)
def test_an_empty_store_lists_nothing(store: Store, noun: str) -> None:
    """Nothing is not an error."""
    with store.read() as session:
        assert list_rows(session, noun) == list_rows(session, noun, line="l") == find_rows(session, noun, "x") == []


@pytest.mark.parametrize("noun", NOUNS)
def test_a_filled_store_lists_the_newest_first(filled: Store, noun: str) -> None:
    """Rows come whole, newest first, at most as many as asked for, ready to be written as JSON."""
    spec = NOUNS[noun]
    with filled.read() as session:
        found = list_rows(session, noun)
        assert list_rows(session, noun, limit=2) == found[:2]
    assert len(found) == 4
    assert [each[spec.order] for each in found] == sorted((each[spec.order] for each in found), reverse=True)
    assert set(spec.columns) | {spec.key} <= set(found[0])
    json.dumps(found)


@pytest.mark.parametrize("noun", NOUNS)
def test_a_line_sees_its_own(filled: Store, noun: str) -> None:
    """Where rows belong to a line, the others' are left out; where they do not, all are shown."""
    with filled.read() as session:
        found = list_rows(session, noun, line="a")
    owned = "line" in NOUNS[noun].table.model_fields
    assert len(found) == (2 if owned else 4)
    assert not owned or {each["line"] for each in found} == {"a"}


@pytest.mark.parametrize("noun", NOUNS)
def test_a_row_is_found_by_the_beginning_of_its_name(filled: Store, noun: str) -> None:
    """The whole name finds one row, its beginning all that share it, and a wild card nothing."""
    spec = NOUNS[noun]
    with filled.read() as session:
        names = [each[spec.key] for each in list_rows(session, noun)]
        assert [each[spec.key] for each in find_rows(session, noun, names[0])] == [names[0]]
        assert sorted(each[spec.key] for each in find_rows(session, noun, names[0][:-1])) == sorted(names)
        assert find_rows(session, noun, "%") == find_rows(session, noun, "nobody") == []


def test_releases_are_counted_by_state(store: Store) -> None:
    """Each state has its names, in the order of their numbers."""
    states = ["superseded", "active", "rejected", "superseded"]
    with store.write() as session:
        for number, state in enumerate(states, 1):
            session.add(
                ReleaseRow(
                    name=f"l@{number}", line="l", number=number, adapter="h", state=state, changed_at=NOW, seq=number
                )
            )
    with store.read() as session:
        assert count_releases(session, "l") == {
            "superseded": ["l@1", "l@4"], "active": ["l@2"], "rejected": ["l@3"],
        }  # fmt: skip
        assert count_releases(session, "other") == {}
