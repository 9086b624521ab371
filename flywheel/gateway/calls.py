"""One call to a completion endpoint: while it is on its way, and as the row that the daemon will read."""

import random
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from flywheel.gateway.sessions import Session

_ROW_OVERHEAD = 1024  # what a row costs in memory beside its bodies, about


def new_id() -> str:
    """Return an id that no other call has. It is no secret, so that no call waits for the system's randomness."""
    return f"{random.getrandbits(128):032x}"


class Call(NamedTuple):
    """One row of the capture, in the order of its columns.

    `mirrors` is the id of the call that this one repeats for comparison; its arm is `shadow`, its answer was shown to
    nobody.
    `quarantine` is the rule that found a secret in the call, whose bodies are then empty.
    """

    id: str
    at: str
    alias: str | None
    model: str | None
    arm: str | None
    routing_version: int
    session: str
    session_source: str
    task: str | None
    status: int | None
    streamed: bool
    complete: bool
    fallback: bool
    request: bytes
    response: bytes
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_ms: float
    first_token_ms: float | None
    mirrors: str | None = None
    quarantine: str | None = None

    @property
    def size(self) -> int:
        """Return about how much memory the row holds."""
        return len(self.request) + len(self.response) + _ROW_OVERHEAD


@dataclass(slots=True)
class Receipt:
    """What came back: the status, the bytes up to `keep`, when the first came, and whether the end was reached."""

    keep: int
    status: int | None = None
    first_at: float | None = None
    whole: bool = False
    _chunks: list[bytes] = field(default_factory=list)
    _kept: int = 0
    _cut: bool = False

    def take(self, chunk: bytes, at: float) -> None:
        """Note a chunk that is on its way to the client."""
        if self.first_at is None:
            self.first_at = at
        self._kept += len(chunk)
        if self._kept > self.keep:
            self._cut = True
        else:
            self._chunks.append(chunk)

    @property
    def complete(self) -> bool:
        """Return whether all of the response was passed on and is held here."""
        return self.whole and not self._cut

    def body(self) -> bytes:
        """Return the bytes held."""
        return b"".join(self._chunks)


@dataclass(slots=True)
class Exchange:
    """A call on its way; `row` is what is known of it at that moment.

    `captured` is whether it is kept at all; `mirrors` is set on a shadow, whose arm is SHADOW.
    """

    at: datetime
    began: float
    raw: bytes
    alias: str | None
    model: str | None
    arm: str | None
    routing_version: int
    session: Session
    task: str | None
    streamed: bool
    receipt: Receipt
    fallback: bool = False
    mirrors: str | None = None
    captured: bool = True
    id: str = field(default_factory=new_id)

    def fall_back(self, base_model: str) -> None:
        """Let the base model answer from here on, because the arm's model is not there."""
        self.model = base_model
        self.fallback = True

    def stand_in(self, model: str) -> None:
        """Let another server's model answer: the call is no arm's, and no alias speaks of it."""
        self.alias = self.arm = None
        self.model = model
        self.fallback = True

    def row(self, ended: float) -> Call:
        """Return the call as a row; the model is the one that answered, the arm the one that was drawn.

        How many tokens it used is read where it is stored, so that no request waits for that.
        """
        receipt = self.receipt
        response = receipt.body()
        first = None if receipt.first_at is None else _ms(receipt.first_at - self.began)
        return Call(
            self.id,
            self.at.isoformat(timespec="microseconds"),
            _storable(self.alias),
            _storable(self.model),
            self.arm,
            self.routing_version,
            _storable(self.session.key) or "",
            self.session.source,
            _storable(self.task),
            receipt.status,
            self.streamed,
            receipt.complete,
            self.fallback,
            self.raw,
            response,
            None,
            None,
            _ms(ended - self.began),
            first,
            self.mirrors,
        )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _storable(text: str | None) -> str | None:
    """Return the text without the lone surrogates that headers and JSON may carry and no database accepts."""
    return None if text is None else text.encode("utf-8", "replace").decode()
