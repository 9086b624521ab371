"""Comparing new examples with all older ones, at the cost of the new ones.

Questions are compared over all lines, because a suite of one line must not be taught by another; examples are compared
within their line, by question and answer: the same question may be answered in different ways worth learning.
"""

import gc
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from sqlmodel import Session

from flywheel.core.sketches import Sketch, Traits
from flywheel.curate.complexities import traits_of
from flywheel.curate.nearness import LOWEST, SCHEME, bands, question_text, similarity, sketch
from flywheel.store.counters import add_to_counter
from flywheel.store.sketches import (
    Answered,
    Asked,
    Near,
    Sketched,
    Uncompared,
    begin_anew,
    near_questions_of,
    newest_answers,
    question_sketches,
    questions_asked,
    questions_banded,
    record_sketches,
    sketched_until,
    uncompared,
)
from flywheel.store.stores import Store

NEAR_FRESH = "examples_fresh_near"
EXAMPLES_A_BATCH = 1000
TRIED = 16  # candidates looked at for each question and for each of its answers: those that share most come first
_CROWD = 32  # a band that so many questions have tells nothing any more: no further ones are entered

Alike = defaultdict[int, dict[int, float]]


class Newcomer(NamedTuple):
    """A new example as comparing sees it."""

    seq: int
    line: str
    prompt_key: str
    question: Sketch
    answer: Sketch
    traits: Traits


def compare_new(store: Store, thresholds: Mapping[str, float]) -> int:
    """Compare every example that was not yet; return how many are nearly the same as an older one of their line.

    Those are counted beside the fresh ones of their line, by the similarity from which on it takes two for the same.
    """
    _begin(store)
    total = 0
    while True:
        with store.read() as session, _undisturbed():
            since = sketched_until(session, SCHEME) or 0
            newcomers = [newcomer(one) for one in uncompared(session, since, EXAMPLES_A_BATCH)]
            batch = compare(session, newcomers) if newcomers else None
        if batch is None:
            return total
        total += _record(store, since, newcomers, batch, thresholds)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off the search for cycles: a batch makes many small things and no cycle, and the search looks at them all."""
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()


def _begin(store: Store) -> None:
    with store.read() as session:
        comparable = sketched_until(session, SCHEME) is not None
    if not comparable:
        with store.write() as session:
            begin_anew(session, SCHEME)


def _record(
    store: Store, since: int, newcomers: Sequence[Newcomer], batch: Sketched, thresholds: Mapping[str, float]
) -> int:
    """Store a batch unless somebody did meanwhile; return how many examples repeat an older one."""
    lines = {one.seq: one.line for one in newcomers}
    alike = {pair.newer for pair in batch.near_examples if pair.similarity >= thresholds.get(lines[pair.newer], 1.0)}
    with store.write() as session:
        if sketched_until(session, SCHEME) != since:
            return 0
        record_sketches(session, SCHEME, newcomers[-1].seq, batch)
        for line, count in sorted(Counter(lines[seq] for seq in alike).items()):
            add_to_counter(session, f"line:{line}", NEAR_FRESH, count)
    return len(alike)


def newcomer(one: Uncompared) -> Newcomer:
    """Return an example's sketches. In an answer the case of letters counts: it names files and values."""
    *question, (_, answer) = one.messages
    asked, said = sketch(question_text(question), fold=True), sketch(answer, fold=False)
    return Newcomer(one.seq, one.line, one.prompt_key, asked, said, traits_of(question, answer))


def place_questions(session: Session, sketches: Mapping[str, Sketch]) -> tuple[dict[str, int], list[Near]]:
    """Return numbers for questions that no example asks, and what they are nearly the same as; nothing is stored.

    The numbers are below zero and hold for this call alone.
    """
    nothing = Sketch(0, b"")
    newcomers = [
        Newcomer(-number, "", key, sketches[key], nothing, Traits(0, 0))
        for number, key in enumerate(sorted(sketches), 1)
    ]
    questions = _Questions(session, newcomers)
    for one in newcomers:
        questions.take(one)
    return {one.prompt_key: one.seq for one in newcomers}, questions.pairs


def compare(session: Session, newcomers: Sequence[Newcomer]) -> Sketched:
    """Return what is to be stored of these examples, and what they are nearly the same as."""
    questions = _Questions(session, newcomers)
    for one in newcomers:
        questions.take(one)
    answers = _Answers(questions.numbers, questions.near)
    answers.recall(newest_answers(session, answers.questions(newcomers), TRIED))
    for one in newcomers:
        answers.take(one)
    return Sketched(questions.asked, questions.bands, questions.pairs, answers.given, answers.pairs)


class _Questions:
    """A batch's questions: which were asked before, and what the others are nearly the same as."""

    def __init__(self, session: Session, newcomers: Sequence[Newcomer]) -> None:
        self.asked: list[Asked] = []
        self.bands: list[tuple[int, int]] = []
        self.pairs: list[Near] = []
        self.numbers = questions_asked(session, sorted({one.prompt_key for one in newcomers}))
        self.near: Alike = defaultdict(dict)
        new = {one.prompt_key: one.question for one in newcomers if one.prompt_key not in self.numbers}
        self._bands = {key: bands(question) for key, question in new.items()}
        self._crowds: dict[int, tuple[int, ...]] = {}
        for band, number in questions_banded(session, sorted({band for own in self._bands.values() for band in own})):
            self._crowds[band] = (*self._crowds.get(band, ()), number)
        wanted = {number for own in self._bands.values() for number in self._candidates(own)}
        self._sketches = question_sketches(session, sorted(wanted))
        for pair in near_questions_of(session, sorted(self.numbers.values())):
            self._join(pair)

    def take(self, one: Newcomer) -> None:
        """Find what a question is nearly the same as when nobody asked it before, and let it be found itself."""
        if one.prompt_key in self.numbers:
            return
        number, own = one.seq, self._bands[one.prompt_key]
        for other in self._candidates(own):
            alike = similarity(one.question, self._sketches[other])
            if alike >= LOWEST:
                self.pairs.append(Near(number, other, round(alike, 4)))
                self._join(self.pairs[-1])
        crowds = self._crowds
        for band in own:
            crowd = crowds.get(band)
            if crowd is None or len(crowd) < _CROWD:
                crowds[band] = (number,) if crowd is None else (*crowd, number)
                self.bands.append((band, number))
        self.numbers[one.prompt_key] = number
        self._sketches[number] = one.question
        self.asked.append(Asked(number, one.prompt_key, one.question))

    def _candidates(self, own: Iterable[int]) -> Iterable[int]:
        """Return the questions that share most bands, older ones first where they share as many."""
        met = [number for crowd in map(self._crowds.get, own) if crowd for number in crowd]
        return [number for number, _ in Counter(met).most_common(TRIED)] if len(met) > TRIED else dict.fromkeys(met)

    def _join(self, pair: Near) -> None:
        self.near[pair.newer][pair.older] = pair.similarity
        self.near[pair.older][pair.newer] = pair.similarity


class _Answers:
    """A batch's answers: which older ones to nearly the same question are nearly the same."""

    def __init__(self, numbers: Mapping[str, int], near: Alike) -> None:
        self.given: list[Answered] = []
        self.pairs: list[Near] = []
        self._numbers = numbers
        self._near = near
        self._known: defaultdict[tuple[str, int], list[tuple[int, Sketch]]] = defaultdict(list)

    def questions(self, newcomers: Sequence[Newcomer]) -> list[int]:
        """Return the questions that were asked before this batch and whose answers it is compared with."""
        own = {self._numbers[one.prompt_key] for one in newcomers}
        wanted = own | {other for number in own for other in self._near.get(number, ())}
        return sorted(number for number in wanted if number < newcomers[0].seq)

    def recall(self, answers: Iterable[Answered]) -> None:
        """Take the answers that older examples gave, newest first."""
        for one in answers:
            self._known[one.line, one.question].append((one.example, one.sketch))

    def take(self, one: Newcomer) -> None:
        """Compare one answer with those to its question and to questions that are nearly the same."""
        number = self._numbers[one.prompt_key]
        known = self._known[one.line, number]
        self._compare(one, known, 1.0)
        for other, asked in self._near.get(number, {}).items():
            self._compare(one, self._known.get((one.line, other), ()), asked)
        known.insert(0, (one.seq, one.answer))
        del known[TRIED:]
        self.given.append(Answered(one.seq, one.line, number, one.answer, one.traits))

    def _compare(self, one: Newcomer, known: Iterable[tuple[int, Sketch]], asked: float) -> None:
        for example, said in known:
            alike = min(asked, similarity(one.answer, said))
            if alike >= LOWEST:
                self.pairs.append(Near(one.seq, example, round(alike, 4)))
