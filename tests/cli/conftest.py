"""Puts the shared fixtures within reach."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the shared fixtures lie beside the rooms of the tests

from fixtures.tiny import tiny_base

__all__ = ["tiny_base"]
