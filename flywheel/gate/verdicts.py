"""The judgement: evidence and a gate in, a report out that states its evidence. Pure."""

import math
from collections.abc import Sequence

from pydantic import Field

from flywheel.core.frozen import Frozen
from flywheel.core.lines import Gate
from flywheel.core.verdicts import Check, Report, Verdict
from flywheel.gate import checks, targets
from flywheel.gate.bounds import group_bound
from flywheel.gate.checks import Findings
from flywheel.gate.evidence import Compared, Role
from flywheel.gate.statistics import CONFIDENCE


class Subject(Frozen):
    """Who is judged on what, and what chance of a false promotion that may cost."""

    adapter: str
    suite: str
    alpha: float
    models: dict[Role, str] = Field(default_factory=dict)


def judge(evidence: Sequence[Compared], gate: Gate, subject: Subject, suspected: Sequence[Check] = ()) -> Report:
    """Return pass, fail or insufficient evidence, with every check, its number and its sentence.

    `suspected` are the checks on what looks like cheating: they are made from the answers themselves.
    """
    seen = checks.find(evidence)
    made = (*_checks(seen, evidence, gate, subject.alpha), *suspected)
    verdict = overall(made)
    return Report(
        adapter=subject.adapter,
        suite=subject.suite,
        gate=gate.name,
        verdict=verdict,
        sentence=_sentence(verdict, made),
        checks=made,
        numbers=_numbers(seen, evidence, subject.alpha),
        categories=_categories(seen, evidence),
        alpha_spent=subject.alpha,
        sampling={**gate.sampling.model_dump(mode="json"), "models": subject.models},
    )


def without_numbers(gate: Gate, subject: Subject, reason: str) -> Report:
    """Return the report on an adapter that could not be measured: no evidence, and no alpha spent."""
    check = Check(
        name="measured", verdict=Verdict.INSUFFICIENT, seen=None, needs="a finished measurement", sentence=reason
    )
    return Report(
        adapter=subject.adapter, suite=subject.suite, gate=gate.name, verdict=Verdict.INSUFFICIENT,
        sentence=_sentence(Verdict.INSUFFICIENT, (check,)), checks=(check,), alpha_spent=0.0,
    )  # fmt: skip


def overall(made: Sequence[Check]) -> Verdict:
    """Too little evidence outweighs everything; then one failed check fails; then one open check leaves it open."""
    verdicts = [check.verdict for check in made]
    if made[0].verdict is Verdict.INSUFFICIENT:
        return Verdict.INSUFFICIENT
    for verdict in (Verdict.FAIL, Verdict.INSUFFICIENT):
        if verdict in verdicts:
            return verdict
    return Verdict.PASS


def _checks(seen: Findings, evidence: Sequence[Compared], gate: Gate, alpha: float) -> tuple[Check, ...]:
    made = (
        checks.enough(seen, gate),
        checks.gain(seen, gate, alpha),
        checks.errors(seen, gate),
        targets.score(evidence, gate),
        targets.targets(evidence, gate),
        checks.categories(seen, gate),
        targets.kept(evidence, gate),
        checks.active(seen, gate),
        checks.latency(seen, gate),
    )
    return tuple(check for check in made if check is not None)


def _sentence(verdict: Verdict, made: Sequence[Check]) -> str:
    if verdict is Verdict.PASS:
        return f"pass: {made[1].sentence}, on {made[0].sentence}"
    return f"{verdict.value}: " + "; ".join(f"{c.name}: {c.sentence}" for c in made if c.verdict is verdict)


def _numbers(seen: Findings, evidence: Sequence[Compared], alpha: float) -> dict[str, float | None]:
    against = seen.against_active
    numbers: dict[str, float | None] = {
        "problems": seen.problems, "groups": seen.groups, "samples": _samples(evidence), "alpha": alpha,
        "base.score": seen.base, "candidate.score": seen.candidate, "active.score": seen.active,
        "gain": seen.gain.mean, "gain.low": seen.gain.low, "gain.high": seen.gain.high, "gain.p": seen.gain.p,
        "gain.bound": _bound(evidence),
        "errors.rate": seen.faults / seen.problems if seen.problems else None, "errors.bound": seen.fault_bound,
        "latency.increase": seen.slower, "latency.bound": seen.slower_bound,
        "base.in_format": _in_format(evidence, "base"), "candidate.in_format": _in_format(evidence, "candidate"),
    }  # fmt: skip
    if against is not None:
        numbers |= {"active.gain": against.mean, "active.gain.low": against.low, "active.gain.high": against.high}
    return {name: _finite(value) for name, value in numbers.items()}


def _bound(evidence: Sequence[Compared]) -> float | None:
    """Return what the gain of a group lies above on average, whatever the differences look like."""
    if not evidence:
        return None
    return group_bound([one.difference("base") for one in evidence], [one.group for one in evidence], 1 - CONFIDENCE)


def _categories(seen: Findings, evidence: Sequence[Compared]) -> dict[str, dict[str, float | None]]:
    found = {}
    for name, one in seen.categories.items():
        within = [compared for compared in evidence if compared.category == name]
        found[name] = {
            "problems": float(one.problems), "difference": one.mean, "shrunk": one.shrunk,
            **{role: _score(within, role) for role in ("base", "candidate", "active")},
        }  # fmt: skip
    return found


def _score(evidence: Sequence[Compared], role: Role) -> float | None:
    scores = [one.roles[role].score for one in evidence if role in one.roles]
    return math.fsum(scores) / len(scores) if scores else None


def _in_format(evidence: Sequence[Compared], role: Role) -> float | None:
    seen = [one for compared in evidence for one in compared.roles[role].in_format]
    return sum(seen) / len(seen) if seen else None


def _samples(evidence: Sequence[Compared]) -> float:
    return float(max((len(one.roles["candidate"].scores) for one in evidence), default=0))


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
