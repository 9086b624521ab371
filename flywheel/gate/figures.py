"""What a report tells beside its checks: pass@k, times, formats and shares of every role. Pure; decides nothing."""

import statistics
from collections.abc import Sequence

from flywheel.gate.evidence import ROLES, Compared, Role, Samples
from flywheel.gate.metrics.passes import mean_pass_at_k
from flywheel.gate.metrics.scores import Score
from flywheel.gate.metrics.shares import by_format, error_rate, part_share

_PASSES = (1, 2, 5, 10, 100)

Figures = dict[str, float | None]


def figures(evidence: Sequence[Compared]) -> Figures:
    """Return the further numbers of every role that was measured; docs/gate.md lists their names."""
    found: Figures = {}
    for role in ROLES:
        samples = [one.roles[role] for one in evidence if role in one.roles]
        if samples:
            named = _passes(samples) | _errors(samples) | _times(samples) | _formats(samples) | _parts(evidence, role)
            found |= {f"{role}.{name}": value for name, value in named.items()}
    return found


def _passes(samples: Sequence[Samples]) -> Figures:
    counts = [(len(one.scores), sum(score >= 1 for score in one.scores)) for one in samples]
    fewest = min(drawn for drawn, _ in counts)
    asked = sorted({k for k in _PASSES if k < fewest} | {fewest})
    return {f"pass@{k}": mean_pass_at_k(counts, k) for k in asked}


def _errors(samples: Sequence[Samples]) -> Figures:
    return {"errors.rate": error_rate([score for one in samples for score in one.judged])}


def _times(samples: Sequence[Samples]) -> Figures:
    """Return medians over answers, where there are any."""
    taken = {
        "seconds": [value for one in samples for value in one.seconds],
        "first_token": [value for one in samples for value in one.first_tokens],
        "tokens_per_second": [value for one in samples for value in one.rates],
        "tokens": [float(value) for one in samples for value in one.tokens],
    }
    return {name: statistics.median(values) for name, values in taken.items() if values}


def _formats(samples: Sequence[Samples]) -> Figures:
    shares = by_format([score for one in samples for score in one.judged])
    found: Figures = {f"format.{name}": one.share for name, one in shares.items()}
    return found | {f"right.{name}": one.correct for name, one in shares.items()}


def _parts(evidence: Sequence[Compared], role: Role) -> Figures:
    """Return the mean of every part, over the problems whose kind has it."""
    held: dict[str, list[Score]] = {}
    for one in evidence:
        names = {name for samples in one.roles.values() for score in samples.judged for name in score.parts}
        for name in names if role in one.roles else ():
            held.setdefault(name, []).extend(one.roles[role].judged)
    return {name: part_share(scores, name) for name, scores in sorted(held.items())}
