"""Two answers to one question, one of them better: what preferences are learned from."""

from datetime import datetime
from typing import Any, Literal

from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.outcomes import Message

PairKind = Literal["retry", "same_prompt", "revert"]

CHAIN, QUESTION = "chain:", "question:"  # how a root begins: attempts at the same thing, or the same question


class Pair(Frozen):
    """A pair by the keys of its outcomes; `root` names the chain or the question by which they were paired."""

    line: str
    kind: PairKind
    root: str
    chosen: str
    rejected: str
    prompt_key: str
    chosen_prompt_key: str
    at: datetime

    @property
    def id(self) -> str:
        """Return the pair's identity: the same two answers to the same prompt, paired by the same thing."""
        prompts = [self.prompt_key, self.chosen_prompt_key]
        return content_hash(["pair", self.line, self.root, self.chosen, self.rejected, prompts])


class Preference(Frozen):
    """A pair with its words: one prompt, the better answer and the worse one, and where they come from."""

    id: str
    line: str
    kind: PairKind
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    tools: tuple[dict[str, Any], ...] = ()
    task: str = ""
    session: str = ""
    group: str = ""
    weight: float = 1.0
    at: datetime
