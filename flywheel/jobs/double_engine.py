"""The engine of the double: one thread that owns the model and advances all answers together, token by token.

Answers that wait for the same adapter start together as a cohort, padded on the left. Cohorts take turns, so a long
answer keeps nobody waiting, and no adapter's weights are ever active while another one's answers advance.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch
from double_adapters import Adapter
from double_sampling import Row, draw
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

MOST_COHORTS = 6  # more of them would each be smaller, and a step costs the same for one row as for sixty
MOST_ROWS = 64


class Cohort:
    """Answers with one adapter that started together."""

    def __init__(self, rows: list[Row], pad: int) -> None:
        """Line up the prompts at their ends."""
        self.rows, self.adapter = rows, rows[0].adapter
        longest = max(len(row.prompt) for row in rows)
        self.ids = torch.full((len(rows), longest), pad)
        self.mask = torch.zeros_like(self.ids)
        for number, row in enumerate(rows):
            self.ids[number, longest - len(row.prompt) :] = torch.tensor(row.prompt)
            self.mask[number, longest - len(row.prompt) :] = 1
        self.cache = DynamicCache()

    @property
    def done(self) -> bool:
        """Whether nobody waits for anything here any more."""
        return all(row.done for row in self.rows)

    def shrink(self) -> None:
        """Leave the finished rows behind once they are the greater part."""
        alive = [number for number, row in enumerate(self.rows) if not row.done]
        if self.cache.get_seq_length() == 0 or 2 * len(alive) > len(self.rows):
            return
        chosen = torch.tensor(alive)
        self.rows = [self.rows[number] for number in alive]
        self.ids, self.mask = self.ids[chosen], self.mask[chosen]
        self.cache.batch_select_indices(chosen)

    def logits(self, model: Any) -> torch.Tensor:
        """Return what the model thinks comes next for each row."""
        places = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, -self.ids.shape[1] :]
        output = model(
            input_ids=self.ids,
            attention_mask=self.mask,
            position_ids=places,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1]

    def take(self, tokens: list[int]) -> None:
        """Append the drawn tokens."""
        self.ids = torch.tensor(tokens)[:, None]
        self.mask = torch.cat([self.mask, torch.ones_like(self.ids)], dim=1)


class Engine:
    """Generates answers and holds adapters; every method may be called from any thread."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Load the base."""
        torch.manual_seed(seed)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32).eval()
        end = self.model.generation_config.eos_token_id
        self.ends = set(end) if isinstance(end, list) else {end}
        self.vocabulary = len(self.tokenizer)
        self._peft: PeftModel | None = None
        self._active: str | None = None
        self._loaded: list[Adapter] = []
        self._count = 0
        self._waiting: list[Row] = []
        self._orders: list[Callable[[], None]] = []
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

    def load(self, name: str, path: str) -> Future[Adapter]:
        """Load an adapter that was checked."""
        return self._order(lambda: self._load(name, path))

    def drop(self, adapter: Adapter) -> None:
        """Forget the weights of `adapter` once its last answer is done."""
        adapter.dropped = True
        with self._news:
            self._news.notify()

    def _order(self, work: Callable[[], Adapter]) -> Future[Adapter]:
        future: Future[Adapter] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001 - whatever an adapter's files make PEFT raise, the server stays up
                future.set_exception(error)

        with self._news:
            self._orders.append(run)
            self._news.notify()
        return future

    def _load(self, name: str, path: str) -> Adapter:
        self._count += 1
        # PEFT names modules after its adapters, which forbids dots; server names may have them.
        adapter = Adapter(name, path, f"adapter_{self._count}")
        if self._peft is None:
            self._peft = PeftModel.from_pretrained(self.model, path, adapter_name=adapter.key)
        else:
            self._peft.load_adapter(path, adapter_name=adapter.key)
        self._peft.eval()
        self._active = "unknown"  # loading may have changed which adapter is active
        self._loaded.append(adapter)
        return adapter

    def _activate(self, adapter: Adapter | None) -> None:
        key = adapter.key if adapter else None
        if self._peft is None or key == self._active:
            return
        if key is None:
            self._peft.base_model.disable_adapter_layers()
        else:
            self._peft.base_model.enable_adapter_layers()
            self._peft.set_adapter(key)
        self._active = key

    def _forget_dropped(self) -> None:
        used = {row.adapter for row in self._waiting} | {cohort.adapter for cohort in self._cohorts}
        for adapter in [one for one in self._loaded if one.dropped and one not in used]:
            self._loaded.remove(adapter)
            if self._peft is not None and self._loaded:
                self._peft.delete_adapter(adapter.key)
                self._active = "unknown"
            elif self._peft is not None:
                # PEFT is never left without an adapter: unwrap the base instead.
                self.model = self._peft.unload()
                self._peft, self._active = None, None

    def _work(self) -> None:
        while True:
            with self._news:
                while not (self._waiting or self._orders or self._cohorts or any(one.dropped for one in self._loaded)):
                    self._news.wait()
                orders, self._orders = self._orders, []
                self._admit()
            for order in orders:
                order()
            for cohort in self._cohorts:
                self._advance(cohort)
            self._cohorts = [cohort for cohort in self._cohorts if not cohort.done]
            with self._news:
                self._forget_dropped()

    def _admit(self) -> None:
        self._waiting = [row for row in self._waiting if not row.done]
        while self._waiting and len(self._cohorts) < MOST_COHORTS:
            adapter = self._waiting[0].adapter
            chosen = [row for row in self._waiting if row.adapter is adapter][:MOST_ROWS]
            self._waiting = [row for row in self._waiting if row not in chosen]
            self._cohorts.append(Cohort(chosen, int(self.tokenizer.pad_token_id)))

    @torch.inference_mode()
    def _advance(self, cohort: Cohort) -> None:
        try:
            if cohort.done:
                return
            cohort.shrink()
            self._activate(cohort.adapter)
            tokens = draw(cohort.logits(self.model)[:, : self.vocabulary], cohort.rows, self.ends)
            for row, token in zip(cohort.rows, tokens, strict=True):
                if not row.done:
                    row.take(token, self.tokenizer.backend_tokenizer, self.ends)
            cohort.take(tokens)
        except Exception as error:  # noqa: BLE001 - one cohort's failure is told to its clients; the others go on
            traceback.print_exc()
            for row in cohort.rows:
                row.fail(f"{type(error).__name__}: {error}")
