"""Runs another project's trainer by its own command line: `foreign_child.py TOOL CONFIG PROGRESS`.

The trainer ends with whoever started it: its standard input is a pipe that breaks when that process is gone. MLX tells
its progress to a callback; this writes it to PROGRESS as JSON lines. LLaMA-Factory keeps such a file itself.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any


def _end_with_the_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(143)


class Teller:
    """What MLX calls when it reports."""

    def __init__(self, path: Path) -> None:
        """Write to this file."""
        self._path = path

    def _tell(self, values: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps({key: float(value) for key, value in values.items()}) + "\n")

    def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
        """Keep a training loss."""
        self._tell(train_info)

    def on_val_loss_report(self, val_info: dict[str, Any]) -> None:
        """Keep a validation loss."""
        self._tell(val_info)


def _batches(*given: Any, **more: Any) -> Iterator[tuple[Any, Any]]:
    """Yield MLX's batches so that nothing behind an answer's last token is learned.

    Its loss counts one token more than an answer has: the padding behind the end of the turn.
    """
    import mlx.core as mx
    from mlx_lm.tuner.trainer import default_loss, iterate_batches

    rows, spans = mx.array([[1, 2, 3, 0, 0]]), mx.array([[1, 3]])  # a prompt of one token, an answer of two
    _, counted = default_loss(lambda inputs: mx.zeros((*inputs.shape, 4)), rows, spans)
    behind = mx.array([0, int(counted.item()) - 2])
    for batch, places in iterate_batches(*given, **more):
        yield batch, places - behind


def _mlx(config: str, path: Path) -> None:
    from mlx_lm import lora

    if not hasattr(lora, "get_reporting_callbacks"):
        sys.exit("this version of mlx_lm reports in another way than the locked one")
    lora.get_reporting_callbacks = lambda *_given, **_more: Teller(path)
    lora.train = functools.partial(lora.train, iterate_batches=_batches)
    sys.argv = ["mlx_lm.lora", "--config", config]
    lora.main()


def _llama_factory(config: str, _path: Path) -> None:
    import transformers  # noqa: F401 - it looks for torchaudio, and must not find what stands in for it

    # LLaMA-Factory loads a library for sound before it asks whether there is any. No sound is trained on here.
    silent = module_from_spec(ModuleSpec("torchaudio", None))
    sys.modules.setdefault("torchaudio", silent)
    from llamafactory.cli import main

    sys.argv = ["llamafactory-cli", "train", config]
    main()


def _main(tool: str, config: str, path: str) -> None:
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    {"mlx": _mlx, "llama-factory": _llama_factory}[tool](config, Path(path))


if __name__ == "__main__":
    _main(*sys.argv[1:])
