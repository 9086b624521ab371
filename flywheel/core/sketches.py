"""What is kept of a text to tell whether another is nearly the same. A value; `nearness` makes it."""

from typing import NamedTuple


class Sketch(NamedTuple):
    """How many words a text has, and the smallest hashes of its word triples: four bytes each, in order."""

    words: int
    hashes: bytes


class Traits(NamedTuple):
    """How hard an example is to follow: the files its answer is about, and the steps taken before and in it."""

    files: int
    steps: int
