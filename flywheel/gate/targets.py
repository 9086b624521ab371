"""What a gate asks for by name: a score over all, the score of a category, what must be kept of the base. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from flywheel.core.lines import Gate
from flywheel.core.verdicts import Check, Verdict
from flywheel.gate.evidence import Compared, Role
from flywheel.gate.sentences import asked, bounded, make_check, percent, reaches, signed
from flywheel.gate.statistics import CONFIDENCE, Estimate, clopper_pearson, paired_estimate

_FEWEST = 10  # problems of a category below which its score says nothing
_EACH = "*"
_KIND = "kind:"


@dataclass(frozen=True)
class _Floor:
    """One named floor, what was seen of it, and what follows."""

    verdict: Verdict
    sentence: str
    room: float


def score(evidence: Sequence[Compared], gate: Gate) -> Check | None:
    """Ask for a score over all problems, whatever the base does, where the gate names one."""
    if gate.minimum_score is None and gate.red_flag is None:
        return None
    seen = standing(evidence, "candidate")
    floor = max(gate.minimum_score or 0.0, gate.red_flag or 0.0)
    low, high = max(0.0, seen.low), min(1.0, seen.high)
    wanted = asked(percent(floor), strictly=gate.strictly)
    sentence = f"{percent(seen.mean)} right (95 %: {percent(low)} to {percent(high)}), {percent(floor)} asked for"
    verdict = Verdict.PASS if reaches(seen.mean, floor, strictly=gate.strictly) else Verdict.FAIL
    if gate.red_flag is not None and not reaches(seen.mean, gate.red_flag):
        sentence += f"; below {percent(gate.red_flag)} look at the data and the format, not at the amount of training"
    return bounded(make_check("score", verdict, seen.mean, wanted, sentence), low, high)


def targets(evidence: Sequence[Compared], gate: Gate) -> Check | None:
    """Ask for the least score of every category that the gate names."""
    if not gate.targets:
        return None
    floors = [_target(name, members, floor) for name, members, floor in _named(evidence, gate, gate.targets)]
    needs = ", ".join(f"{name} {percent(floor)}" for name, floor in gate.targets.items())
    return _together("targets", floors, needs, "every target was reached")


def kept(evidence: Sequence[Compared], gate: Gate) -> Check | None:
    """Ask that no category the gate names is proven to fall below its part of the base's score.

    What is asked is shared by all of them: however many are named, the chance of a false alarm stays at 5 %.
    """
    if not gate.of_base:
        return None
    named = list(_named(evidence, gate, gate.of_base))
    floors = [_kept(name, members, share, (1 - CONFIDENCE) / len(named)) for name, members, share in named]
    needs = ", ".join(f"{name} {percent(share)} of the base" for name, share in gate.of_base.items())
    return _together("kept", floors, needs, "nothing was proven to fall below the base")


def standing(evidence: Sequence[Compared], role: Role) -> Estimate:
    """Return a role's score with an error that knows about groups."""
    return paired_estimate([one.roles[role].score for one in evidence], [one.group for one in evidence])


def belongs(one: Compared, patterns: Iterable[str]) -> bool:
    """Tell whether a problem is meant by patterns: by one of them, and by none that leaves out."""
    patterns = tuple(patterns)
    left_out = any(_meant(one, pattern[1:]) for pattern in patterns if pattern.startswith("!"))
    return not left_out and any(_meant(one, pattern) for pattern in patterns if not pattern.startswith("!"))


def _meant(one: Compared, pattern: str) -> bool:
    if pattern.startswith(_KIND):
        return fnmatchcase(one.kind, pattern.removeprefix(_KIND))
    return fnmatchcase(one.category, pattern)


def _named(
    evidence: Sequence[Compared], gate: Gate, floors: Mapping[str, float]
) -> Iterable[tuple[str, list[Compared], float]]:
    """Return every name with its problems and its floor; `*` is every category that is not named itself."""
    for name, floor in floors.items():
        if name != _EACH or name in gate.categories:
            patterns = gate.categories.get(name)
            yield name, [one for one in evidence if _is(one, name, patterns)], floor
            continue
        for category in sorted({one.category for one in evidence} - floors.keys()):
            yield category, [one for one in evidence if one.category == category], floor


def _is(one: Compared, name: str, patterns: Sequence[str] | None) -> bool:
    return one.category == name if patterns is None else belongs(one, patterns)


def _target(name: str, members: Sequence[Compared], floor: float) -> _Floor:
    if len(members) < _FEWEST:
        return _too_few(name, members)
    seen = standing(members, "candidate")
    low, high = _within(seen, len(members))
    sentence = (
        f"{name} {percent(seen.mean)} right on {len(members)} problems (95 %: {percent(low)} to {percent(high)}), "
        f"{percent(floor)} asked for"
    )
    if reaches(seen.mean, floor):
        return _Floor(Verdict.PASS, sentence, seen.mean - floor)
    verdict = Verdict.FAIL if high < floor else Verdict.INSUFFICIENT
    mend = "" if verdict is Verdict.FAIL else "; it may be chance: train on more of it, or measure more problems of it"
    return _Floor(verdict, sentence + mend, seen.mean - floor)


def _within(seen: Estimate, problems: int) -> tuple[float, float]:
    """Return the interval of a score: by groups where there are two, else as exact shares of its problems."""
    if math.isfinite(seen.error) and seen.error > 0:
        return max(0.0, seen.low), min(1.0, seen.high)
    return clopper_pearson(seen.mean * problems, problems, (1 - CONFIDENCE) / 2)


def _kept(name: str, members: Sequence[Compared], share: float, alpha: float) -> _Floor:
    if len(members) < _FEWEST:
        return _too_few(name, members)
    lost = [share * one.roles["base"].score - one.roles["candidate"].score for one in members]
    seen = paired_estimate(lost, [one.group for one in members])
    base, candidate = standing(members, "base").mean, standing(members, "candidate").mean
    sentence = (
        f"{name} {percent(candidate)} right, the base {percent(base)} on {len(members)} problems "
        f"({signed(-seen.mean)} points, 95 %: {signed(-seen.high)} to {signed(-seen.low)})"
    )
    if seen.p < alpha:
        return _Floor(Verdict.FAIL, f"{sentence}: below {percent(share)} of the base, p = {seen.p:.2g}", -seen.mean)
    return _Floor(Verdict.PASS, sentence, -seen.mean)


def _too_few(name: str, members: Sequence[Compared]) -> _Floor:
    lacking = _FEWEST - len(members)
    sentence = f"{name} has {len(members)} problems in the suite, {lacking} more are needed to say anything about it"
    return _Floor(Verdict.INSUFFICIENT, sentence, -math.inf)


def _together(name: str, floors: Sequence[_Floor], needs: str, good: str) -> Check:
    """Return one check of all floors: the worst verdict, and every sentence that has it."""
    if not floors:
        return make_check(name, Verdict.INSUFFICIENT, None, needs, "0 categories were measured")
    for verdict in (Verdict.FAIL, Verdict.INSUFFICIENT):
        told = [floor for floor in floors if floor.verdict is verdict]
        if told:
            return make_check(name, verdict, _least(told), needs, "; ".join(floor.sentence for floor in told))
    least = min(floors, key=lambda floor: floor.room)
    return make_check(name, Verdict.PASS, least.room, needs, f"{good}; closest is {least.sentence}")


def _least(floors: Sequence[_Floor]) -> float:
    return min(floor.room for floor in floors)
