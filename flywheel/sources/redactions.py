"""Outcomes without what belongs to a person, for the sources that ask for it. Pure."""

from collections import Counter
from collections.abc import Iterable

from flywheel.core.outcomes import Message, Outcome
from flywheel.core.personal import redact


def without_personal(outcomes: Iterable[Outcome], sources: frozenset[str]) -> tuple[Outcome, ...]:
    """Return the outcomes; those of these sources say under `redacted` what was named in place of what they held."""
    return tuple(_redacted(outcome) if outcome.source in sources else outcome for outcome in outcomes)


def _redacted(outcome: Outcome) -> Outcome:
    response, counts = redact(outcome.response)
    total = Counter(counts)
    messages = []
    for message in outcome.messages:
        content, counts = redact(message.content)
        total.update(counts)
        messages.append(Message(role=message.role, content=content))
    if not total:
        return outcome
    words = {"messages": tuple(messages), "response": response}
    return outcome.model_copy(update={**words, "extra": {**outcome.extra, "redacted": dict(sorted(total.items()))}})
