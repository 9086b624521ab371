"""Which answers make a preference: the better and the worse of a chain of attempts, or of one question. Pure.

A pair has one prompt, so that prompt must be one that both answers could have been given to. For the same question it
is that question. For a retry it is the failed attempt's own prompt: the later one often tells of the failure, and a
model that is to avoid the failure has not seen it. So a retry makes a pair only where its answer rests on nothing that
its own prompt alone tells (`could_answer`).
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from flywheel.core.examples import Example, prompt_key
from flywheel.core.lines import Line
from flywheel.core.outcomes import Label, Outcome
from flywheel.core.pairs import CHAIN, Pair, PairKind
from flywheel.core.secrets import find_secret_in
from flywheel.core.tool_calls import parse_tool_calls
from flywheel.curate.admissions import consider

PAIRS_A_ROOT = 4  # so many of one chain or question; more would say the same again

#: What sources call it when an answer was taken back, by the person or by the agent itself.
REVERTED = frozenset({"reverted", "caller_reverted", "rolled_back"})

_ERROR_MARK = "[ERROR]"
_SHORTEST_LINE = 24  # a shorter line of code stands everywhere
_SHORTEST_VALUE = 4
_SEARCH = re.compile(r"<search>(.*?)</search>", re.DOTALL)


def pairs_among(line: Line, root: str, outcomes: Sequence[Outcome]) -> list[Pair]:
    """Return the pairs of one chain or question; the same outcomes give the same pairs in whatever order they came."""
    ordered = sorted(outcomes, key=lambda outcome: (outcome.at, outcome.key))
    better = [outcome for outcome in ordered if _may_be_chosen(outcome, line)]
    worse = [outcome for outcome in ordered if may_be_rejected(outcome, line)]
    found = _retries(better, worse) if root.startswith(CHAIN) else _rivals(better, worse)
    pairs = [_pair(line.name, root, chosen, rejected) for chosen, rejected in found]
    return pairs[:PAIRS_A_ROOT]


def could_answer(chosen: Outcome, rejected: Outcome) -> bool:
    """Tell whether the better answer could have been given to the worse one's prompt.

    Both are answers of one kind of call with the same tools; one prompt holds all of the other; and nothing the answer
    looks for, calls with or repeats comes only from what its own prompt adds.
    """
    if (chosen.call_type, chosen.tools) != (rejected.call_type, rejected.tools):
        return False
    if _holds(rejected, chosen):
        return True
    return _holds(chosen, rejected) and not _rests_on_more(chosen, rejected)


def _retries(better: Sequence[Outcome], worse: Sequence[Outcome]) -> Iterator[tuple[Outcome, Outcome]]:
    """Yield each failed attempt with the first success after it that could have answered in its place."""
    for rejected in worse:
        later = [one for one in better if (one.at, one.key) > (rejected.at, rejected.key)]
        fitting = (one for one in later if _answer(one) != _answer(rejected) and could_answer(one, rejected))
        chosen = next(fitting, None)
        if chosen is not None:
            yield chosen, rejected


def _rivals(better: Sequence[Outcome], worse: Sequence[Outcome]) -> Iterator[tuple[Outcome, Outcome]]:
    """Yield each different worse answer with one of the better ones in turn; what went both ways says nothing.

    Attempts of one chain are left to it: there the order counts.
    """
    unsure = {_answer(one) for one in better} & {_answer(one) for one in worse}
    chosen = _different(one for one in better if _answer(one) not in unsure)
    rejected = _different(one for one in worse if _answer(one) not in unsure)
    for turn, wrong in enumerate(rejected):
        right = chosen[turn % len(chosen)] if chosen else None
        if right is not None and right.tools == wrong.tools and not _same_chain(right, wrong):
            yield right, wrong


def _pair(line: str, root: str, chosen: Outcome, rejected: Outcome) -> Pair:
    return Pair(
        line=line,
        kind=_kind(root, rejected),
        root=root,
        chosen=chosen.key,
        rejected=rejected.key,
        prompt_key=prompt_key(rejected.messages),
        chosen_prompt_key=prompt_key(chosen.messages),
        at=max(chosen.at, rejected.at),
    )


def _kind(root: str, rejected: Outcome) -> PairKind:
    if any(signal.name in REVERTED and signal.points < 0 for signal in rejected.labelled.signals):
        return "revert"
    return "retry" if root.startswith(CHAIN) else "same_prompt"


def _may_be_chosen(outcome: Outcome, line: Line) -> bool:
    return isinstance(consider(outcome, "", line), Example)


def may_be_rejected(outcome: Outcome, line: Line) -> bool:
    """Tell whether an answer is surely wrong, and an answer: a server's error is nobody's mistake to learn from."""
    labelled, answer = outcome.labelled, outcome.response.strip()
    if labelled.label is not Label.NEGATIVE or labelled.confidence < line.labels.minimum_confidence:
        return False
    if not answer or answer.startswith(_ERROR_MARK):
        return False
    return find_secret_in([answer, *(message.content for message in outcome.messages)]) is None


def _rests_on_more(chosen: Outcome, rejected: Outcome) -> bool:
    """Tell whether the answer quotes what its own prompt tells and the first prompt does not."""
    told, first, own = _text(chosen), _text(rejected), _fold(rejected.response)
    written = _fold(_SEARCH.sub(" ", rejected.response))
    searched = [_fold(found) for found in _SEARCH.findall(chosen.response)]
    if any(text and text not in first and (text in told or text in written) for text in searched):
        return True  # it edits what only the failed attempt or its report put there
    return any(text in told and text not in first and text not in own for text in _quotes(chosen.response))


def _quotes(answer: str) -> Iterator[str]:
    """Yield what an answer may have taken from its prompt: values it calls tools with, and its longer lines."""
    called = parse_tool_calls(answer)
    for call in called.calls:
        yield from (_fold(value) for value in _values(call.arguments) if len(value.strip()) >= _SHORTEST_VALUE)
    lines = (_fold(line) for line in called.remaining.splitlines())
    yield from (line for line in lines if len(line) >= _SHORTEST_LINE)


def _values(held: Any) -> Iterator[str]:
    if isinstance(held, str):
        yield held
    elif isinstance(held, dict):
        for value in held.values():
            yield from _values(value)
    elif isinstance(held, list):
        for value in held:
            yield from _values(value)


def _different(outcomes: Iterator[Outcome]) -> list[Outcome]:
    first: dict[str, Outcome] = {}
    for outcome in outcomes:
        first.setdefault(_answer(outcome), outcome)
    return list(first.values())


def _same_chain(one: Outcome, other: Outcome) -> bool:
    return one.chain != "" and one.chain == other.chain


def _holds(larger: Outcome, smaller: Outcome) -> bool:
    """Tell whether one prompt says all that another says, each message in the same role."""
    told = [(message.role, _fold(message.content)) for message in larger.messages]
    return all(
        any(role == message.role and _fold(message.content) in text for role, text in told)
        for message in smaller.messages
    )


def _text(outcome: Outcome) -> str:
    return " ".join(_fold(message.content) for message in outcome.messages)


def _answer(outcome: Outcome) -> str:
    return _fold(outcome.response)


def _fold(text: str) -> str:
    return " ".join(text.split())
