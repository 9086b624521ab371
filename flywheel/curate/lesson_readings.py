"""Reads a line's pairs and bad answers as lessons, and later their words; a few outcomes at a time are in memory."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from sqlmodel import Session

from flywheel.core.examples import prompt_key
from flywheel.core.ids import content_hash
from flywheel.core.ladders import OWN
from flywheel.core.lines import Line
from flywheel.core.outcomes import Message
from flywheel.core.provenances import provenance_of
from flywheel.core.sketches import Sketch
from flywheel.curate.admissions import example_id
from flywheel.curate.forms import shape
from flywheel.curate.lesson_words import CHANGED, Row, Words, judged_row, judged_words, pair_row, pair_words
from flywheel.curate.lessons import FILES, HeldOut, Lesson, Lessons, Side, kind_of
from flywheel.curate.nearness import question_text, sketch
from flywheel.store.datasets import answers_held_elsewhere, held_out_places, members
from flywheel.store.examples import examples_by_id
from flywheel.store.judgements import standing_judgements
from flywheel.store.outcomes import StoredOutcome, outcomes_by_key
from flywheel.store.pairs import StandingPair, pairs_by_id, standing_pairs
from flywheel.store.sketches import questions_asked

_AT_ONCE = 200

T = TypeVar("T")
Asked = dict[str, tuple[Message, ...]]


class Reading(NamedTuple):
    """Lessons, and what they ask: sketches of the questions that no example asks, and the keys of the others."""

    lessons: Lessons
    sketches: Mapping[str, Sketch]
    asked: frozenset[str]


class _Found(NamedTuple):
    """A lesson and what it asks, by the keys."""

    lesson: Lesson
    asked: Asked


def read_lessons(session: Session, line: Line, parent: str | None) -> Reading:
    """Return what a line's technique learns from beside answers, as it stands now."""
    kind = kind_of(line.train.technique)
    if not kind:
        return Reading(Lessons(), {}, frozenset())
    read = _read_pairs(session, line) if kind == "pair" else _read_judgements(session, line)
    left_out: Counter[str] = Counter()
    lessons: list[Lesson] = []
    sketches: dict[str, Sketch] = {}
    asked: set[str] = set()
    until = 0
    for chunk in read:
        until = max(until, *(seq for seq, _ in chunk))
        left_out.update(found for _, found in chunk if isinstance(found, str))
        founds = [found for _, found in chunk if isinstance(found, _Found)]
        lessons += [found.lesson for found in founds]
        asked |= _sketch(session, {key: said for found in founds for key, said in found.asked.items()}, sketches)
    held_out = HeldOut(*held_out_places(session, line.name))
    taught, rehearsed = _before(session, parent, *FILES[kind])
    return Reading(Lessons(kind, lessons, taught, rehearsed, held_out, left_out, until), sketches, frozenset(asked))


def questions_elsewhere(session: Session, line: Line) -> tuple[dict[str, Sketch], frozenset[str]]:
    """Return what other lines' frozen pairs and judgements ask, as this line would ask it: none of it may examine."""
    sketches: dict[str, Sketch] = {}
    asked: set[str] = set()
    for chunk in _chunks(answers_held_elsewhere(session, line.name)):
        found: Asked = {}
        for stored in outcomes_by_key(session, chunk):
            shaped = shape(stored.outcome, line.dataset.form)
            found |= _asked(stored, shaped.prompt if shaped else stored.outcome.messages)
        asked |= _sketch(session, found, sketches)
    return sketches, frozenset(asked)


def pair_rows(session: Session, line: Line, ids: Sequence[str]) -> dict[str, Row]:
    """Return the rows of a few pairs by their names."""
    found = {}
    for row, sides in _with_sides(session, pairs_by_id(session, ids)):
        words = pair_words(line.name, line.dataset.form, sides[0].outcome, sides[1].outcome) if sides else CHANGED
        if isinstance(words, Words):
            found[row.id] = pair_row(words)
    return found


def judged_rows(session: Session, line: Line, ids: Sequence[str]) -> dict[str, Row]:
    """Return the rows of a few judgements: of examples by their names, of bad answers by those of their outcomes."""
    found = {}
    for name, example in examples_by_id(session, ids).items():
        found[name] = judged_row(Words(example.prompt, (example.answer,), example.tools), label=True)
    for stored in outcomes_by_key(session, [name for name in ids if name not in found]):
        words = judged_words(line.name, line.dataset.form, stored.outcome)
        if isinstance(words, Words):
            found[stored.outcome.key] = judged_row(words, label=False)
    return found


