"""A story in words: each line with the style that it has on a terminal. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flywheel.cli.decisions import style_of, words_of
from flywheel.core.events import EVENTS, Event
from flywheel.core.ids import short
from flywheel.store.reports import StoredReport
from flywheel.store.roots import Root, Roots

Line = tuple[str, str]

_VERDICTS = {"pass": "green", "fail": "red"}
_STYLES = {"allow": "green", "hold": "yellow", "refuse": "red"}


def of_effect(effect: Event) -> Iterator[Line]:
    """Yield what happened, with everything that was looked at."""
    name = effect.subject or effect.line or effect.kind
    when = f"{effect.at:%Y-%m-%d %H:%M:%S} UTC"
    yield f"{name}: {EVENTS[effect.kind]} ({effect.kind}, #{effect.seq}, {when})", "bold"
    yield from _details(effect)


def of_steps(causes: Sequence[Event]) -> Iterator[Line]:
    """Yield how it came to this."""
    if causes:
        yield "", ""
        yield "How it came to this, newest first:", "bold"
    for event in causes:
        head = f"  #{event.seq} {event.at:%Y-%m-%d %H:%M:%S} {event.kind} {event.subject}: {EVENTS[event.kind]}"
        yield head, style_of(event.kind)
        yield from (("    " + text, style) for text, style in _details(event))


def of_effects(effects: Sequence[Event]) -> Iterator[Line]:
    """Yield what came of it at once."""
    if effects:
        yield "", ""
        yield "What came of it:", "bold"
    for event in effects:
        yield f"  #{event.seq} {event.kind} {event.subject}: {words_of(event)}", style_of(event.kind)


def of_report(stored: StoredReport) -> Iterator[Line]:
    """Yield what a report says."""
    report = stored.report
    verdict = report.verdict.value
    yield "", ""
    yield (
        f"Evidence: gate {report.gate} on suite {short(report.suite)} says {verdict}. {report.sentence}",
        _VERDICTS.get(verdict, "yellow"),
    )
    for check in report.checks:
        yield f"- {check.name} ({check.verdict.value}): {check.sentence}", ""
    yield f"  the whole report: `flywheel reports show {stored.id}`", "dim"


def of_beginning(roots: Roots) -> Iterator[Line]:
    """Yield what was learned from at the very beginning."""
    yield "", ""
    parts = ", ".join(f"{count:,} in {part}" for part, count in roots.parts.items())
    yield f"What it was learned from: dataset {short(roots.dataset)}, {parts or 'no examples of its own'}", "bold"
    for root in roots.first:
        yield from _root(root)
    if roots.first:
        yield f"  all of it: `flywheel datasets show {short(roots.dataset)}`", "dim"


def of_example(seen: Mapping[str, Any], root: Root | None) -> Iterator[Line]:
    """Yield what an example or an outcome rests on, and what rests on it."""
    gone = ", withdrawn: it is in no dataset that is frozen from now on" if seen["withdrawn"] else ""
    of_line = f" of {seen['line']}" if seen["line"] else ""
    yield f"{seen['kind']} {seen['name']}{of_line}{gone}", "bold"
    yield from _root(root) if root else iter([("  the outcome it rested on was forgotten", "yellow")])
    if seen["kind"] == "outcome":
        yield f"  examples: {', '.join(seen['examples']) or 'none: nothing learns from it'}", ""
    held = ", ".join(f"{one['number']} {short(one['hash'])} ({one['part']})" for one in seen["held"])
    made = ", ".join(f"{one['name']} ({one['state']})" for one in seen["made"])
    yield f"  datasets: {held or 'none yet'}", ""
    yield f"  adapters: {made or 'none yet'}", ""
    if seen["made"]:
        yield f"  how that went: `flywheel explain {seen['made'][-1]['name']}`", "dim"


def of_row(kind: str, name: str, facts: Mapping[str, Any]) -> Iterator[Line]:
    """Yield what is known of something that has no event of its own."""
    yield f"{kind} {name}", "bold"
    for key, value in sorted(facts.items()):
        if not isinstance(value, dict | list) and value not in (None, "", name):
            yield f"  {key.replace('_', ' ')}: {value}", ""


def _root(root: Root) -> Iterator[Line]:
    words = f"task {root.task} of {root.source}, {root.at:%Y-%m-%d %H:%M}: {root.label} ({root.confidence:.2f})"
    yield f"  {words}, outcome {root.outcome}", ""
    for signal in root.signals:
        note = f": {signal['note']}" if signal.get("note") else ""
        yield f"  - {signal.get('name')} ({signal.get('points'):+d}, {signal.get('strength'):g}){note}", ""


def _details(event: Event) -> Iterator[Line]:
    decision = event.body.get("decision")
    if isinstance(decision, dict):
        yield from _decision(event, decision)
        return
    if "sentence" in event.body:
        yield str(event.body["sentence"]), ""
    for key, value in event.body.items():
        if key != "sentence" and not isinstance(value, dict | list) and value not in (None, ""):
            yield f"{key.replace('_', ' ')}: {value}", ""


def _decision(event: Event, decision: dict[str, Any]) -> Iterator[Line]:
    intent = event.body.get("intent", {})
    yield f"wanted: {intent.get('kind')} {intent.get('subject')}, because {intent.get('why')}", ""
    told = f"policy set {short(str(decision.get('policy_hash')))}: {event.body.get('sentence')}"
    yield told, _STYLES.get(str(decision.get("judgement")), "")
    for reason in decision.get("reasons", []):
        how = reason["judgement"] + ("" if reason["enforced"] else ", observed only")
        yield f"- {reason['guardrail']} ({how}): {reason['sentence']}", ""
    if decision.get("facts"):
        yield "facts: " + ", ".join(f"{name} = {value}" for name, value in sorted(decision["facts"].items())), "dim"
