"""Which parts of an answer are copied from its prompt, so that they need not be learned. Pure.

A model that learns to repeat a repo's text learns the repo, and whatever somebody planted there. Long spans that stand
word for word in one of the messages before are quotes, and so is the search part of an edit, however short.
"""

from collections.abc import Iterable, Iterator, Sequence

from flywheel.core.edits import Span, search_spans

SHORTEST = 64  # characters; shorter spans are idiom, not quotation
_WINDOW = SHORTEST // 2  # every quote holds a whole window that begins at a multiple of it in the prompt
_PLACES = 16  # so many places of one window are tried; blank and ruled lines stand everywhere


def quoted_spans(prompt: Sequence[str], answer: str) -> list[Span]:
    """Return the spans of the answer that are quotes, in order and apart from each other."""
    searches = [span for span in search_spans(answer) if _stands(answer[slice(*span)], prompt)]
    copies = [span for text in prompt for span in _copied(text, answer)]
    return _joined([*searches, *copies])


def _stands(text: str, prompt: Iterable[str]) -> bool:
    return bool(text.strip()) and any(text in one for one in prompt)


def _copied(text: str, answer: str) -> Iterator[Span]:
    """Yield the copied spans that are long enough; each is met at the first of its windows."""
    places = _places(text) if len(answer) >= SHORTEST else {}
    reached: dict[int, int] = {}  # how far the copy was followed that lies so many characters apart in text and answer
    last = (0, 0)
    for at in range(len(answer) - _WINDOW + 1):
        for place in places.get(answer[at : at + _WINDOW], ()):
            if reached.get(place - at, 0) > at or not _leads_out(last, text, answer, place, at):
                continue
            start, end = _grown(text, answer, place, at)
            reached[place - at] = end
            if end - start >= SHORTEST:
                last = (start, end)
                yield last


def _leads_out(span: Span, text: str, answer: str, place: int, at: int) -> bool:
    """Tell, in one glance, whether a copy around a window goes beyond the span that was yielded last."""
    start, end = span
    if not start <= at <= end - _WINDOW or text.startswith(answer[at : end + 1], place):
        return True
    before = at - start + 1
    return (
        start > 0 and before < _WINDOW and place >= before and text.startswith(answer[start - 1 : at], place - before)
    )


def _places(text: str) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for start in range(0, len(text) - _WINDOW + 1, _WINDOW):
        held = places.setdefault(text[start : start + _WINDOW], [])
        if len(held) < _PLACES:
            held.append(start)
    return places


def _grown(text: str, answer: str, place: int, at: int) -> Span:
    """Return the span around a window in which text and answer are the same."""
    start = 0
    while place > start and at > start and text[place - start - 1] == answer[at - start - 1]:
        start += 1
    end = step = _WINDOW
    while step:  # in strides that grow while they fit and shrink where they do not
        there = answer[at + end : at + end + step]
        fits = len(there) == step and text.startswith(there, place + end)
        end, step = (end + step, step * 2) if fits else (end, step // 2)
    return at - start, at + end


def _joined(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined
