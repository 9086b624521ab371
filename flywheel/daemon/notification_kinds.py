"""What a person may be told of, and which events it is told from: a closed registry. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from pydantic import Field

from flywheel.core.events import EVENTS, Event
from flywheel.core.frozen import Frozen

#: Each kind with the events that it is told from and what it means.
KINDS: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        "promoted": (("rollout.adapter_promoted",), "an adapter answers everybody now"),
        "rolled_back": (("rollout.adapter_rolled_back",), "an adapter was taken back"),
        "approval_wanted": (("daemon.approval_wanted",), "an adapter waits for your approval"),
        "stuck": (
            ("daemon.line_stalled", "daemon.cycles_failed", "daemon.cycles_recovered"),
            "a line does not get what it wants, or cycle after cycle fails (or no longer does)",
        ),
        "verdict_failed": (("gate.adapter_failed", "gate.measurement_failed"), "an adapter did not pass its gate"),
        "verdict_passed": (("gate.adapter_passed",), "an adapter passed its gate"),
        "canary_started": (("rollout.canary_started",), "an adapter got a share of the traffic"),
        "rejected": (("rollout.adapter_rejected",), "an adapter was turned down"),
        "run_started": (("train.run_started",), "a training run began"),
        "run_finished": (("train.run_finished",), "a training run finished"),
        "run_failed": (("train.run_failed",), "a training run ended without an adapter"),
        "dataset_frozen": (("curate.dataset_frozen",), "a dataset was frozen"),
        "server_failed": (("serve.server_failed",), "a model server does not answer as it should"),
        "server_recovered": (("serve.server_recovered",), "a model server answers again"),
        "source_failed": (("sources.source_failed",), "a watched database cannot be read"),
        "source_recovered": (("sources.source_recovered",), "a watched database can be read again"),
        "attempt_failed": (("daemon.attempt_failed",), "something allowed could not be done; it is tried again"),
        "request_refused": (("operator.request_refused",), "what a person asked for cannot be done"),
        "settings_rejected": (
            ("daemon.settings_rejected", "policy.policies_rejected"),
            "changed settings or policies were turned down",
        ),
        "started": (("daemon.started",), "the daemon began"),
    }
)
#: What an address hears of when it does not say.
USUAL = ("promoted", "rolled_back", "approval_wanted", "stuck", "verdict_failed")
TEST = "test"

_KIND_OF = {event: kind for kind, (events, _) in KINDS.items() for event in events}
_WORDS = ("sentence", "why", "reason", "error")
_LONGEST = 500


class Notice(Frozen):
    """One thing to tell: `seq` is the number of the event it is told from."""

    kind: str
    event: str
    seq: int | None
    at: datetime
    line: str = ""
    subject: str = ""
    cause: int | None = None
    sentence: str
    details: dict[str, Any] = Field(default_factory=dict)


def events_of(kinds: Iterable[str]) -> tuple[str, ...]:
    """Return the events that these kinds are told from."""
    return tuple(event for kind in kinds for event in KINDS[kind][0])


def notice_of(event: Event) -> Notice:
    """Return what is told from an event: its plain values only, as in the log, and never a conversation."""
    plain = {key: _short(value) for key, value in event.body.items() if not isinstance(value, dict | list)}
    return Notice(
        kind=_KIND_OF[event.kind],
        event=event.kind,
        seq=event.seq,
        at=event.at,
        line=event.line,
        subject=event.subject,
        cause=event.cause,
        sentence=_sentence(event),
        details=plain,
    )


def _sentence(event: Event) -> str:
    said = next((str(event.body[key]) for key in _WORDS if event.body.get(key)), "")
    about = event.subject or event.line or "flywheel"
    meaning = EVENTS[event.kind]
    told = f"{about}: {meaning}" + (f" ({said})" if said else "")
    return told if event.kind not in _SPEAK_FOR_THEMSELVES or not said else said[:_LONGEST]


_SPEAK_FOR_THEMSELVES = frozenset({"daemon.approval_wanted", "daemon.line_stalled", "daemon.cycles_failed"})


def _short(value: Any) -> Any:
    return value[:_LONGEST] if isinstance(value, str) else value
