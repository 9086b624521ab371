"""Traces, as far as everybody may know them: spans that begin and end, and the tracer that does nothing. Pure.

What sends them is `flywheel.proc.telemetry`, and only where the settings name somebody who collects them.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated, Protocol

from pydantic import Field, StringConstraints

from flywheel.core.frozen import Frozen

#: What a span says of itself, by name; what is None is not told.
Said = Mapping[str, str | bool | int | float | None]
NOTHING: Said = {}


class TelemetrySection(Frozen):
    """Where traces go, by OTLP over HTTP: nowhere, unless an endpoint is named. `share` of them are kept."""

    endpoint: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+(/\S*)?$", max_length=2000)] | None = None
    share: float = Field(default=1.0, gt=0, le=1)


class Span(Protocol):
    """Something that took time."""

    def note(self, said: Said) -> None:
        """Add what is known of it."""

    def fail(self, reason: str) -> None:
        """Say that it did not go well."""

    def carry(self, headers: MutableMapping[str, str]) -> None:
        """Let whoever gets these headers continue the trace."""

    def end(self) -> None:
        """Say that it is over."""


class Tracer(Protocol):
    """Begins spans."""

    def within(self, name: str, said: Said = NOTHING) -> AbstractContextManager[Span]:
        """Give a span for the block; spans that begin inside it are its parts."""

    def begin(self, name: str, headers: Mapping[str, str]) -> Span:
        """Begin a span as a part of the trace that these headers carry, else of one of its own; the caller ends it."""

    def close(self) -> None:
        """Send what is left, for a moment at most."""


class _NoSpan:
    """A span that nobody collects."""

    def note(self, said: Said) -> None:
        """Forget it."""

    def fail(self, reason: str) -> None:
        """Forget it."""

    def carry(self, headers: MutableMapping[str, str]) -> None:
        """Leave the headers as they are."""

    def end(self) -> None:
        """Do nothing."""


#: The one span of everybody who has not asked for traces.
NO_SPAN = _NoSpan()


class NoTracer:
    """The tracer of everybody who has not asked for traces."""

    @contextmanager
    def within(self, name: str, said: Said = NOTHING) -> Iterator[Span]:  # noqa: ARG002
        """Give a span that nobody collects."""
        yield NO_SPAN

    def begin(self, name: str, headers: Mapping[str, str]) -> Span:  # noqa: ARG002
        """Give a span that nobody collects."""
        return NO_SPAN

    def close(self) -> None:
        """Do nothing."""


NO_TRACER = NoTracer()
