"""Telling texts that are nearly the same: word triples, a sketch of them, bands to find it by, an estimate. Pure.

A text becomes the set of its runs of three words. Of the hashes of that set the smallest ones are its sketch (a
MinHash with one hash function): two texts have as much in common as the smallest hashes of both together, exactly so
while the sets are small, and within 3 points beyond. For finding, a sketch is dealt into bins whose minima are cut
into bands: nearly equal texts agree in a whole band, so whoever looks for them asks for equal bands and meets few
others. What is stored stays comparable for ever: nothing here may change without a new `SCHEME`.
"""

import re
import struct
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import merge
from zlib import crc32

from flywheel.core.sketches import Sketch

SCHEME = "triples/1"
KEPT = 128  # hashes: the estimate of a similarity of 0.9 then errs by 0.026 (one standard deviation)
BANDS, ROWS = 6, 6  # pairs that are 0.90 alike share a band in 98.9 % of all cases, 0.95: 99.97 %, 0.5: 9 %
LOWEST = 0.85  # below it pairs share no band too often to promise anything

_BINS = BANDS * ROWS
_TRIPLE = 3
_FACTOR, _PRIME = 48271, 1073741789  # spread what a checksum leaves close together, over 30 bits
_WORD = 4  # bytes of a hash
_MUCH = 4 * KEPT

# What stands between words. Operators are part of words: 3+4 and 3-4 are not the same.
_BETWEEN = b" \t\n\r\f\v()[]{}<>\"'`,;:/\\."
_APART = bytes.maketrans(_BETWEEN, b" " * len(_BETWEEN))
# Scripts that are written without spaces: each of their characters is a word.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff65"
    "\U00020000-\U0003ffff])"
)


def question_text(messages: Sequence[tuple[str, str]]) -> str:
    """Return what a question is compared by: all that was said but for the system's words, which are every task's."""
    said = [words for role, words in messages if role != "system"]
    return "\n".join(said or [words for _, words in messages])


def sketch(text: str, *, fold: bool) -> Sketch:
    """Return a text's sketch; folded, letters are compared without their case."""
    data = (text.lower() if fold else text).encode(errors="surrogatepass") if text.isascii() else _spaced(text, fold)
    words = data.translate(_APART).split()
    if len(words) < _TRIPLE:  # too short to be nearly the same as anything: the same or not, to the letter
        return Sketch(len(words), _packed([_spread(crc32(b" ".join(data.split())))]))
    triples = map(crc32, words[2:], map(crc32, words[1:], map(crc32, words)))
    return Sketch(len(words), _packed(_smallest(triples, len(words))))


def similarity(one: Sketch, other: Sketch) -> float:
    """Return the estimated share of triples that two texts have in common, or of their words when that is less."""
    fewer, more = sorted((one.words, other.words))
    lengths = fewer / more if more else 1.0
    if one.hashes == other.hashes:
        return lengths
    first, second = hashes_of(one), hashes_of(other)
    in_common = set(first).intersection(second)
    if not in_common:
        return 0.0
    together = len(first) + len(second) - len(in_common)
    if together > KEPT and KEPT in {len(first), len(second)}:
        # One of them was cut: only below the KEPT-th smallest hash of both together are both known completely.
        bound = _nth(first, second, KEPT)
        return min(lengths, sum(value <= bound for value in in_common) / KEPT)
    return min(lengths, len(in_common) / together)


def bands(found: Sketch) -> tuple[int, ...]:
    """Return the numbers under which a text is found by those that are nearly the same; equal ones share them all."""
    bins = {value % _BINS: value for value in reversed(hashes_of(found))}  # the smallest of each bin comes last
    if not bins:
        return ()
    if len(bins) < _BINS:
        bins = _filled(bins)
    packed = _packed([bins[number] for number in range(_BINS)])
    width = ROWS * _WORD
    return tuple(crc32(packed[start : start + width], start + 1) for start in range(0, len(packed), width))


def hashes_of(found: Sketch) -> Sequence[int]:
    """Return the hashes of a sketch, smallest first."""
    return struct.unpack(f"<{len(found.hashes) // _WORD}I", found.hashes)


class Likeness:
    """Questions that can be asked which of them something is nearly the same as."""

    def __init__(self, questions: Mapping[str, Sketch]) -> None:
        """Take the questions by their keys."""
        self.questions: dict[str, Sketch] = {}
        self._banded: defaultdict[int, list[str]] = defaultdict(list)
        for key, drawn in questions.items():
            self.add(key, drawn)

    def add(self, key: str, drawn: Sketch) -> None:
        """Take one more question."""
        self.questions[key] = drawn
        for band in bands(drawn):
            self._banded[band].append(key)

    def near(self, other: Sketch, least: float) -> set[str]:
        """Return the keys of all that are at least so much like another."""
        met = {key for band in bands(other) for key in self._banded.get(band, ())}
        return {key for key in met if similarity(self.questions[key], other) >= least}


def _spaced(text: str, fold: bool) -> bytes:  # noqa: FBT001 - private
    plain = unicodedata.normalize("NFKC", text)
    return _UNSPACED.sub(r" \1 ", plain.lower() if fold else plain).encode(errors="surrogatepass")


def _smallest(triples: Iterable[int], expected: int) -> list[int]:
    if expected <= _MUCH:
        return sorted({value * _FACTOR % _PRIME for value in triples})[:KEPT]
    return _smallest_of_many(triples, expected)


def _smallest_of_many(triples: Iterable[int], expected: int) -> list[int]:
    """Sort only what can be among the smallest; a text that repeats itself has fewer, and is then sorted whole."""
    bound = _PRIME * _MUCH // expected
    spread = [value * _FACTOR % _PRIME for value in triples]
    low = {value for value in spread if value < bound}
    return sorted(low if len(low) >= KEPT else set(spread))[:KEPT]


def _spread(value: int) -> int:
    return value * _FACTOR % _PRIME


def _packed(values: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def _nth(first: Sequence[int], second: Sequence[int], nth: int) -> int:
    """Return the nth smallest of two ordered rows together, what stands in both counted once."""
    last, seen = -1, 0
    for value in merge(first, second):
        if value != last:
            last, seen = value, seen + 1
            if seen == nth:
                break
    return last


def _filled(bins: dict[int, int]) -> dict[int, int]:
    """Let each empty bin borrow from the first that is not, in an order of its own."""
    filled = dict(bins)
    for number, order in enumerate(_NEIGHBOURS):
        if number not in bins:
            for other in order:
                if other in bins:
                    filled[number] = bins[other]
                    break
    return filled


def _neighbours(number: int) -> tuple[int, ...]:
    """Return all bins in an order that differs from number to number and never changes."""
    return tuple(sorted(range(_BINS), key=lambda other: (_spread(crc32(bytes([number, other]))), other)))


_NEIGHBOURS = tuple(_neighbours(number) for number in range(_BINS))
