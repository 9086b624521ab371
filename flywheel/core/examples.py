"""What is learned from: examples, and the frozen datasets that hold them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from flywheel.core.frozen import Frozen
from flywheel.core.ids import texts_hash
from flywheel.core.outcomes import Message, Origin
from flywheel.core.provenances import Provenance
from flywheel.core.training import LEARNED_FROM, REASONED

_SPACES = b" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"  # what is white space to `str.split`, of ASCII
Form = Literal["as_logged", "instruction_to_code", "edits"]


class Example(Frozen):
    """One conversation worth learning, which knows where it came from.

    `logged` is the question's key and the answer as they were logged, where the line's form made others of them.
    """

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
    weight: float = 1.0
    tags: tuple[str, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    form: Form = "as_logged"
    logged: tuple[str, str] | None = None

    @property
    def prompt(self) -> tuple[Message, ...]:
        """Return everything before the answer."""
        return self.messages[:-1]

    @property
    def answer(self) -> str:
        """Return what should have been said."""
        return self.messages[-1].content


class PoolExample(Frozen):
    """What choosing needs to know of an example; its words stay in the store.

    `question` is the number under which nearly equal questions are known; the three behind it tell how hard it is.
    `level` is what its history says of that, where it says something.
    """

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
    weight: float = 1.0
    domain: str = ""
    question: int = 0
    files: int = 0
    steps: int = 0
    words: int = 0
    made: Provenance | None = None
    level: int | None = None


def prompt_key(messages: tuple[Message, ...]) -> str:
    """Return the identity of a question: roles and texts, white space aside, the answer left out."""
    return texts_hash([text for message in messages for text in (message.role, message.content)], without=_SPACES)


class Split(Frozen):
    """One file of a dataset."""

    rows: int
    sha256: str


class DatasetManifest(Frozen):
    """What a frozen dataset holds, for which base, what was left out, and why; its hash is its name.

    `private` counts what stands under no known licence: nothing trained on it may be passed on.
    """

    hash: str
    line: str
    number: int
    parent: str | None
    splits: dict[str, Split]
    examples: int
    fresh: int
    replayed: int
    pairs: int = 0
    judgements: int = 0
    left_out: dict[str, int] = Field(default_factory=dict)
    shares: dict[str, float] = Field(default_factory=dict)
    created_at: datetime
    settings: dict[str, Any] = Field(default_factory=dict)
    base: str = ""
    private: int = 0

    @property
    def technique(self) -> str:
        """Return what it was frozen for."""
        return str(self.settings.get("technique", "sft"))

    @property
    def replay_share(self) -> float:
        """Return which part of the rows that are trained on rehearses earlier datasets."""
        rows = sum(self.splits[part].rows for part in LEARNED_FROM[self.technique] if part in self.splits)
        return self.replayed / rows if rows else 0.0

    def suits(self, technique: str) -> bool:
        """Tell whether a technique finds here what it learns from, drawn for being learned from."""
        reasoned = technique not in REASONED or self.technique in REASONED
        return reasoned and set(LEARNED_FROM[technique]) <= set(LEARNED_FROM[self.technique])
