"""How a token is drawn, and how tokens become text that a client may see."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from double_adapters import Adapter
from double_answers import Piece
from double_requests import Sampling
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

COLDEST = 1e-3  # a temperature below this would divide by next to nothing

Sink = Callable[[Piece], None]


@dataclass(slots=True, eq=False)
class Row:
    """One answer in the making."""

    prompt: list[int]
    sampling: Sampling
    choice: int
    adapter: Adapter | None
    sink: Sink
    chance: random.Random
    piecemeal: bool  # the client hears of every piece, not of the whole alone
    drawn: int = 0
    held: str = ""  # text that the client has not heard
    reason: str = "abort"  # why it ended; until it has, leaving it is an abort
    done: bool = False  # finished, or nobody waits for it any more
    decoder: DecodeStream = field(default_factory=lambda: DecodeStream(skip_special_tokens=True))

    def take(self, token: int, tokenizer: Tokenizer, ends: set[int]) -> Piece | None:
        """Add one token; return what the client is to hear of now."""
        self.drawn += 1
        ended = token in ends and not self.sampling.ignore_eos and self.drawn > self.sampling.min_tokens
        text = "" if ended else self.decoder.step(tokenizer, token) or ""
        self.held += text
        stop = self._stopped_by()
        if stop is not None:
            self.held = self.held[: self.held.index(stop)]
        if stop is not None or ended:
            return self._finish("stop", stop)
        if self.drawn >= self.sampling.max_tokens:
            return self._finish("length", None)
        return self._certain() if self.piecemeal else None

    def _stopped_by(self) -> str | None:
        found = [stop for stop in self.sampling.stop if stop in self.held]
        return min(found, key=self.held.index, default=None)

    def _certain(self) -> Piece | None:
        """Keep what may yet turn out to be the start of a stop string."""
        keep = max((len(stop) - 1 for stop in self.sampling.stop), default=0)
        certain = self.held[: len(self.held) - keep] if keep else self.held
        if not certain:
            return None
        self.held = self.held[len(certain) :]
        return Piece(self.choice, certain, self.drawn)

    def _finish(self, reason: str, stop: str | None) -> Piece:
        self.reason, self.done = reason, True
        return Piece(self.choice, self.held, self.drawn, reason, stop)

    def fail(self, reason: str) -> Piece:
        """Return that there will be no more."""
        self.done = True
        return Piece(self.choice, "", self.drawn, error=reason)


def draw(logits: torch.Tensor, rows: list[Row], ends: set[int]) -> list[int]:
    """One token for each row: the likeliest, or by chance where the row has a temperature."""
    # An adapter of NaN must not stop the engine for the others.
    logits = torch.nan_to_num(logits.float())
    for number, row in enumerate(rows):
        if row.drawn < row.sampling.min_tokens:
            logits[number, list(ends)] = float("-inf")
    tokens = logits.argmax(-1)
    hot = [number for number, row in enumerate(rows) if row.sampling.temperature > 0 and not row.done]
    if hot:
        tokens[hot] = _by_chance(logits[hot], [rows[number] for number in hot])
    found: list[int] = tokens.tolist()
    return found


def _by_chance(logits: torch.Tensor, rows: list[Row]) -> torch.Tensor:
    """Draw for all rows at once; one number from each row's own chance says which token it is to be."""
    heats = torch.tensor([[max(row.sampling.temperature, COLDEST)] for row in rows])
    chances = torch.softmax(logits / heats, -1)
    choosy = [number for number, row in enumerate(rows) if row.sampling.top_k or row.sampling.top_p < 1]
    if choosy:
        chances[choosy] = _likeliest(chances[choosy], [rows[number].sampling for number in choosy])
    heights = chances.cumsum(-1, dtype=torch.float64)
    marks = torch.tensor([[row.chance.random()] for row in rows], dtype=torch.float64) * heights[:, -1:]
    return torch.searchsorted(heights, marks, right=True)[:, 0].clamp(max=chances.shape[-1] - 1)


def _likeliest(chances: torch.Tensor, samplings: list[Sampling]) -> torch.Tensor:
    """Leave no chance to what top-k and top-p rule out."""
    most = torch.tensor([[one.top_k or chances.shape[-1]] for one in samplings])
    share = torch.tensor([[one.top_p] for one in samplings])
    ordered, tokens = chances.sort(descending=True, stable=True)
    ordered[torch.arange(chances.shape[-1]) >= most] = 0
    ordered[ordered.cumsum(-1) - ordered >= share] = 0
    return torch.zeros_like(chances).scatter(-1, tokens, ordered)
