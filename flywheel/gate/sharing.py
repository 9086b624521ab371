"""What suites and datasets must not share: questions that are the same, or nearly, in the pool, in datasets, in suites.

The other direction is the curate room's: no dataset takes a question of any suite, or one nearly the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlmodel import Session

from flywheel.core.nearness import SCHEME, Likeness, question_text, sketch
from flywheel.core.sketches import Sketch
from flywheel.store.datasets import answers_held_elsewhere
from flywheel.store.likenesses import near_numbers
from flywheel.store.outcomes import outcomes_by_key
from flywheel.store.sketches import near_questions_of, questions_asked
from flywheel.store.suites import suite_prompts, suite_sketches, taught_questions

EXAMINED, NEARLY_EXAMINED = "examined before", "nearly the same was examined before"
IN_POOL, NEARLY_IN_POOL = "stands in the pool", "nearly stands in the pool"
TAUGHT, NEARLY_TAUGHT = "taught already", "nearly the same taught already"
IN_LESSONS, NEARLY_IN_LESSONS = "stands in a dataset", "nearly stands in a dataset"

_AT_ONCE = 200


def sketch_of(messages: Iterable[Mapping[str, str]]) -> Sketch:
    """Return what a question is compared by, as the pool's questions are."""
    return sketch(question_text([(one["role"], one["content"]) for one in messages]), fold=True)


def shared_by_import(session: Session, questions: Mapping[str, Sketch], line: str, least: float) -> dict[str, str]:
    """Return why questions from elsewhere may not examine a line, by their keys; those that may are not in it."""
    found: dict[str, str] = {}
    alike = Likeness(questions)
    _tell(found, questions.keys() & suite_prompts(session, line), EXAMINED)
    for drawn in suite_sketches(session, SCHEME, line).values():
        _tell(found, alike.near(drawn, least), NEARLY_EXAMINED)
    _tell(found, questions_asked(session, sorted(questions)), IN_POOL)
    left = {key: drawn for key, drawn in questions.items() if key not in found}
    _tell(found, near_numbers(session, left, least), NEARLY_IN_POOL)
    _in_lessons(session, found, alike, least)
    return found


def shared_by_held_out(session: Session, questions: Mapping[str, Sketch], line: str, least: float) -> dict[str, str]:
    """Return why questions held out may not examine a line: they were examined before, or taught since."""
    found: dict[str, str] = {}
    alike = Likeness(questions)
    _tell(found, questions.keys() & suite_prompts(session, line), EXAMINED)
    for drawn in suite_sketches(session, SCHEME, line).values():
        _tell(found, alike.near(drawn, least), NEARLY_EXAMINED)
    for chunk in _chunks(sorted(questions.keys() - found.keys())):
        _in_datasets(session, found, chunk, least)
    _in_lessons(session, found, alike, least)
    return found


def _in_datasets(session: Session, found: dict[str, str], keys: Sequence[str], least: float) -> None:
    """Tell which questions of examples teach in a dataset, or are nearly the same as one that does."""
    numbers = questions_asked(session, keys)
    near: defaultdict[int, set[int]] = defaultdict(set)
    for pair in near_questions_of(session, sorted(numbers.values())):
        if pair.similarity >= least:
            near[pair.newer].add(pair.older)
            near[pair.older].add(pair.newer)
    beside = {number for own in numbers.values() for number in near[own]}
    taught = taught_questions(session, sorted(beside | set(numbers.values())))
    _tell(found, (key for key, own in numbers.items() if own in taught), TAUGHT)
    _tell(found, (key for key, own in numbers.items() if near[own] & taught), NEARLY_TAUGHT)


def _in_lessons(session: Session, found: dict[str, str], alike: Likeness, least: float) -> None:
    """Tell which questions stand in pairs or judgements of frozen datasets."""
    for chunk in _chunks(answers_held_elsewhere(session, "")):
        for stored in outcomes_by_key(session, chunk):
            _tell(found, {stored.prompt_key} & alike.questions.keys(), IN_LESSONS)
            drawn = sketch_of([one.model_dump() for one in stored.outcome.messages])
            _tell(found, alike.near(drawn, least), NEARLY_IN_LESSONS)


def _tell(found: dict[str, str], keys: Iterable[str], why: str) -> None:
    for key in keys:
        found.setdefault(key, why)


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))
