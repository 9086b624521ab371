"""Setting a value in a person's JSON: the value is set, and everything else stays as it was written."""

import json
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.cli.json_edits import read, set_value

NAMES = st.text(string.ascii_letters + '"\\/ é', max_size=4)
PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
TABLES = st.dictionaries(NAMES, VALUES, max_size=4)

SAID = """\ufeff// mine
{
    /* the theme,
       as I like it */
    "theme": "dark", // at night
    "url": "http://x/*no comment*/",
    "agent": { "mine": {"model": "a/b"}, /* last */ },
    "list": [1, 2, /* three */ 3,],
    "empty": {}
    // the end
}
"""


def with_value(table: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """What setting a value means."""
    if len(path) == 1:
        return {**table, path[0]: value}
    return {**table, path[0]: with_value(table.get(path[0], {}), path[1:], value)}


@settings(deadline=None)
@given(TABLES, st.sampled_from([None, 0, 2, "\t"]))
def test_what_is_written_is_read(table: dict[str, Any], indent: Any) -> None:
    """JSON in any layout is read as it is."""
    assert read(json.dumps(table, indent=indent)).value == table


@settings(deadline=None)
@given(TABLES, st.lists(NAMES, min_size=1, max_size=3).map(tuple), VALUES, st.sampled_from([None, 4]))
def test_a_set_value_is_set_and_no_other_changes(table: Any, path: Any, value: Any, indent: Any) -> None:
    """In whatever table and however deep; only where something on the way is no table it is refused."""
    try:
        expected = with_value(table, path, value)
    except TypeError:
        with pytest.raises(ValueError, match="is there and is no table"):
            set_value(json.dumps(table, indent=indent), path, value)
        return
    assert read(set_value(json.dumps(table, indent=indent), path, value)).value == expected


@pytest.mark.parametrize(
    "path",
    [("theme",), ("new",), ("agent", "mine", "model"), ("agent", "ours", "model"), ("empty", "a"), ("list",)],
    ids=".".join,
)
def test_comments_and_layout_stay(path: tuple[str, ...]) -> None:
    """Comments before, behind and between, trailing commas, a mark at the beginning: all there afterwards."""
    edited = set_value(SAID, path, "X")
    assert read(edited).value == with_value(read(SAID).value, path, "X")
    for comment in (
        "\ufeff// mine",
        "/* the theme,\n       as I like it */",
        "// at night",
        "/* last */",
        "// the end",
    ):
        assert comment in edited
    kept = [line for line in SAID.splitlines() if not any(f'"{name}"' in line for name in path)]
    assert all(line.rstrip() in edited for line in kept)


def test_a_text_that_is_set_twice_is_the_same() -> None:
    """Setting what is set changes not a byte."""
    once = set_value(SAID, ("provider", "ours"), {"a": 1})
    assert set_value(once, ("provider", "ours"), {"a": 1}) == once


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a" 1}', '{"a": 1 "b": 2}', "[1 2]", "{'a': 1}", "{} {}", '{"a": }', '{"a": "\n"}', "/* {}", "{,}"],
)
def test_what_is_no_json_says_its_line(text: str) -> None:
    """A text that cannot be read is not touched: the error names the line."""
    with pytest.raises(ValueError, match=r"line 1 is not JSON at|Expecting"):
        set_value(text, ("a",), 1)
