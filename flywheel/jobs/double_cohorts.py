"""Answers of one model that advance together: every step costs much the same for one of them as for sixty."""

from __future__ import annotations

from typing import Any

import torch
from double_sampling import Row
from torch.nn.functional import pad
from transformers import DynamicCache

MOST_ROWS = 64
MOST_PADDING = 128  # in front of a shorter answer; more would cost more than a step of its own


class Cohort:
    """Answers with one adapter, lined up at their ends; those that begin together are padded on the left."""

    def __init__(self, rows: list[Row], filler: int) -> None:
        """Line up the prompts."""
        self.rows, self.adapter = rows, rows[0].adapter
        longest = max(len(row.prompt) for row in rows)
        self.ids = torch.tensor([[filler] * (longest - len(row.prompt)) + row.prompt for row in rows])
        self.mask = torch.tensor([[False] * (longest - len(row.prompt)) + [True] * len(row.prompt) for row in rows])
        self.places = (self.mask.cumsum(-1) - 1).clamp(min=0)
        self.cache = DynamicCache()

    @property
    def done(self) -> bool:
        """Whether nobody waits for anything here any more."""
        return all(row.done for row in self.rows)

    def logits(self, model: Any) -> torch.Tensor:
        """Return what the model thinks comes next for each row."""
        output = model(
            input_ids=self.ids,
            attention_mask=self.mask,
            position_ids=self.places,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1]

    def take(self, tokens: list[int]) -> None:
        """Append the drawn tokens."""
        self.ids = torch.tensor(tokens)[:, None]
        self.mask = pad(self.mask, (0, 1), value=True)
        self.places = self.places[:, -1:] + 1

    def has_room_for(self, other: Cohort) -> bool:
        """Whether to advance with `other` from now on."""
        apart = abs(self.mask.shape[1] - other.mask.shape[1])
        rows = sum(not row.done for row in (*self.rows, *other.rows))
        return self.adapter is other.adapter and rows <= MOST_ROWS and apart <= MOST_PADDING

    def join(self, other: Cohort) -> None:
        """Take over the rows of another cohort; both have drawn at least once."""
        self.leave_finished()
        other.leave_finished()
        longest = max(self.mask.shape[1], other.mask.shape[1])
        for one in (self, other):
            one.widen(longest - one.mask.shape[1])
        self.rows = self.rows + other.rows
        self.ids, self.places = torch.cat([self.ids, other.ids]), torch.cat([self.places, other.places])
        self.mask = torch.cat([self.mask, other.mask])
        for mine, theirs in zip(self.cache.layers, other.cache.layers, strict=True):
            mine.keys, mine.values = torch.cat([mine.keys, theirs.keys]), torch.cat([mine.values, theirs.values])

    def widen(self, more: int) -> None:
        """Pad every row on the left."""
        if more:
            self.mask = pad(self.mask, (more, 0))
            for layer in self.cache.layers:
                layer.keys, layer.values = pad(layer.keys, (0, 0, more, 0)), pad(layer.values, (0, 0, more, 0))

    def leave_finished(self) -> None:
        """Leave the finished rows behind, and the columns that only they had."""
        alive = torch.tensor([number for number, row in enumerate(self.rows) if not row.done])
        if len(alive) == len(self.rows):
            return
        self.rows = [row for row in self.rows if not row.done]
        self.ids, self.places, mask = self.ids[alive], self.places[alive], self.mask[alive]
        begin = int(mask.any(0).int().argmax())
        self.mask = mask[:, begin:]
        for layer in self.cache.layers:
            layer.keys, layer.values = layer.keys[alive, :, begin:], layer.values[alive, :, begin:]
