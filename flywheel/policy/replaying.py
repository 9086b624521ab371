"""What other policies would have said to what is recorded, decision by decision and guardrail by guardrail. Pure.

Every decision is judged by itself, by the facts that were recorded with it: what would have come of another answer is
not played on. Facts that a line's own file sets are taken from the policies that are tried, because they would have
set them too. The same policies differ nowhere.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Literal

from pydantic import Field, ValidationError

from flywheel.core.decisions import Decision, Judgement, Reason
from flywheel.core.events import Event
from flywheel.core.facts import Facts, Value
from flywheel.core.frozen import Frozen
from flywheel.core.intents import Intent
from flywheel.policy.guardrails import PolicySet
from flywheel.policy.judging import judge
from flywheel.policy.line_facts import facts_of_line

#: What a guardrail says to one intent: it agrees, stops it, only notes that it would, or has no part in it.
Voice = Literal["agrees", "holds", "refuses", "notes", "silent"]

_STRICTNESS: Mapping[Voice, int] = {"silent": 0, "agrees": 0, "notes": 0, "holds": 1, "refuses": 2}
_CONTENT = {"silent", "agrees"}  # a guardrail that agrees, or has nothing to say, is no news
_STRICTEST: Mapping[Judgement, int] = {Judgement.ALLOW: 0, Judgement.HOLD: 1, Judgement.REFUSE: 2}
_EXAMPLES = 3


class Recorded(Frozen):
    """A decision as the ledger keeps it: what was wanted, every fact there was, what was said."""

    seq: int
    at: datetime
    intent: Intent
    facts: dict[str, Value]
    decision: Decision


class Turn(Frozen):
    """One guardrail's other answer; `unrecorded` are facts it asks for of which nothing was recorded."""

    guardrail: str
    before: Voice
    after: Voice
    sentence: str
    unrecorded: tuple[str, ...] = ()

    @property
    def change(self) -> int:
        """Return above zero where it would be stricter, below where it would give way, zero where it only speaks."""
        return _STRICTNESS[self.after] - _STRICTNESS[self.before]

    @property
    def is_doubtful(self) -> bool:
        """Tell whether it would stop something only because nobody recorded what it asks for."""
        return self.change > 0 and bool(self.unrecorded)


class Difference(Frozen):
    """One decision that would have been another, or the same for other reasons; `deciding` brought it about."""

    seq: int
    at: datetime
    line: str
    intent: str
    subject: str
    before: Judgement
    after: Judgement
    was: str
    would: str
    turns: tuple[Turn, ...]
    deciding: tuple[str, ...] = ()

    @property
    def goes_differently(self) -> bool:
        """Tell whether something else would have been done, and not only something else been said."""
        return self.before is not self.after

    @property
    def is_certain(self) -> bool:
        """Tell whether what brought it about rests on facts that were recorded."""
        return any(turn.guardrail in self.deciding and not turn.is_doubtful for turn in self.turns)


class Effect(Frozen):
    """What one guardrail would have done differently, in numbers of decisions."""

    guardrail: str
    gone: bool = Field(description="it is not among the policies that were tried")
    stops: int = 0
    gives_way: int = 0
    notes: int = 0
    decides: int = 0
    unrecorded: dict[str, int] = Field(default_factory=dict)
    examples: tuple[Difference, ...] = ()


class Replayed(Frozen):
    """The whole answer. `ways` counts the decisions that go differently, by what they were and would be.

    `uncertain` are those that would go differently only because a fact was not recorded with them.
    """

    policy_hash: str
    decisions: int
    first: int | None = None
    last: int | None = None
    different: int = 0
    uncertain: int = 0
    other_reasons: int = 0
    ways: dict[str, int] = Field(default_factory=dict)
    guardrails: tuple[Effect, ...] = ()
    unreadable: int = 0
    unjudged: tuple[str, ...] = Field(default=(), description="guarded now, and nothing of the kind was recorded")


def recorded(event: Event) -> Recorded | None:
    """Return the decision an event holds; None where another version wrote what this one cannot read."""
    body = event.body
    try:
        return Recorded(
            seq=event.seq or 0,
            at=event.at,
            intent=Intent.model_validate(body.get("intent")),
            facts=body.get("facts") or {},
            decision=Decision.model_validate(body.get("decision")),
        )
    except ValidationError:
        return None


def difference(past: Recorded, policies: PolicySet) -> Difference | None:
    """Return what other policies would have said otherwise to one decision; None where they say the same."""
    facts = _facts_under(past, policies)
    now = judge(past.intent, facts, policies)
    turns = tuple(_turns(past.decision, now, facts, policies))
    if not turns:
        return None
    return Difference(
        seq=past.seq,
        at=past.at,
        line=past.intent.line,
        intent=past.intent.kind,
        subject=past.intent.subject,
        before=past.decision.judgement,
        after=now.judgement,
        was=past.decision.sentence,
        would=now.sentence,
        turns=turns,
        deciding=tuple(_deciding(past.decision.judgement, now.judgement, turns)),
    )


