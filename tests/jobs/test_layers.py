"""Which layers of a base an adapter is put upon."""

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from fixtures.tiny import JOBS

BASE: Any = SimpleNamespace(config=SimpleNamespace(get_text_config=lambda: SimpleNamespace(num_hidden_layers=3)))


@pytest.mark.parametrize(("asked", "trained"), [(0, None), (1, [2]), (2, [1, 2]), (3, None), (8, None)])
def test_the_last_layers_are_trained_and_all_where_there_are_no_more(
    asked: int, trained: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A remedy asks for the last eight of any base: one that has fewer is trained whole, and the run does not fail."""
    monkeypatch.syspath_prepend(JOBS)
    lora_models = import_module("lora_models")
    values = SimpleNamespace(target_modules=["q_proj"], layers=asked)
    spec: Any = SimpleNamespace(hyperparameters=values)
    assert lora_models._places(spec, BASE).get("layers_to_transform") == trained
