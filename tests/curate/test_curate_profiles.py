"""Profiles: what a dataset is made of adds up, and lengths are what they are."""

import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.cli.plots import bars, svg
from flywheel.core.examples import DatasetManifest, Split
from flywheel.core.lineages import Lineage
from flywheel.curate.lengths import histogram, lengths_of, percentile
from flywheel.curate.profiles import RowSummary, profile, tally

VALUES = st.lists(st.integers(0, 100_000), min_size=1, max_size=80)


@given(VALUES)
def test_a_histogram_holds_every_value_once(values):
    """Bins of one width stand side by side, and their rows add up."""
    bins = histogram(sorted(values))
    assert sum(one.rows for one in bins) == len(values)
    assert len({one.high - one.low for one in bins}) == 1
    assert len(bins) <= 21
    assert all(before.high == behind.low for before, behind in pairwise(bins))
    assert bins[0].low <= min(values)
    assert max(values) < bins[-1].high


@given(VALUES, st.integers(1, 100))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values, share):
    """At least that share is at most the percentile, and it is one of the values."""
    found = percentile(sorted(values), share)
    assert found in values
    assert sum(one <= found for one in values) >= len(values) * share / 100


@given(st.dictionaries(st.sampled_from(["train", "valid"]), st.lists(st.none() | st.integers(1, 5000)), min_size=1))
def test_lengths_count_what_was_counted(parts):
    """Rows that could not be counted are told apart; the share beyond the limit is that of the counted ones."""
    found = lengths_of(parts, "tokens", "t", limit=100)
    counted = [one for held in parts.values() for one in held if one is not None]
    if not counted:
        assert found is None
        return
    assert (found.rows, found.not_counted) == (len(counted), sum(map(len, parts.values())) - len(counted))
    assert (found.shortest, found.longest) == (min(counted), max(counted))
    assert found.over == sum(one > 100 for one in counted)


@given(VALUES, st.none() | st.integers(1, 100_000))
def test_pictures_are_whole_and_need_nothing_else(values, limit):
    """The text has a bar a bin; the SVG is XML that refers to nothing outside, whatever the title."""
    found = lengths_of({"train": values}, "tokens", "t", limit)
    assert len(bars(found)) == len(found.histogram)
    picture = svg(found, '<script> & "quotes"')
    root = ET.fromstring(picture)  # noqa: S314 - our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not any(word in picture.replace("http://www.w3.org/2000/svg", "") for word in ("<script", "href", "http"))


@pytest.mark.parametrize("count", [0, 3, 25])
def test_a_tally_names_the_most_common_and_counts_the_rest(count):
    """Nothing is lost: named and unnamed add up."""
    names = [f"n{place:02}" for place in range(count) for _ in range(count - place)]
    found = tally(names)
    assert len(found.names) == min(count, 20)
    assert sum(found.names.values()) + found.other == len(names)
    assert list(found.names) == sorted(found.names)


def test_a_profile_counts_rows_and_examples():
    """Rehearsed rows count as rows only; every tally counts each example once."""
    manifest = DatasetManifest(
        hash="h", line="code", number=2, parent="g", splits={"train": Split(rows=3, sha256="x")}, examples=2, fresh=1,
        replayed=1, left_out={"near duplicate": 4}, created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    rows = {
        "train": [RowSummary("a", False, 10, True), RowSummary("b", False, 5, False), RowSummary("a", True, 10, True)]
    }
    known = {
        "a": Lineage(example="a", line="code", source="one", label="positive", tags=("language:rust", "stage:x")),
        "b": Lineage(example="b", line="code", source="two", label="negative", withdrawn=True, category="edit"),
    }
    found = profile(manifest, rows, known)
    assert found.parts["train"].model_dump() == {
        "rows": 3,
        "examples": 2,
        "rehearsed": 1,
        "tool_rows": 2,
        "sha256": "x",
        "good": None,
    }
    assert found.labels.names == {"negative": 1, "positive": 1}
    assert found.languages.names == {"none": 1, "rust": 1}
    assert found.tags.names == {"language:rust": 1, "stage:x": 1}
    assert found.categories.names == {"edit": 1, "unknown": 1}
    assert (found.superseded, found.forgotten, found.rehearsed) == (1, 0, 1)
    assert found.replay_share == round(1 / 3, 4)
    assert found.left_out == {"near duplicate": 4}
