"""Keeps a training process to its part of a GPU that a model server shares with it at the same time."""

from __future__ import annotations

import os

VARIABLE = "FLYWHEEL_GPU_SHARE"


def keep_to_share() -> float | None:
    """Limit this process to the part of the GPU's memory that it was given; return it, or None where all is its own."""
    share = float(os.environ.get(VARIABLE) or 0)
    if not 0 < share < 1:
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    torch.cuda.set_per_process_memory_fraction(share)
    return share
