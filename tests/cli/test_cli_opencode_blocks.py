"""opencode's block: what is added to a person's configuration, and that nothing of theirs is lost by it."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.cli.json_edits import read, set_value
from flywheel.cli.opencode_blocks import is_language, is_ours, kept, leaves, opencode_block, to_set, value_at
from flywheel.core.lines import Line, Select

RUST = Line(name="build-rust", why="Rust as we write it.", base="b", select=Select(tags=("language:rust",)))
CALLS = Line(name="tool-calling", why="Right calls.", base="b")
LINES = {line.name: line for line in (RUST, CALLS)}
BLOCK = opencode_block("http://gateway", LINES, {"build-rust": 1000}, "{env:KEY}")

WORDS = "provider flywheel other agent build-rust options baseURL apiKey model models $schema theme"
NAMES = st.sampled_from(WORDS.split())
VALUES = st.recursive(
    st.booleans() | st.text("ab", max_size=2), lambda inner: st.dictionaries(NAMES, inner, max_size=3)
)
CONFIGS = st.dictionaries(NAMES, VALUES, max_size=4)


def merged(before: dict[str, Any]) -> dict[str, Any]:
    """What `--merge` makes of a file; raises ValueError where it refuses to."""
    text = json.dumps(before)
    for way, value in to_set(before, BLOCK):
        text = set_value(text, way, value)
    found = read(text).value
    assert isinstance(found, dict)
    return found


def test_the_block_says_what_opencode_needs() -> None:
    """A provider of the kind that opencode brings along, a model for each line, an agent for each language."""
    assert BLOCK["provider"]["flywheel"]["npm"] == "@ai-sdk/openai-compatible"
    assert BLOCK["provider"]["flywheel"]["options"] == {"baseURL": "http://gateway/v1", "apiKey": "{env:KEY}"}
    assert BLOCK["provider"]["flywheel"]["models"] == {
        "build-rust": {"name": "build-rust", "tool_call": True, "limit": {"context": 1000, "output": 250}},
        "tool-calling": {"name": "tool-calling", "tool_call": True},
    }
    assert [is_language(line) for line in LINES.values()] == [True, False]
    assert BLOCK["agent"] == {
        "build-rust": {"description": RUST.why, "mode": "all", "model": "flywheel/build-rust"}
    }  # fmt: skip
    assert "agent" not in opencode_block("http://gateway", {CALLS.name: CALLS}, {})


@settings(deadline=None)
@given(CONFIGS)
def test_merging_loses_nothing_and_brings_everything(before: dict[str, Any]) -> None:
    """Whatever a person has: their values stay but for our provider's own, and what was missing is there."""
    try:
        after = merged(before)
    except ValueError:
        return  # something on the way is no table: refused, and said where
    for path, value in leaves(before):
        if not is_ours(path) and value != {}:
            assert value_at(after, path) == value
    for path, value in leaves(BLOCK):
        found = value_at(after, path)
        assert found == value if is_ours(path) else found is not None
    assert {".".join(path) for path, value in leaves(BLOCK) if value_at(after, path) != value} == set(
        kept(before, BLOCK)
    )
    assert to_set(after, BLOCK) == []


def test_merging_into_nothing_gives_the_block() -> None:
    """And into itself changes nothing."""
    assert merged({}) == BLOCK
    assert kept(BLOCK, BLOCK) == []
