"""`flywheel explain ID`: from an effect back to its causes, in words."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from sqlmodel import Session

from flywheel.cli.contexts import AsJson, Config, out, reading, show_json
from flywheel.core.errors import MisuseError
from flywheel.core.events import EVENTS, Event
from flywheel.store.ledger import event_by_seq, events, subjects_like
from flywheel.store.listings import list_rows
from flywheel.store.runs import adapter_by_name

#: What a person most likely means by a name: how its story ended, before how it began.
_ENDS = (
    "rollout.adapter_rolled_back",
    "rollout.adapter_promoted",
    "rollout.adapter_rejected",
    "rollout.canary_started",
    "rollout.shadow_compared",
    "rollout.shadow_started",
    "gate.adapter_passed",
    "gate.adapter_failed",
)
_LONGEST = 40
_DIGITS = 18  # a longer number is no event's: the store cannot hold it

Id = Annotated[
    str, typer.Argument(help="An event's number, an adapter, a run, a dataset, a suite, or the beginning of one.")
]


def explain(name: Id, as_json: AsJson = False, config: Config = None) -> None:
    """Tell why something happened: the facts, the policies that judged it, the evidence."""
    with reading(config) as (_, store), store.read() as session:
        effect = _find(session, name)
        chain = list(_chain(session, effect))
        evidence = _evidence(session, chain)
    if as_json:
        show_json({"events": [event.model_dump(mode="json") for event in chain], "evidence": evidence})
        return
    for line in told(chain, evidence):
        out.print(line, markup=False)


def story_of(session: Session, name: str) -> Iterator[str]:
    """Yield the whole story behind a name, in words."""
    chain = list(_chain(session, _find(session, name)))
    yield from told(chain, _evidence(session, chain))


def told(chain: list[Event], evidence: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the story, effect first, each cause below what it led to."""
    effect = chain[0]
    name = effect.subject or effect.line or effect.kind
    yield f"{name}: {EVENTS[effect.kind]} ({effect.kind}, #{effect.seq}, {effect.at:%Y-%m-%d %H:%M:%S} UTC)"
    yield from _details(effect)
    for report in evidence:
        yield ""
        yield from _report(report)
    if len(chain) > 1:
        yield ""
        yield "How it came to this, newest first:"
    for event in chain[1:]:
        yield f"  #{event.seq} {event.at:%H:%M:%S} {event.kind} {event.subject}: {EVENTS[event.kind]}"
        yield from ("    " + line for line in _details(event))


def _find(session: Session, name: str) -> Event:
    number = name.removeprefix("#")
    found = event_by_seq(session, int(number)) if number.isdecimal() and len(number) <= _DIGITS else None
    if found is not None:
        return found
    subjects = subjects_like(session, name)
    if not subjects:
        raise MisuseError(f"nothing in the ledger is called {name!r}", "see `flywheel decisions` for names and numbers")
    if len(subjects) > 1 and name not in subjects:
        raise MisuseError(f"{name!r} begins {len(subjects)} names: {', '.join(subjects[:5])}", "give more of the name")
    subject = name if name in subjects else subjects[0]
    story = events(session, subject=subject)
    ends = [event for event in story if event.kind in _ENDS]
    return (ends or story)[-1]


def _chain(session: Session, effect: Event) -> Iterator[Event]:
    event: Event | None = effect
    for _ in range(_LONGEST):
        if event is None:
            return
        yield event
        event = event_by_seq(session, event.cause) if event.cause is not None else None


def _evidence(session: Session, chain: list[Event]) -> list[dict[str, Any]]:
    adapters = [adapter_by_name(session, name) for name in {event.subject for event in chain}]
    hashes = {adapter.hash for adapter in adapters if adapter is not None}
    return [row for row in list_rows(session, "reports", limit=1000) if row["adapter"] in hashes]


def _details(event: Event) -> Iterator[str]:
    decision = event.body.get("decision")
    if isinstance(decision, dict):
        yield from _decision(event, decision)
        return
    if "sentence" in event.body:
        yield str(event.body["sentence"])
    for key, value in event.body.items():
        if key != "sentence" and not isinstance(value, dict | list) and value not in (None, ""):
            yield f"{key.replace('_', ' ')}: {value}"


def _decision(event: Event, decision: dict[str, Any]) -> Iterator[str]:
    intent = event.body.get("intent", {})
    yield f"wanted: {intent.get('kind')} {intent.get('subject')}, because {intent.get('why')}"
    yield f"policy set {str(decision.get('policy_hash'))[:8]}: {event.body.get('sentence')}"
    for reason in decision.get("reasons", []):
        how = reason["judgement"] + ("" if reason["enforced"] else ", observed only")
        yield f"- {reason['guardrail']} ({how}): {reason['sentence']}"
    if decision.get("facts"):
        yield "facts: " + ", ".join(f"{name} = {value}" for name, value in sorted(decision["facts"].items()))


def _report(row: dict[str, Any]) -> Iterator[str]:
    report = row["body"]
    suite, sentence = str(row["suite"])[:8], report.get("sentence", "")
    yield f"Evidence: gate {report.get('gate')} on suite {suite} says {row['verdict']}. {sentence}"
    for check in report.get("checks", []):
        yield f"- {check['name']} ({check['verdict']}): {check['sentence']}"
