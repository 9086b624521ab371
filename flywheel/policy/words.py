"""The words policy speaks in: numbers as short as they may be, lists, and the nearest right word. Pure."""

import math
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

_MOST_DECIMALS = 17


def show(value: Any, *beside: float) -> str:
    """Return a reading in words: rounded, but never so far that it changes sides of a number in `beside`."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _decimal(value, beside)
    return str(value)


def _decimal(value: float, beside: Iterable[float]) -> str:
    if not math.isfinite(value):
        return str(value)
    if value.is_integer():
        return f"{value:.0f}"
    bounds = tuple(beside)
    texts = (f"{value:.{decimals}f}" for decimals in range(2, _MOST_DECIMALS))
    return next((text for text in texts if _keeps_its_side(value, float(text), bounds)), repr(value))


def _keeps_its_side(exact: float, rounded: float, bounds: tuple[float, ...]) -> bool:
    return all((exact < b, exact > b) == (rounded < b, rounded > b) for b in bounds)


def quoted(value: Any) -> str:
    """Return a value as it stands in a TOML file, cut short when it is long."""
    text = f"'{value}'" if isinstance(value, str) else show(value, *_exactly(value))
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - one line is read at a glance


def _exactly(value: Any) -> tuple[float, ...]:
    return (value,) if isinstance(value, float) else ()


def listed(words: Iterable[str], last: str = "or") -> str:
    """Join words as people do: a, b or c."""
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end


def counted(count: int, noun: str) -> str:
    """Return a count with its noun in the right number."""
    return f"{count} {noun}" + ("s" if count != 1 else "")


def nearest(word: str, right: Iterable[str]) -> str | None:
    """Return the right word that was most probably meant, if one is near enough."""
    close = get_close_matches(word, list(right), n=1, cutoff=0.55)
    return close[0] if close else None


def hint(word: str, right: Iterable[str]) -> str:
    """Return the end of an error line: the nearest right word, or all of them when none is near."""
    words = sorted(right)
    if (close := nearest(word, words)) is not None:
        return f", did you mean '{close}'?"
    return f", known are {listed(words, 'and')}" if words else ", there is none yet"
