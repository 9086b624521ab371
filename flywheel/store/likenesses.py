"""Which questions of the pool are nearly the same as questions that stand elsewhere; nothing is stored."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from sqlmodel import Session

from flywheel.core.nearness import bands, similarity
from flywheel.core.sketches import Sketch
from flywheel.store.sketches import question_sketches, questions_banded

TRIED = 16  # questions of the pool looked at for each: those that share most bands come first
_AT_ONCE = 500


def near_numbers(session: Session, questions: Mapping[str, Sketch], least: float) -> dict[str, frozenset[int]]:
    """Return for each of these questions the numbers of those in the pool that are at least so much like it."""
    found: dict[str, frozenset[int]] = {}
    for chunk in _chunks(questions):
        tried = _candidates(session, chunk)
        known = question_sketches(session, sorted({number for several in tried.values() for number in several}))
        for key, several in tried.items():
            near = {number for number in several if similarity(chunk[key], known[number]) >= least}
            if near:
                found[key] = frozenset(near)
    return found


def _candidates(session: Session, questions: Mapping[str, Sketch]) -> dict[str, list[int]]:
    own = {key: bands(drawn) for key, drawn in questions.items()}
    crowds: defaultdict[int, list[int]] = defaultdict(list)
    for band, number in questions_banded(session, sorted({band for several in own.values() for band in several})):
        crowds[band].append(number)
    met = {key: Counter(number for band in several for number in crowds.get(band, ())) for key, several in own.items()}
    return {key: [number for number, _ in counts.most_common(TRIED)] for key, counts in met.items()}


def _chunks(questions: Mapping[str, Sketch]) -> Iterator[dict[str, Sketch]]:
    keys = sorted(questions)
    for start in range(0, len(keys), _AT_ONCE):
        yield {key: questions[key] for key in keys[start : start + _AT_ONCE]}
