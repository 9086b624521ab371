"""The log is the ledger's echo: each event once, under the same name, as soon as it is there."""

from typing import Any

import structlog

from flywheel.core.events import Event
from flywheel.store.ledger import events, last_event
from flywheel.store.stores import Store

log = structlog.get_logger()

_AT_ONCE = 10_000
_TROUBLE = ("_failed", "_rejected", "_refused", "_quarantined")


class Echo:
    """Says in the log what came into the ledger since it last spoke, whoever wrote it."""

    def __init__(self, store: Store) -> None:
        """Begin with what comes next."""
        self._store = store
        with store.read() as session:
            last = last_event(session)
        self._told = last.seq or 0 if last else 0

    def tell(self) -> None:
        """Say what is new."""
        with self._store.read() as session:
            found = events(session, after=self._told, limit=_AT_ONCE)
        for event in found:
            self._told = max(self._told, event.seq or 0)
            say = log.warning if event.kind.endswith(_TROUBLE) else log.info
            say(event.kind, **_words(event))


def _words(event: Event) -> dict[str, Any]:
    """Return what a line of the log holds: the event without what is long; `explain` tells the rest."""
    plain = {key: value for key, value in event.body.items() if not isinstance(value, dict | list)}
    named = {"seq": event.seq, "line": event.line, "subject": event.subject, "cause": event.cause}
    return {**{key: value for key, value in plain.items() if key != "event"}, **named}
