"""How far on in a curriculum something stands: one file, several, a chain of changes. Pure; the closed list.

A source that knows it from a history says it as a tag: an answer of one word does not show it.
"""

from collections.abc import Iterable

LEVELS = ("single_file", "multi_file", "chain")
_TAG = "curriculum:"


def curriculum_tag(level: int) -> str:
    """Return the tag of a level, from 0."""
    return f"{_TAG}{LEVELS[level]}"


def level_among(tags: Iterable[str]) -> int | None:
    """Return the highest level that tags name; None where they name none."""
    named = (tag.removeprefix(_TAG) for tag in tags if tag.startswith(_TAG))
    return max((LEVELS.index(name) for name in named if name in LEVELS), default=None)
