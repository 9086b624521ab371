"""An outcome's words as its row holds them: question hash and JSON. Pure; whoever has time may work them out before."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic_core import to_json

from flywheel.core.examples import prompt_key
from flywheel.core.outcomes import Message, Outcome


class Words(NamedTuple):
    """What was worked out of the question and the answer that stand here, and of no others."""

    messages: tuple[Message, ...]
    response: str
    question: str
    text: str

    def are_of(self, outcome: Outcome) -> bool:
        """Tell whether these are the very words of the outcome, as it is now."""
        return self.messages is outcome.messages and self.response is outcome.response


def words_of(outcome: Outcome) -> Words:
    """Return an outcome's words; `text` is the beginning of a JSON object that goes on after it."""
    held = {"messages": [[one.role, one.content] for one in outcome.messages], "response": outcome.response}
    text = to_json(held).decode().removesuffix("}")
    return Words(outcome.messages, outcome.response, prompt_key(outcome.messages), text)


def known_words(outcome: Outcome, known: Mapping[str, Words]) -> Words:
    """Return an outcome's words from those that are known, or work them out."""
    found = known.get(outcome.key)
    return found if found is not None and found.are_of(outcome) else words_of(outcome)
