"""How an event looks: its words, its facts, the reasons of a decision, and the links to what it speaks of."""

from collections.abc import Iterable, Mapping
from typing import Any

from flywheel.core.events import EVENTS, Event
from flywheel.core.ids import split_served_name
from flywheel.web.elements import Child, Html, badge, el, link, moment
from flywheel.web.tables import facts, table

_HASH = 64
_KINDS = {"allow": "pass", "hold": "open", "refuse": "fail"}
_WORDS = {"allow": "allowed", "hold": "held", "refuse": "refused"}
_GOOD = ("adapter_promoted", "adapter_passed", "run_finished", "adapter_approved", "recovered")
_BAD = ("rolled_back", "failed", "refused", "rejected", "damaged", "quarantined")


def sentence_of(event: Event) -> str:
    """Return what an event says, in a sentence."""
    if event.kind.startswith("policy.intent_"):
        return f"{wanted(event)}: {event.body.get('sentence', '')}"
    if event.kind == "operator.request_made":
        reason = f", because: {event.body['reason']}" if event.body.get("reason") else ""
        return f"{event.body.get('by') or 'somebody'} asked to {_spaced(event.body.get('kind'))}{reason}"
    return str(event.body.get("sentence") or event.body.get("why") or EVENTS[event.kind])


def title_of(event: Event) -> str:
    """Return what an event is called above its page: whom it is about, and what happened."""
    subject = event.subject or event.line or event.kind
    subject = subject[:12] if len(subject) == _HASH else subject
    if event.kind.startswith("policy.intent_"):
        return f"{subject}: {wanted(event)} was {event.kind.rpartition('_')[2]}"
    return f"{subject}: {EVENTS[event.kind]}"


def wanted(event: Event) -> str:
    """Return what an intent wanted, as people say it: `start run`."""
    return _spaced(str(event.body.get("intent", {}).get("kind", "")).partition(".")[2]) or "an intent"


def _spaced(name: object) -> str:
    return str(name or "").replace("_", " ")


def tone(kind: str) -> str:
    """Return whether an event is good news, bad news, or waits."""
    if kind == "policy.intent_held":
        return "open"
    name = kind.partition(".")[2]
    return "fail" if any(word in name for word in _BAD) else "pass" if any(word in name for word in _GOOD) else ""


def kind_badge(kind: str) -> Html:
    """Return an event's kind as people say it: `intent held`, coloured by what it means."""
    room, _, name = kind.partition(".")
    return el("span", badge(name.replace("_", " "), tone(kind)), el("span", f" {room}", class_="soft"))


def subject_link(event: Event) -> Child:
    """Return the subject of an event as a link to what is known of it."""
    return name_link(event.subject)


def name_link(name: str) -> Child:
    """Return a name as a link to its own page; hashes are shown short."""
    if not name:
        return None
    text = name[:12] + "…" if len(name) == _HASH else name
    if name.startswith("run-"):
        return link(text, "runs", name)
    if name.startswith("report-"):
        return link(text, "reports", name)
    return link(text, "explain", name)


def line_link(line: str) -> Child:
    """Return a line as a link to its story."""
    return link(line, "lines", line) if line else None


def number_link(seq: int | None) -> Child:
    """Return an event's number as a link to why it happened."""
    return None if seq is None else link(f"#{seq}", "explain", str(seq))


def details(event: Event) -> Child:
    """Return what an event holds: a decision with its reasons, or its facts one by one."""
    decision = event.body.get("decision")
    if isinstance(decision, dict):
        return _decision(event, decision)
    shown = [(key.replace("_", " "), _value(value)) for key, value in event.body.items() if _tells(key, value)]
    return facts(shown) if shown else None


def _tells(key: str, value: Any) -> bool:
    return key != "sentence" and value not in (None, "", [], {}) and not isinstance(value, dict)


def _value(value: Any) -> Child:
    if isinstance(value, list):
        return ", ".join(str(one) for one in value[:12]) + ("…" if len(value) > 12 else "")  # noqa: PLR2004 - a glance
    text = str(value)
    known = split_served_name(text) or text.startswith(("run-", "report-", "req-")) or len(text) == _HASH
    return name_link(text) if known and " " not in text else text


def _decision(event: Event, decision: Mapping[str, Any]) -> Child:
    intent = event.body.get("intent", {})
    return [
        facts([
            ("wanted", [wanted(event), " ", name_link(event.subject)]),
            ("because", str(intent.get("why", ""))),
            ("policy set", str(decision.get("policy_hash", ""))[:8]),
        ]),
        _reasons(decision.get("reasons", [])),
        _seen(event.body.get("facts") or decision.get("facts") or {}, decision),
    ]  # fmt: skip


def _reasons(reasons: Iterable[Mapping[str, Any]]) -> Child:
    rows = [(
        link(reason["guardrail"], "policies", reason["guardrail"]),
        judgement_badge(reason["judgement"], observed=not reason["enforced"]),
        str(reason["sentence"]).removesuffix(f" ({reason['guardrail']})"),
    ) for reason in sorted(reasons, key=lambda one: one["judgement"] == "allow")]  # fmt: skip
    return table("What the guardrails said", ("Guardrail", "Said", "Because"), rows) if rows else None


def judgement_badge(judgement: str, *, observed: bool = False) -> Html:
    """Return a judgement as a word in its colour."""
    return badge(_WORDS.get(judgement, judgement) + (", observed only" if observed else ""), _KINDS.get(judgement, ""))


def _seen(found: Mapping[str, Any], decision: Mapping[str, Any]) -> Child:
    """Return the facts: those that a guardrail looked at at once, the others behind a word."""
    looked = decision.get("facts") or {}
    told = facts([(name, fact_words(value)) for name, value in sorted(looked.items())])
    others = {name: value for name, value in found.items() if name not in looked}
    more = facts([(name, fact_words(value)) for name, value in sorted(others.items())])
    return [
        el("details", el("summary", f"{len(looked)} facts that were looked at"), told) if looked else None,
        el("details", el("summary", f"{len(others)} more facts that were read"), more) if others else None,
    ]


def fact_words(value: Any) -> str:
    """Return a fact's value as people say it."""
    if value is None:
        return "unknown"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def events_table(caption: str, found: Iterable[Event]) -> Html:
    """Return events as a table, each with its number, its moment, what it says and what it speaks of."""
    rows = [(
        number_link(event.seq), moment(event.at), kind_badge(event.kind), line_link(event.line), subject_link(event),
        _short(sentence_of(event)),
    ) for event in found]  # fmt: skip
    return table(caption, ("Number", "When (UTC)", "What", "Line", "Subject", "In words"), rows)


def _short(text: str) -> str:
    return text if len(text) <= 240 else text[:237] + "…"  # noqa: PLR2004 - a cell that a person reads
