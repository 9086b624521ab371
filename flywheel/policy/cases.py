"""The test file beside a guardrail: facts, and what it must say to them. Pure."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from flywheel.core.facts import Facts, Value, check_facts
from flywheel.core.frozen import Frozen
from flywheel.policy.guardrails import Guardrail, IntentKind
from flywheel.policy.judging import weigh
from flywheel.policy.predicates import FactName, Scalar, check_value
from flywheel.policy.rules import Why

Answer = Literal["allow", "hold", "refuse", "not applicable"]

_ALLOW: Answer = "allow"
_NOT_APPLICABLE: Answer = "not applicable"


def _flat(table: Any, above: str = "") -> Any:
    """Join the words of nested tables, so that `parent.exists = true` is the fact of that name."""
    if not isinstance(table, Mapping):
        return table
    flat: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{above}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


class Case(Frozen):
    """One situation and the answer to it. A fact that is left out is unknown."""

    name: Why = Field(description="what the case shows")
    facts: Annotated[dict[FactName, Scalar], BeforeValidator(_flat)] = Field(
        default_factory=dict, description="the facts; those left out are unknown"
    )
    intent: IntentKind | None = Field(default=None, description="the intent, when not the first one guarded")
    expect: Answer = Field(description="what the guardrail must say")
    says: str = Field(default="", description="words that its sentence must hold")

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        for name, value in self.facts.items():
            check_value(name, value)
        return self


class Cases(Frozen):
    """A whole test file."""

    cases: tuple[Case, ...] = Field(min_length=1, description="the situations, each with its answer")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [case.name for case in self.cases]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two cases are called '{twice}'")
        return self


class CaseResult(Frozen):
    """What a guardrail said to a case beside what it should have said."""

    guardrail: str
    case: str
    expected: Answer
    got: Answer
    said: str = ""
    passed: bool

    @property
    def sentence(self) -> str:
        """Return the result in words."""
        if self.passed:
            return f"{self.guardrail}: {self.case}: {self.got}"
        said = f" ({self.said})" if self.said else ""
        return f"{self.guardrail}: {self.case}: expected {self.expected}, got {self.got}{said}"

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence


def run_case(guardrail: Guardrail, case: Case) -> CaseResult:
    """Ask one guardrail about one case; whether it enforces or observes makes no difference here."""
    got, said = _answer(guardrail, case.intent or guardrail.guards[0], case.facts)
    return CaseResult(
        guardrail=guardrail.name,
        case=case.name,
        expected=case.expect,
        got=got,
        said=said,
        passed=got == case.expect and case.says in said,
    )


def _answer(guardrail: Guardrail, intent: str, facts: Mapping[str, Value]) -> tuple[Answer, str]:
    seen: Facts = {name: facts.get(name) for name in guardrail.reads}
    check_facts(seen)
    reason = weigh(guardrail, seen) if intent in guardrail.guards else None
    if reason is None:
        return _NOT_APPLICABLE, ""
    return reason.judgement.value, reason.sentence


def gaps(guardrail: Guardrail, cases: tuple[Case, ...]) -> tuple[str, ...]:
    """Return which kinds of case a test file lacks: each guardrail shows all four."""
    shown = {case.expect for case in cases}
    lacks_unknown = all(set(guardrail.reads) <= case.facts.keys() for case in cases if _guarded(guardrail, case))
    wanted: tuple[Answer, ...] = (_ALLOW, guardrail.verdict, _NOT_APPLICABLE)
    return (*(answer for answer in wanted if answer not in shown), *(("unknown",) if lacks_unknown else ()))


def _guarded(guardrail: Guardrail, case: Case) -> bool:
    return case.intent is None or case.intent in guardrail.guards