def replay(past: Iterable[Event], policies: PolicySet, examples: int = _EXAMPLES) -> Replayed:
    """Judge everything that is recorded under these policies; each guardrail shows its newest examples."""
    tally = _Tally(policies, examples)
    for event in past:
        tally.add(event)
    return tally.result()


def _facts_under(past: Recorded, policies: PolicySet) -> Facts:
    line = policies.lines.get(past.intent.line)
    if line is None:
        return past.facts
    return {**past.facts, **{name: value for name, value in facts_of_line(line).items() if name in past.facts}}


def _turns(before: Decision, now: Decision, facts: Facts, policies: PolicySet) -> Iterator[Turn]:
    said, says = _by_name(before.reasons), _by_name(now.reasons)
    reads = {each.name: each.reads for each in policies.guardrails}
    for name in sorted(said.keys() | says.keys()):
        old, new = said.get(name), says.get(name)
        was, would = _voice(old), _voice(new)
        if was == would or {was, would} <= _CONTENT:
            continue
        speaking = new or old
        yield Turn(
            guardrail=name,
            before=was,
            after=would,
            sentence=speaking.sentence if speaking else "",
            unrecorded=tuple(fact for fact in reads.get(name, ()) if fact not in facts),
        )


def _by_name(reasons: Iterable[Reason]) -> dict[str, Reason]:
    return {reason.guardrail: reason for reason in reasons}


def _voice(reason: Reason | None) -> Voice:
    if reason is None:
        return "silent"
    if reason.judgement is Judgement.ALLOW:
        return "agrees"
    if not reason.enforced:
        return "notes"
    return "holds" if reason.judgement is Judgement.HOLD else "refuses"


def _deciding(before: Judgement, after: Judgement, turns: Iterable[Turn]) -> Iterator[str]:
    """Yield the guardrails without whose other answer the decision would not have changed as it did."""
    if before is after:
        return
    stricter = _STRICTEST[after] > _STRICTEST[before]
    for turn in turns:
        was, would = _STRICTNESS[turn.before], _STRICTNESS[turn.after]
        if would == _STRICTEST[after] > was if stricter else was == _STRICTEST[before] > would:
            yield turn.guardrail


class _Sum:
    """One guardrail's part, while it is added up."""

    def __init__(self) -> None:
        self.stops = self.gives_way = self.notes = self.decides = 0
        self.unrecorded: Counter[str] = Counter()
        self.examples: list[Difference] = []

    def add(self, turn: Turn, found: Difference, keep: int) -> None:
        self.stops += turn.change > 0
        self.gives_way += turn.change < 0
        self.notes += turn.change == 0
        self.decides += turn.guardrail in found.deciding
        self.unrecorded.update(turn.unrecorded)
        self.examples.append(found)
        # The newest, and before all others those in which something else would have been done.
        self.examples.sort(key=lambda one: (turn.guardrail in one.deciding, one.seq), reverse=True)
        del self.examples[keep:]


class _Tally:
    def __init__(self, policies: PolicySet, examples: int) -> None:
        self._policies = policies
        self._keep = examples
        self._decisions = self._unreadable = self._different = self._uncertain = self._other_reasons = 0
        self._first: int | None = None
        self._last: int | None = None
        self._kinds: set[str] = set()
        self._ways: Counter[str] = Counter()
        self._sums: dict[str, _Sum] = {}

    def add(self, event: Event) -> None:
        past = recorded(event)
        if past is None:
            self._unreadable += 1
            return
        self._decisions += 1
        self._first = past.seq if self._first is None else min(self._first, past.seq)
        self._last = past.seq if self._last is None else max(self._last, past.seq)
        self._kinds.add(past.intent.kind)
        found = difference(past, self._policies)
        if found is not None:
            self._count(found)

    def _count(self, found: Difference) -> None:
        if not found.goes_differently:
            self._other_reasons += 1
        elif not found.is_certain:
            self._uncertain += 1
        else:
            self._different += 1
            self._ways[f"{found.before.value} to {found.after.value}"] += 1
        for turn in found.turns:
            self._sums.setdefault(turn.guardrail, _Sum()).add(turn, found, self._keep)

    def result(self) -> Replayed:
        names = {each.name for each in self._policies.guardrails}
        effects = [
            Effect(
                guardrail=name,
                gone=name not in names,
                stops=one.stops,
                gives_way=one.gives_way,
                notes=one.notes,
                decides=one.decides,
                unrecorded=dict(sorted(one.unrecorded.items())),
                examples=tuple(one.examples),
            )
            for name, one in self._sums.items()
        ]
        return Replayed(
            policy_hash=self._policies.hash,
            decisions=self._decisions,
            first=self._first,
            last=self._last,
            different=self._different,
            uncertain=self._uncertain,
            other_reasons=self._other_reasons,
            ways=dict(sorted(self._ways.items())),
            guardrails=tuple(sorted(effects, key=lambda one: (-one.decides, one.guardrail))),
            unreadable=self._unreadable,
            unjudged=tuple(sorted(self._policies.guarded_kinds - self._kinds)) if self._decisions else (),
        )
