"""How a job starts and ends without waste: most of a short one's time would go into imports and into taking them apart.

Half of what torch and its companions take to load is Python's garbage collector, which looks through them again and
again while they grow, and a library for 4-bit weights that few runs need.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

_QUANTIZER = "bitsandbytes"
#: Libraries that every training needs, loaded before any model is.
_TRAINING = ("torch", "transformers.trainer", "datasets", "peft", "trl.trainer.sft_trainer")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Load libraries without the collector; what they leave stays, and it never looks at them again.

    No model may be loaded inside: what is garbage afterwards would stay, too.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def load_training(base: Path, optimizer: str, quantization: str) -> None:
    """Load what a training run needs, and the quantiser only where something may ask for it."""
    if quantization == "none" and optimizer.startswith("adamw_torch"):
        leave_quantizer(base)
    with undisturbed():
        for name in _TRAINING:
            importlib.import_module(name)


def leave_quantizer(base: Path) -> None:
    """Let libraries find no bitsandbytes, which they would load at once, unless the base itself is quantised."""
    if _QUANTIZER not in sys.modules and not _is_quantized(base):
        sys.modules[_QUANTIZER] = None  # type: ignore[assignment]  # Python's own mark of what cannot be imported


def _is_quantized(base: Path) -> bool:
    try:
        return "quantization_config" in json.loads((base / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True  # whoever loads it will say what is wrong with it


def leave(status: int) -> NoReturn:
    """End the process at once: all that counts is on the disk or told, and modules need not be taken apart."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
