"""The engine of the double: one thread that advances all answers together, token by token.

Answers that wait for the same adapter start together as a cohort, and join those of its own that are under way.
Cohorts take turns, so a long answer keeps nobody waiting.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from pathlib import Path
from typing import Any

import torch
from double_answers import Piece
from double_cohorts import MOST_ROWS, Cohort
from double_sampling import Row, draw
from double_weights import adapted
from transformers import AutoModelForCausalLM, AutoTokenizer

MOST_COHORTS = 6
ROUNDS = 4  # newcomers are let in together: each admission costs a step of its own


class Engine:
    """Generates answers; every method may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        """Load the base; whoever asks hears of their answers in the event loop that runs now."""
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32).eval()
        end = self.model.generation_config.eos_token_id
        self.ends = set(end) if isinstance(end, list) else {end}
        self.vocabulary = len(self.tokenizer)
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Row] = []
        self._cohorts: list[Cohort] = []
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def alive(self) -> bool:
        """Tell whether answers can still be expected."""
        return self._thread.is_alive()

    def counts(self) -> tuple[int, int]:
        """How many answers are running and how many wait."""
        running = sum(not row.done for cohort in self._cohorts for row in cohort.rows)
        return running, len(self._waiting)

    def add(self, rows: list[Row]) -> None:
        """Start these answers as soon as there is room."""
        with self._news:
            self._waiting += rows
            self._news.notify()

    def adapted(self, path: str) -> Any:
        """Return the model that answers for an adapter that was checked."""
        return adapted(self.model, path)

    def _work(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._cohorts)
                self._admit()
            for _ in range(ROUNDS):
                for cohort in self._cohorts:
                    self._advance(cohort)
                self._gather()

    def _admit(self) -> None:
        self._waiting = [row for row in self._waiting if not row.done]
        while self._waiting and len(self._cohorts) < MOST_COHORTS:
            adapter = self._waiting[0].adapter
            chosen = [row for row in self._waiting if row.adapter is adapter][:MOST_ROWS]
            self._waiting = [row for row in self._waiting if row not in chosen]
            self._cohorts.append(Cohort(chosen, int(self.tokenizer.pad_token_id)))

    @torch.inference_mode()
    def _gather(self) -> None:
        apart: list[Cohort] = []
        for cohort in [one for one in self._cohorts if not one.done]:
            host = next((one for one in apart if one.has_room_for(cohort)), None)
            if host:
                host.join(cohort)
            else:
                apart.append(cohort)
        self._cohorts = apart

    @torch.inference_mode()
    def _advance(self, cohort: Cohort) -> None:
        if cohort.done:
            return
        try:
            said = self._step(cohort)
        except Exception as error:  # noqa: BLE001 - one cohort's failure is told to its clients; the others go on
            traceback.print_exc()
            said = [(row, row.fail(f"{type(error).__name__}: {error}")) for row in cohort.rows]
        if said:
            self._loop.call_soon_threadsafe(_tell, said)  # once: waking the loop costs more than what it is told

    def _step(self, cohort: Cohort) -> list[tuple[Row, Piece]]:
        model = cohort.adapter.model if cohort.adapter else self.model
        tokens = draw(cohort.logits(model)[:, : self.vocabulary], cohort.rows, self.ends)
        alive = [(row, token) for row, token in zip(cohort.rows, tokens, strict=True) if not row.done]
        heard = [(row, row.take(token, self.tokenizer.backend_tokenizer, self.ends)) for row, token in alive]
        cohort.take(tokens)
        return [(row, piece) for row, piece in heard if piece]


def _tell(said: list[tuple[Row, Piece]]) -> None:
    for row, piece in said:
        row.sink(piece)
