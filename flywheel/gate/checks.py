"""The rules of a gate, one function each: evidence in, a check with its number and a sentence out. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from flywheel.core.lines import Gate
from flywheel.core.verdicts import Check, Verdict
from flywheel.gate.evidence import Compared, Role
from flywheel.gate.sentences import (
    asked,
    bounded,
    interval,
    make_check,
    more_problems,
    moved,
    percent,
    points,
    reaches,
    signed,
)
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
    return make_check("enough evidence", _insufficient(missing), seen.problems, needs, sentence)


def errors(seen: Findings, gate: Gate) -> Check:
    """Ask that the rate of answers that cannot be used is proven small, not merely looks small."""
    limit, rate = gate.largest_error_rate, seen.faults / seen.problems if seen.problems else 1.0
    sentence = (
        f"{percent(rate)} of the answers could not be used, below {percent(seen.fault_bound)} "
        f"with 95 % confidence (allowed {percent(limit)})"
    )
    verdict = Verdict.PASS
    if seen.fault_bound > limit:
        verdict = Verdict.FAIL if rate > limit else Verdict.INSUFFICIENT
    if verdict is Verdict.INSUFFICIENT:
        sentence += more_problems(_problems_for_rate(rate, limit, seen.problems))
    check = make_check("error rate", verdict, seen.fault_bound, f"below {percent(limit)}", sentence)
    return bounded(check, 0.0, seen.fault_bound)


def gain(seen: Findings, gate: Gate, alpha: float) -> Check:
    """Ask for the gain that the gate names, and that chance does not explain it."""
    estimate, floor = seen.gain, asked(points(gate.minimum_gain), strictly=gate.strictly)
    sentence = f"{moved(estimate.mean)} points{interval(estimate)}, p = {estimate.p:.2g} (may be {alpha:.3g})"
    verdict = Verdict.PASS
    if not reaches(estimate.mean, gate.minimum_gain, strictly=gate.strictly) or estimate.mean <= 0:
        verdict = Verdict.FAIL
        sentence += f"; {floor} points are asked for"
    elif estimate.p >= alpha:
        verdict = Verdict.INSUFFICIENT
        sentence += more_problems(problems_needed(estimate, seen.problems, alpha, estimate.mean))
    elif estimate.low > gate.minimum_gain:
        sentence += f"; proven better by more than {points(gate.minimum_gain)} points"
    check = make_check("points gained", verdict, estimate.mean, f"{floor} points, p below {alpha:.3g}", sentence)
    return bounded(check, estimate.low, estimate.high)


def categories(seen: Findings, gate: Gate) -> Check:
    """Ask that no category pays for the gain of the others."""
    limit, needs = (
        gate.largest_category_loss,
        f"no category loses more than {points(gate.largest_category_loss)} points",
    )
    if not seen.categories:
        return make_check("categories", Verdict.INSUFFICIENT, None, needs, "0 categories were measured")
    fallen = {name: one for name, one in seen.categories.items() if one.shrunk < -limit}
    name, worst = min(seen.categories.items(), key=lambda item: item[1].shrunk)
    if fallen:
        told = ", ".join(f"{name} {moved(one.mean)} points on {one.problems} problems" for name, one in fallen.items())
        sentence = (
            f"{told} ({points(limit)} lost points are tolerated; the worst is estimated at {signed(worst.shrunk)})"
        )
        return make_check("categories", Verdict.FAIL, worst.shrunk, needs, sentence)
    sentence = f"none of {len(seen.categories)} fell; the least, {name}, is estimated at {signed(worst.shrunk)} points"
    return make_check("categories", Verdict.PASS, worst.shrunk, needs, sentence)


def active(seen: Findings, gate: Gate) -> Check | None:
    """Ask that what replaces an adapter is not clearly worse than it."""
    estimate = seen.against_active
    if estimate is None:
        return None
    limit = gate.largest_loss_to_active
    verdict = Verdict.PASS if estimate.mean >= -limit else Verdict.FAIL
    sentence = f"{moved(estimate.mean)} points against the active adapter{interval(estimate)}"
    needs = f"loses at most {points(limit)} points"
    check = make_check("against the active adapter", verdict, estimate.mean, needs, f"{sentence}; {needs}")
    return bounded(check, estimate.low, estimate.high)


def latency(seen: Findings, gate: Gate) -> Check | None:
    """Ask that the agent does not wait noticeably longer."""
    if not gate.judge_latency:
        return None
    limit, needs = gate.largest_latency_increase, f"slower by less than {percent(gate.largest_latency_increase)}"
    if seen.slower is None or seen.slower_bound is None or not math.isfinite(seen.slower_bound):
        sentence = f"{seen.problems} problems gave no times to compare (fewer than 2 were answered by both)"
        return make_check("latency", Verdict.INSUFFICIENT, None, needs, sentence)
    sentence = f"{percent(seen.slower)} slower than the base, below {percent(seen.slower_bound)} with 95 % confidence"
    verdict = Verdict.PASS
    if seen.slower_bound >= limit:
        verdict = Verdict.FAIL if seen.slower >= limit else Verdict.INSUFFICIENT
    if verdict is Verdict.INSUFFICIENT:
        sentence += more_problems(_problems_for_latency(seen, limit))
    return make_check("latency", verdict, seen.slower_bound, needs, f"{sentence} (allowed {percent(limit)})")


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
