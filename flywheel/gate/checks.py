"""The rules of a gate, one function each: evidence in, a check with its number and a sentence out. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from flywheel.core.lines import Gate
from flywheel.core.verdicts import Check, Verdict
from flywheel.gate.evidence import Compared, Role
from flywheel.gate.statistics import (
    CONFIDENCE,
    Estimate,
    Shrunk,
    clopper_pearson,
    latency_estimate,
    paired_estimate,
    problems_needed,
    shrink,
)

_ENOUGH_TO_SEARCH = 1_000_000


@dataclass(frozen=True)
class Findings:
    """Everything the rules look at, worked out once."""

    problems: int
    groups: int
    base: float
    candidate: float
    active: float | None
    gain: Estimate
    against_active: Estimate | None
    categories: dict[str, Shrunk]
    faults: float
    fault_bound: float
    slower: float | None
    slower_bound: float | None


def find(evidence: Sequence[Compared]) -> Findings:
    """Work out every number that the checks and the report need."""
    faults = math.fsum(one.roles["candidate"].fault_share for one in evidence)
    ratios = [ratio for one in evidence if (ratio := one.log_ratio()) is not None]
    slower = latency_estimate(ratios) if ratios else (None, None)
    with_active = [one for one in evidence if "active" in one.roles]
    return Findings(
        problems=len(evidence),
        groups=len({one.group for one in evidence}),
        base=_mean(evidence, "base"),
        candidate=_mean(evidence, "candidate"),
        active=_mean(with_active, "active") if with_active else None,
        gain=_estimate(evidence, "base"),
        against_active=_estimate(with_active, "active") if with_active else None,
        categories=shrink(_by_category(evidence)),
        faults=faults,
        fault_bound=clopper_pearson(faults, len(evidence), 1 - CONFIDENCE)[1],
        slower=slower[0],
        slower_bound=slower[1],
    )


def enough(seen: Findings, gate: Gate) -> Check:
    """Ask for problems and groups: fewer than the gate names decide nothing."""
    missing = [
        f"{lacking} more {noun}"
        for lacking, noun in (
            (gate.minimum_problems - seen.problems, "problems"),
            (gate.minimum_groups - seen.groups, "groups (repos or tasks)"),
        )
        if lacking > 0
    ]
    have = f"{seen.problems} problems from {seen.groups} groups"
    sentence = f"{have}: {' and '.join(missing)} are needed before anything can be decided" if missing else have
    needs = f"{gate.minimum_problems} problems from {gate.minimum_groups} groups"
    return _check("enough evidence", _insufficient(missing), seen.problems, needs, sentence)


def errors(seen: Findings, gate: Gate) -> Check:
    """Ask that the rate of answers that cannot be used is proven small, not merely looks small."""
    limit, rate = gate.largest_error_rate, seen.faults / seen.problems if seen.problems else 1.0
    sentence = (
        f"{_percent(rate)} of the answers could not be used, below {_percent(seen.fault_bound)} "
        f"with 95 % confidence (allowed {_percent(limit)})"
    )
    verdict = Verdict.PASS
    if seen.fault_bound > limit:
        verdict = Verdict.FAIL if rate > limit else Verdict.INSUFFICIENT
    if verdict is Verdict.INSUFFICIENT:
        sentence += _more(_problems_for_rate(rate, limit, seen.problems))
    return _check("error rate", verdict, seen.fault_bound, f"below {_percent(limit)}", sentence)


def gain(seen: Findings, gate: Gate, alpha: float) -> Check:
    """Ask for the gain that the gate names, and that chance does not explain it."""
    estimate, needs = seen.gain, f"{_points(gate.minimum_gain)} points gained, p below {alpha:.3g}"
    sentence = f"{_moved(estimate.mean)} points{_interval(estimate)}, p = {estimate.p:.2g} (may be {alpha:.3g})"
    if estimate.mean < gate.minimum_gain or estimate.mean <= 0:
        sentence += f"; at least {_points(gate.minimum_gain)} points are asked for"
        return _check("points gained", Verdict.FAIL, estimate.mean, needs, sentence)
    if estimate.p >= alpha:
        more = problems_needed(estimate, seen.problems, alpha, estimate.mean)
        return _check("points gained", Verdict.INSUFFICIENT, estimate.mean, needs, sentence + _more(more))
    if estimate.low > gate.minimum_gain:
        sentence += f"; proven better by more than {_points(gate.minimum_gain)} points"
    return _check("points gained", Verdict.PASS, estimate.mean, needs, sentence)


def score(seen: Findings, gate: Gate) -> Check | None:
    """Ask for a score, whatever the base does, where the gate names one."""
    if gate.minimum_score is None:
        return None
    verdict = Verdict.PASS if seen.candidate >= gate.minimum_score else Verdict.FAIL
    sentence = f"{_percent(seen.candidate)} right, {_percent(gate.minimum_score)} asked for"
    return _check("score", verdict, seen.candidate, f"at least {_percent(gate.minimum_score)}", sentence)


def categories(seen: Findings, gate: Gate) -> Check:
    """Ask that no category pays for the gain of the others."""
    limit, needs = (
        gate.largest_category_loss,
        f"no category loses more than {_points(gate.largest_category_loss)} points",
    )
    if not seen.categories:
        return _check("categories", Verdict.INSUFFICIENT, None, needs, "0 categories were measured")
    fallen = {name: one for name, one in seen.categories.items() if one.shrunk < -limit}
    name, worst = min(seen.categories.items(), key=lambda item: item[1].shrunk)
    if fallen:
        told = ", ".join(f"{name} {_moved(one.mean)} points on {one.problems} problems" for name, one in fallen.items())
        sentence = (
            f"{told} ({_points(limit)} lost points are tolerated; the worst is estimated at {_signed(worst.shrunk)})"
        )
        return _check("categories", Verdict.FAIL, worst.shrunk, needs, sentence)
    sentence = f"none of {len(seen.categories)} fell; the least, {name}, is estimated at {_signed(worst.shrunk)} points"
    return _check("categories", Verdict.PASS, worst.shrunk, needs, sentence)


def active(seen: Findings, gate: Gate) -> Check | None:
    """Ask that what replaces an adapter is not clearly worse than it."""
    estimate = seen.against_active
    if estimate is None:
        return None
    limit = gate.largest_loss_to_active
    verdict = Verdict.PASS if estimate.mean >= -limit else Verdict.FAIL
    sentence = f"{_moved(estimate.mean)} points against the active adapter{_interval(estimate)}"
    needs = f"loses at most {_points(limit)} points"
    return _check("against the active adapter", verdict, estimate.mean, needs, f"{sentence}; {needs}")


def latency(seen: Findings, gate: Gate) -> Check | None:
    """Ask that the agent does not wait noticeably longer."""
    if not gate.judge_latency:
        return None
    limit, needs = gate.largest_latency_increase, f"slower by less than {_percent(gate.largest_latency_increase)}"
    if seen.slower is None or seen.slower_bound is None or not math.isfinite(seen.slower_bound):
        sentence = f"{seen.problems} problems gave no times to compare (fewer than 2 were answered by both)"
        return _check("latency", Verdict.INSUFFICIENT, None, needs, sentence)
    sentence = f"{_percent(seen.slower)} slower than the base, below {_percent(seen.slower_bound)} with 95 % confidence"
    verdict = Verdict.PASS
    if seen.slower_bound >= limit:
        verdict = Verdict.FAIL if seen.slower >= limit else Verdict.INSUFFICIENT
    if verdict is Verdict.INSUFFICIENT:
        sentence += _more(_problems_for_latency(seen, limit))
    return _check("latency", verdict, seen.slower_bound, needs, f"{sentence} (allowed {_percent(limit)})")


def _check(name: str, verdict: Verdict, seen: float | None, needs: str, sentence: str) -> Check:
    finite = seen if seen is not None and math.isfinite(seen) else None
    return Check(name=name, verdict=verdict, seen=finite, needs=needs, sentence=sentence)


def _insufficient(missing: Sequence[str]) -> Verdict:
    return Verdict.INSUFFICIENT if missing else Verdict.PASS


def _estimate(evidence: Sequence[Compared], role: Role) -> Estimate:
    return paired_estimate([one.difference(role) for one in evidence], [one.group for one in evidence])


def _mean(evidence: Sequence[Compared], role: Role) -> float:
    return math.fsum(one.roles[role].score for one in evidence) / len(evidence) if evidence else 0.0


def _by_category(evidence: Sequence[Compared]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for one in sorted(evidence, key=lambda one: one.category):
        found.setdefault(one.category, []).append(one.difference("base"))
    return found


def _problems_for_rate(rate: float, limit: float, have: int) -> int | None:
    """Return how many more problems would prove a rate like this one to be below the limit."""
    low, high = have, have
    while clopper_pearson(rate * high, high, 1 - CONFIDENCE)[1] > limit:
        low, high = high, high * 2
        if high > _ENOUGH_TO_SEARCH:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        proven = clopper_pearson(rate * middle, middle, 1 - CONFIDENCE)[1] <= limit
        low, high = (low, middle) if proven else (middle, high)
    return high - have


def _problems_for_latency(seen: Findings, limit: float) -> int | None:
    """Return how many more problems would narrow the bound down to the limit: it narrows with their root."""
    slower, bound = math.log1p(seen.slower or 0.0), math.log1p(seen.slower_bound or 0.0)
    room = math.log1p(limit) - slower
    return math.ceil(seen.problems * ((bound - slower) / room) ** 2) - seen.problems if room > 0 else None


def _more(problems: int | None) -> str:
    return (
        f"; about {problems} more problems would decide this"
        if problems
        else "; more problems would not decide this soon"
    )


def _interval(estimate: Estimate) -> str:
    if not math.isfinite(estimate.error):
        return f" ({estimate.groups} group gives no interval)"
    return f" (95 %: {_signed(estimate.low)} to {_signed(estimate.high)})"


def _moved(value: float) -> str:
    return f"{'gained' if value >= 0 else 'lost'} {_points(abs(value))}"


def _points(value: float) -> str:
    return f"{100 * value:.1f}"


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
