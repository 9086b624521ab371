"""A call of the agent and the copy of it that another model answered for comparison. Pure."""

from flywheel.core.frozen import Frozen


class Spoken(Frozen):
    """What one model made of a call: its answer, tool calls written as in every outcome; None where none was kept."""

    text: str | None
    status: int | None = None
    complete: bool = True
    latency_ms: float | None = None
    first_token_ms: float | None = None
    completion_tokens: int | None = None


class Pair(Frozen):
    """The answer that the agent got, and the one that nobody saw; `call` is the copy's id."""

    call: str
    shown: Spoken
    shadow: Spoken
