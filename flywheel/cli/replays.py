"""`flywheel policy replay | diff`: what other policies say, and what they would have said."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli.contexts import AsJson, Config, LineOption, out, reading, settings_of, show_json
from flywheel.cli.moments import moment_of
from flywheel.core.ids import short
from flywheel.daemon.places import policies_folder
from flywheel.policy.diffing import PolicyChange, diff
from flywheel.policy.loading import load_policies
from flywheel.policy.replaying import Difference, Effect, Replayed, replay
from flywheel.policy.words import counted
from flywheel.store.past_decisions import past_decisions

_TOLD = "each decision is judged by itself: what would have come of another answer is not played on"

_WORDS = {
    "refuses": "would have refused",
    "holds": "would have held",
    "notes": "would only have noted",
    "agrees": "would have agreed",
    "silent": "would have had no part in it, and said",
}

Since = Annotated[str | None, typer.Option("--since", help="Only what was decided since: 2h, 3d, or 2026-01-31.")]


def replay_policies(
    policies: Annotated[
        Path | None, typer.Option("--policies", help="The policies to try (else the settings', as they are now).")
    ] = None,
    since: Since = None,
    line: LineOption = None,
    examples: Annotated[int, typer.Option("--examples", min=0, max=1000, help="At most so many for each.")] = 3,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Judge what was recorded under other policies, and say what would have gone differently."""
    moment = moment_of(since) if since else None
    with reading(config) as (settings, store):
        folder = policies or policies_folder(settings)
        tried = load_policies(folder)
        found = replay(past_decisions(store, moment, line), tried, examples)
    if as_json:
        show_json({"policies": str(folder), "since": moment.isoformat() if moment else None, "line": line,
                   **found.model_dump(mode="json")})  # fmt: skip
        return
    for text in told(found, folder, moment):
        out.print(text, markup=False)


def diff_policies(
    before: Annotated[Path, typer.Argument(help="A policies folder.")],
    after: Annotated[Path | None, typer.Argument(help="Another (else BEFORE beside the settings').")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Say in words what one policies folder declares otherwise than another."""
    # With one folder it is the new one: what would change when the settings named it.
    old = before if after is not None else policies_folder(settings_of(config))
    new = after if after is not None else before
    one, other = load_policies(old), load_policies(new)
    changes = diff(one, other)
    if as_json:
        show_json({"before": {"folder": str(old), "hash": one.hash}, "after": {"folder": str(new), "hash": other.hash},
                   "changes": [change.model_dump(mode="json") for change in changes]})  # fmt: skip
        return
    for text in _diff_told(changes, f"{old} ({short(one.hash)})", f"{new} ({short(other.hash)})"):
        out.print(text, markup=False)


def told(found: Replayed, folder: Path, since: datetime | None) -> Iterator[str]:
    """Yield a replay in words: the sum, then each guardrail with its examples."""
    when = f" since {since:%Y-%m-%d %H:%M} UTC" if since else ""
    if not found.decisions:
        yield f"nothing was decided{when}: there is nothing to judge again"
        return
    yield (
        f"{counted(found.decisions, 'decision')}{when} (#{found.first} to #{found.last}) "
        f"under {folder} ({short(found.policy_hash)})"
    )
    yield from _sum(found)
    for effect in found.guardrails:
        yield ""
        yield from _effect(effect)
    yield from _doubts(found)
    if found.different or found.uncertain:
        yield ""
        yield f"{_TOLD}; `flywheel explain NUMBER` tells what did"


def _sum(found: Replayed) -> Iterator[str]:
    if not found.different:
        yield "none would have gone differently"
    else:
        yield f"{found.different} would have gone differently:"
        yield from (f"  {count:>5}  {way}" for way, count in found.ways.items())
    if found.uncertain:
        yield f"of {found.uncertain} more it cannot be said: facts that guardrails ask for were not recorded"
    if found.other_reasons:
        yield f"{found.other_reasons} would have gone the same way for other reasons"


def _effect(effect: Effect) -> Iterator[str]:
    parts = [
        f"would have stopped {effect.stops}" if effect.stops else "",
        f"would have given way in {effect.gives_way}" if effect.gives_way else "",
        f"would have said something else in {effect.notes}" if effect.notes else "",
        f"decides {effect.decides}" if effect.decides else "",
    ]
    gone = " (no longer there)" if effect.gone else ""
    yield f"{effect.guardrail}{gone}: {', '.join(part for part in parts if part)}"
    for fact, count in effect.unrecorded.items():
        yield f"  of {fact} nothing was recorded in {count}"
    for one in effect.examples:
        yield from _example(one, effect.guardrail)


def _example(one: Difference, guardrail: str) -> Iterator[str]:
    turn = next(turn for turn in one.turns if turn.guardrail == guardrail)
    yield f"  #{one.seq} {one.at:%Y-%m-%d %H:%M} {one.intent} {one.line} {one.subject}".rstrip()
    if guardrail in one.deciding:
        yield f"    {one.before.value} becomes {one.after.value}: {turn.sentence}"
    else:
        yield f"    {one.after.value} whatever it says; it {_WORDS[turn.after]}: {turn.sentence}"


def _doubts(found: Replayed) -> Iterator[str]:
    if found.unjudged:
        yield ""
        yield f"guarded, and nothing of the kind was recorded, so nothing can be said: {', '.join(found.unjudged)}"
    if found.unreadable:
        yield ""
        yield f"{counted(found.unreadable, 'decision')} of another version could not be read"


def _diff_told(changes: Iterable[PolicyChange], old: str, new: str) -> Iterator[str]:
    yield f"from {old} to {new}"
    lines = [change.sentence for change in changes]
    yield from lines or ["they say the same"]