def _read_pairs(session: Session, line: Line) -> Iterator[list[tuple[int, _Found | str]]]:
    for chunk in _chunks(standing_pairs(session, line.name)):
        yield [(row.seq, _pair(line, row, sides)) for row, sides in _with_sides(session, chunk)]


def _read_judgements(session: Session, line: Line) -> Iterator[list[tuple[int, _Found | str]]]:
    for chunk in _chunks(standing_judgements(session, line.name)):
        known = {stored.outcome.key: stored for stored in outcomes_by_key(session, [key for _, key in chunk])}
        yield [(seq, _judged(line, seq, known.get(key))) for seq, key in chunk]


def _pair(line: Line, row: StandingPair, sides: tuple[StoredOutcome, StoredOutcome] | None) -> _Found | str:
    if sides is None or (sides[0].prompt_key, sides[1].prompt_key) != (row.chosen_prompt_key, row.prompt_key):
        return CHANGED
    chosen, rejected = sides
    words = pair_words(line.name, line.dataset.form, chosen.outcome, rejected.outcome)
    if isinstance(words, str):
        return words
    better = shape(chosen.outcome, line.dataset.form)
    asked = _asked(rejected, words.prompt), _asked(chosen, better.prompt if better else words.prompt)
    lesson = Lesson(
        id=row.id,
        at=row.at,
        seq=row.seq,
        sides=tuple(_side(stored, keys) for stored, keys in zip((rejected, chosen), asked, strict=True)),
        words=_hashes(next(iter(asked[0])), words),
        outcomes=(row.chosen, row.rejected),
        weight=chosen.outcome.weight,
    )
    return _Found(lesson, asked[0] | asked[1])


def _judged(line: Line, seq: int, stored: StoredOutcome | None) -> _Found | str:
    words = judged_words(line.name, line.dataset.form, stored.outcome) if stored else CHANGED
    if stored is None or isinstance(words, str):
        return str(words)
    asked = _asked(stored, words.prompt)
    lesson = Lesson(
        id=stored.outcome.key,
        at=stored.outcome.at,
        seq=seq,
        sides=(_side(stored, asked),),
        words=_hashes(next(iter(asked)), words),
        outcomes=(stored.outcome.key,),
        weight=stored.outcome.weight,
        twin=example_id(line.name, stored.prompt_key, stored.outcome.response),
    )
    return _Found(lesson, asked)


def _with_sides(
    session: Session, rows: Sequence[StandingPair]
) -> Iterator[tuple[StandingPair, tuple[StoredOutcome, StoredOutcome] | None]]:
    """Yield pairs with their better and their worse outcome, or without when one of them is gone."""
    keys = sorted({key for row in rows for key in (row.chosen, row.rejected)})
    known = {stored.outcome.key: stored for stored in outcomes_by_key(session, keys)}
    for row in rows:
        chosen, rejected = known.get(row.chosen), known.get(row.rejected)
        yield row, (chosen, rejected) if chosen and rejected else None


def _asked(stored: StoredOutcome, prompt: tuple[Message, ...]) -> Asked:
    """Return a question by the keys it is known by: as it is learned first, and as it was logged."""
    learned = stored.prompt_key if prompt == stored.outcome.messages else prompt_key(prompt)
    return {learned: prompt, stored.prompt_key: stored.outcome.messages}


def _side(stored: StoredOutcome, asked: Asked) -> Side:
    outcome = stored.outcome
    made, foreign = provenance_of(outcome.extra), bool(outcome.extra.get("foreign"))
    private = made is not None and made.private
    places = (outcome.task, outcome.session, outcome.group)
    return Side(tuple(asked), *places, foreign, private, outcome.origin in OWN)


def _hashes(question: str, words: Words) -> tuple[str, ...]:
    return (question, *(content_hash(" ".join(answer.split())) for answer in words.answers))


def _sketch(session: Session, asked: Asked, sketches: dict[str, Sketch]) -> frozenset[str]:
    """Sketch the questions that no example asks; return the others."""
    known = frozenset(questions_asked(session, sorted(asked)))
    for key in asked.keys() - known - sketches.keys():
        said = [(message.role, message.content) for message in asked[key]]
        sketches[key] = sketch(question_text(said), fold=True)
    return known


def _before(session: Session, parent: str | None, train: str, valid: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return what taught in the parent, and what of it in rows that can be rehearsed: good answers among them."""
    if parent is None:
        return frozenset(), frozenset()
    rehearsed = frozenset(members(session, parent, train))
    good = frozenset(members(session, parent, "train")) if train == "judged" else frozenset[str]()
    return rehearsed | frozenset(members(session, parent, valid)), rehearsed | good


def _chunks(names: Sequence[T]) -> Iterator[Sequence[T]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))
