"""What a check looks at: rows, tokenizer, base, machine, server, and the run in question. Pure values.

The first four come from `jobs/preflight.py` as JSON; machine and server are looked at by `preflight_looks`.
"""

from typing import Any, Literal

from flywheel.core.frozen import Frozen
from flywheel.core.training import TrainSpec

_NAMED = 5


class Trouble(Frozen):
    """Rows of one kind of trouble: how many, and a few of them with a word about each."""

    count: int = 0
    rows: tuple[tuple[int, int | str], ...] = ()

    @property
    def named(self) -> str:
        """Return the first few rows with what was said about them."""
        told = ", ".join(f"row {number} ({word})" for number, word in self.rows[:_NAMED])
        return told + (f" and {self.count - _NAMED} more" if self.count > _NAMED else "")


class Lengths(Frozen):
    """How long rows are, in tokens."""

    p50: int = 0
    p95: int = 0
    max: int = 0


class FileFacts(Frozen):
    """What was seen of one file of the dataset."""

    name: str
    rows: int
    tokens: int = 0
    lengths: Lengths = Lengths()
    long: Trouble = Trouble()
    unwritable: Trouble = Trouble()
    unended: Trouble = Trouble()
    unlearned: Trouble = Trouble()
    silent: Trouble = Trouble()
    sections: tuple[str, ...] = ()
    judged: tuple[bool, ...] = ()


class TokenizerFacts(Frozen):
    """What the tokenizer says, and the token its template ends an answer with."""

    eos: str | None
    eos_id: int | None
    pad: str | None
    pad_id: int | None
    ending: str | None
    ending_id: int | None
    ending_problem: str = ""
    template: str = ""
    tokens: int = 0


class BaseFacts(Frozen):
    """What the base's configuration files say; `generation` is None where there is no such file."""

    config: dict[str, Any]
    generation: dict[str, Any] | None = None
    weight_bytes: int = 0


class Sample(Frozen):
    """A prompt and the tokens that the trainer sees."""

    name: str
    messages: tuple[dict[str, Any], ...]
    tools: list[Any] | None = None
    tokens: tuple[int, ...] = ()


class PreflightFacts(Frozen):
    """All that the job saw."""

    base: BaseFacts
    tokenizer: TokenizerFacts
    files: tuple[FileFacts, ...]
    samples: tuple[Sample, ...] = ()


class Surroundings(Frozen):
    """The machine and the server a run would meet. None: could not be told."""

    memory: Literal["gpu", "ram"] = "ram"
    free_memory: int | None = None
    free_disk: int | None = None
    max_lora_rank: int | None = None
    server_differs: str | None = None
    template_unchecked: str = ""


class Question(Frozen):
    """The run in question and what its line asks of it."""

    spec: TrainSpec
    examples: int = 0
    minimum_examples: int = 0
