"""How a server wants to be asked: what it turns down is left out, for every role alike. Pure.

A refusal that is about the manner of asking says nothing about a model. First everything is asked for as production
has it: streamed, with counts, tools offered for the model to choose. A server that has no such door says so by status
400, and the question is put again without it.
"""

import re
from typing import Any, Literal

from flywheel.core.frozen import Frozen

_REFUSALS = frozenset({400, 405, 415, 422, 500, 501})
_COUNTS = re.compile(r"stream[ _]options", re.IGNORECASE)
_STREAM = re.compile(r"\bstream(ing|s)?\b", re.IGNORECASE)
_CHOICE = re.compile(r"tool[ _-]?choice|tool[ _-]?call[ _-]?parser|--jinja", re.IGNORECASE)


class Manners(Frozen):
    """What may be asked for: a stream, its counts, and whether the server reads calls out of the text itself."""

    stream: bool = True
    counts: bool = True
    tool_choice: Literal["auto", "none"] = "auto"

    def fields(self, tools: tuple[dict[str, Any], ...]) -> dict[str, Any]:
        """Return what a request carries beside the question."""
        fields: dict[str, Any] = {"stream": True} if self.stream else {}
        if self.stream and self.counts:
            fields["stream_options"] = {"include_usage": True}
        if tools:
            fields |= {"tools": list(tools), "tool_choice": self.tool_choice}
        return fields

    def after(self, status: int, said: str, *, tools: bool) -> "Manners | None":
        """Return how to ask after a refusal; None when the refusal is not about the manner."""
        if status not in _REFUSALS:
            return None
        if tools and self.tool_choice == "auto" and _CHOICE.search(said):
            return self.model_copy(update={"tool_choice": "none"})
        if self.stream and self.counts and _COUNTS.search(said):
            return self.model_copy(update={"counts": False})
        if self.stream and _STREAM.search(said):
            return self.model_copy(update={"stream": False})
        return None
