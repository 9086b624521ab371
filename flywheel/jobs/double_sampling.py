"""How a token is drawn, and how tokens become text that a client may see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from double_adapters import Adapter
from double_answers import Piece
from double_requests import Sampling
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

Sink = Callable[[Piece], None]


@dataclass(slots=True, eq=False)
class Row:
    """One answer in the making."""

    prompt: list[int]
    sampling: Sampling
    choice: int
    adapter: Adapter | None
    sink: Sink
    generator: torch.Generator | None = None
    drawn: int = 0
    held: str = ""  # text that may yet turn out to be the start of a stop string
    reason: str = "abort"  # why it ended; until it has, leaving it is an abort
    done: bool = False  # finished, or nobody waits for it any more
    decoder: DecodeStream = field(default_factory=lambda: DecodeStream(skip_special_tokens=True))

    def take(self, token: int, tokenizer: Tokenizer, ends: set[int]) -> None:
        """Add one token and pass on what has become certain."""
        self.drawn += 1
        ended = token in ends and not self.sampling.ignore_eos and self.drawn > self.sampling.min_tokens
        text = "" if ended else self.decoder.step(tokenizer, token) or ""
        self.held += text
        stop = self._stopped_by()
        if stop is not None:
            self.held = self.held[: self.held.index(stop)]
        if stop is not None or ended:
            self._finish("stop", stop)
        elif self.drawn >= self.sampling.max_tokens:
            self._finish("length", None)
        else:
            self._pass_on()

    def _stopped_by(self) -> str | None:
        found = [stop for stop in self.sampling.stop if stop in self.held]
        return min(found, key=self.held.index, default=None)

    def _pass_on(self) -> None:
        keep = max((len(stop) - 1 for stop in self.sampling.stop), default=0)
        certain = self.held[: len(self.held) - keep] if keep else self.held
        if certain:
            self.held = self.held[len(certain) :]
            self.sink(Piece(self.choice, certain, self.drawn))

    def _finish(self, reason: str, stop: str | None) -> None:
        self.reason, self.done = reason, True
        self.sink(Piece(self.choice, self.held, self.drawn, reason, stop))

    def fail(self, reason: str) -> None:
        """Tell the client that there will be no more."""
        self.done = True
        self.sink(Piece(self.choice, "", self.drawn, error=reason))


def draw(logits: torch.Tensor, rows: list[Row], ends: set[int]) -> list[int]:
    """One token for each row: the likeliest, or by chance where the row has a temperature."""
    # An adapter of NaN must not stop the engine for the others.
    logits = torch.nan_to_num(logits.float())
    for number, row in enumerate(rows):
        if row.drawn < row.sampling.min_tokens:
            logits[number, list(ends)] = float("-inf")
    tokens: list[int] = logits.argmax(-1).tolist()
    for number, row in enumerate(rows):
        if row.sampling.temperature > 0 and not row.done:
            tokens[number] = _by_chance(logits[number], row)
    return tokens


def _by_chance(logits: torch.Tensor, row: Row) -> int:
    sampling = row.sampling
    chances, tokens = torch.softmax(logits / max(sampling.temperature, 1e-3), -1).sort(descending=True, stable=True)
    if sampling.top_k:
        chances[sampling.top_k :] = 0
    chances[chances.cumsum(0) - chances >= sampling.top_p] = 0
    return int(tokens[torch.multinomial(chances, 1, generator=row.generator)])
