"""Names say what they name: equal values have equal hashes, and a served name reads back as it was written."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.ids import bytes_hash, canonical, content_hash, served_name, short, split_served_name

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=6))
def test_the_order_of_keys_does_not_count(value: dict[str, Any]) -> None:
    """Two dictionaries that are equal have one canonical form, however they were put together."""
    turned = dict(reversed(value.items()))
    assert canonical(turned) == canonical(value)
    assert content_hash(turned) == content_hash(value)


@given(JSON, JSON)
def test_different_forms_have_different_hashes(one: Any, other: Any) -> None:
    """A hash stands for one canonical form and no other."""
    assert (content_hash(one) == content_hash(other)) == (canonical(one) == canonical(other))


def test_a_hash_is_pinned() -> None:
    """The canonical form never changes: stored hashes would lose their meaning."""
    assert canonical({"b": [1, 2.5, None], "a": "ü"}) == '{"a":"ü","b":[1,2.5,null]}'.encode()
    assert content_hash({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    assert short(content_hash({"a": 1})) == "015abd7f"


def test_half_a_surrogate_pair_has_a_hash() -> None:
    """What agents write is not always valid Unicode; it still has an identity."""
    assert content_hash("\ud800") != content_hash("\ud801")


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_a_stream_is_hashed_as_its_bytes(chunks: list[bytes]) -> None:
    """Where a stream is cut does not count."""
    assert bytes_hash(chunks) == hashlib.sha256(b"".join(chunks)).hexdigest()


@given(st.text(min_size=1), st.integers(0, 10**12))
def test_a_served_name_reads_back(line: str, number: int) -> None:
    """Line and number are found again in the name, even when the line holds an @."""
    assert split_served_name(served_name(line, number)) == (line, number)


@given(st.text())
def test_what_reads_as_ours_is_spelt_as_ours(name: str) -> None:
    """Only the one spelling of a served name is taken for it."""
    found = split_served_name(name)
    assert found is None or served_name(*found) == name


@pytest.mark.parametrize(
    "name", ["", "@", "@1", "line", "line@", "line@x", "line@-1", "line@1 ", "line@²", "line@07", "l@" + "9" * 5000]
)
def test_other_names_are_not_ours(name: str) -> None:
    """What was not made by `served_name` is none of ours, however long or odd."""
    assert split_served_name(name) is None
