"""What is learned from: examples, and the frozen datasets that hold them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.outcomes import Message

Origin = Literal["logged", "synthetic", "teacher", "harness"]


class Example(Frozen):
    """One conversation worth learning, which knows where it came from."""

    id: str
    line: str
    outcome: str
    task: str
    session: str
    group: str
    category: str
    at: datetime
    origin: Origin
    messages: tuple[Message, ...]
    prompt_key: str

    @property
    def prompt(self) -> tuple[Message, ...]:
        """Return everything before the answer."""
        return self.messages[:-1]

    @property
    def answer(self) -> str:
        """Return what should have been said."""
        return self.messages[-1].content


class PoolExample(Frozen):
    """What choosing needs to know of an example; its words stay in the store."""

    seq: int
    id: str
    task: str
    session: str
    group: str
    category: str
    prompt_key: str
    at: datetime
    origin: Origin
    foreign: bool


def prompt_key(messages: tuple[Message, ...]) -> str:
    """Return the identity of a question: roles and words, white space folded, the answer left out."""
    return content_hash([[m.role, " ".join(m.content.split())] for m in messages])


class Split(Frozen):
    """One file of a dataset."""

    rows: int
    sha256: str


class DatasetManifest(Frozen):
    """What a frozen dataset holds, what was left out, and why; its hash is its name."""

    hash: str
    line: str
    number: int
    parent: str | None
    splits: dict[str, Split]
    examples: int
    fresh: int
    replayed: int
    left_out: dict[str, int] = Field(default_factory=dict)
    shares: dict[str, float] = Field(default_factory=dict)
    created_at: datetime
    settings: dict[str, Any] = Field(default_factory=dict)

    @property
    def replay_share(self) -> float:
        """Return which part of the training rows rehearses earlier datasets."""
        rows = self.splits["train"].rows if "train" in self.splits else 0
        return self.replayed / rows if rows else 0.0
