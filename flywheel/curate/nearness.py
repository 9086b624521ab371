"""Telling texts that are nearly the same, as `core.nearness` does: examples here, and what suites ask in the gate."""

from flywheel.core.nearness import (
    BANDS,
    KEPT,
    LOWEST,
    SCHEME,
    bands,
    hashes_of,
    question_text,
    similarity,
    sketch,
)

__all__ = ["BANDS", "KEPT", "LOWEST", "SCHEME", "bands", "hashes_of", "question_text", "similarity", "sketch"]
