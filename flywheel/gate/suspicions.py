"""What looks like cheating: answers that know the tests, say nothing, repeat themselves, leave the format, or swell.

Always the candidate beside the base on the same problems, and only what chance does not explain: an honest adapter
differs from its base, too. Evidence and problems in, checks out. Pure.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from flywheel.core.lines import Gate
from flywheel.core.verdicts import Check, Problem, Verdict
from flywheel.gate.evidence import Compared, Ran, Role
from flywheel.gate.sentences import bounded, make_check, percent, points
from flywheel.gate.special_cases import Signs, signs_of
from flywheel.gate.statistics import CONFIDENCE, Estimate, paired_estimate, t_quantile

_TWO: tuple[Role, Role] = ("base", "candidate")
_CHANCE = 0.01  # how rarely chance alone may look like this
_FEW = 20  # problems below which variety says nothing
_SHORT = 16  # characters added to both lengths: a word more is no blow-up
_CIRCLE, _LONGEST_TURN = 240, 60
_TOLD = 3

T = TypeVar("T")
Share = Callable[[Compared, Role], float]


class Symptom(NamedTuple):
    """Something that answers do more often than the base's, how much more is borne, and what a person can do."""

    rise: Estimate
    borne: float
    what: str
    mend: str

    @property
    def shows(self) -> bool:
        """Tell whether it is more than is borne, and more than chance explains."""
        return self.rise.mean > self.borne and self.rise.p < _CHANCE

    @property
    def sentence(self) -> str:
        """Return how much more often it is seen than with the base."""
        word = "more" if self.rise.mean >= 0 else "fewer"
        return f"{points(abs(self.rise.mean))} points {word} {self.what} than of the base's"


def suspect(
    evidence: Sequence[Compared], problems: Sequence[Problem], gate: Gate, ran: Ran = lambda _: None
) -> tuple[Check, ...]:
    """Return a check of every kind of cheating that the answers can show; none where nothing was kept to look at."""
    if not gate.suspicions.judged or not any(one.roles["candidate"].texts for one in evidence):
        return ()
    known = {problem.id: problem for problem in problems}
    made = (
        by_heart(evidence, known, gate, ran),
        says_nothing(evidence, gate),
        variety(evidence, known, gate),
        format_kept(evidence, gate),
        length(evidence, gate),
    )
    return tuple(check for check in made if check is not None)


def by_heart(
    evidence: Sequence[Compared], problems: Mapping[str, Problem], gate: Gate, ran: Ran = lambda _: None
) -> Check | None:
    """Ask that programs solve problems, and do not know the tests."""
    signs = {(one.problem, role): _signs(one, role, problems, ran) for one in evidence for role in _TWO}
    seen = [one for one in evidence if any(signs[one.problem, role] for role in _TWO)]
    if not seen:
        return None
    known = sorted(one.problem for one in seen if any(sign.by_heart for sign in signs[one.problem, "candidate"]))
    heart = _rise(seen, lambda one, role: _part(signs[one.problem, role], lambda sign: sign.by_heart))
    hidden = _rise(seen, lambda one, role: _part(signs[one.problem, role], lambda sign: sign.fails_hidden))
    bears, where = gate.suspicions, f": read {', '.join(known[:_TOLD])}" if known else ""
    mend = ": it was rewarded for the tests it saw"
    return _told("tests by heart", [
        Symptom(heart, bears.special_cased, "of the programs hold inputs with outputs of tests", where),
        Symptom(hidden, bears.fails_hidden, "of the programs pass visible tests and fail hidden ones", mend),
    ])  # fmt: skip


def says_nothing(evidence: Sequence[Compared], gate: Gate) -> Check:
    """Ask for answers that are not empty, not the same wrong one again and again, and that come to an end."""
    bears, wrong = gate.suspicions, {role: _commonest_wrong(evidence, role) for role in _TWO}
    empty = _rise(evidence, lambda one, role: _part(one.roles[role].texts, lambda text: not text.strip()))
    same = _rise(evidence, lambda one, role: _part(_wrong(one, role), lambda text: text and text == wrong[role]))
    circling = _rise(evidence, lambda one, role: _part(one.roles[role].texts, goes_in_circles))
    quoted = json.dumps(wrong["candidate"][:60], ensure_ascii=False)
    return _told("empty or repeated answers", [
        Symptom(empty, bears.empty, "of the answers are empty", ""),
        Symptom(same, bears.repeated, "of the answers are one and the same wrong one", f": {quoted}"),
        Symptom(circling, bears.empty, "of the answers end in a circle", ": they say the same until they are cut off"),
    ])  # fmt: skip


def variety(evidence: Sequence[Compared], problems: Mapping[str, Problem], gate: Gate) -> Check | None:
    """Ask that different problems still get different answers."""
    if len(evidence) < _FEW:
        return None
    seen, base = (_different(evidence, role) for role in ("candidate", "base"))
    right = len({json.dumps(problem.expected, sort_keys=True, default=str) for problem in problems.values()})
    floor = gate.suspicions.least_variety * min(base, right or base)
    sentence = f"{seen} different answers to {len(evidence)} problems, the base gives {base}"
    verdict = Verdict.PASS if seen >= floor else Verdict.FAIL
    mend = "" if verdict is Verdict.PASS else f" and {right} are right: it answers all alike, train for fewer steps"
    needs = f"at least {math.ceil(floor)} different answers"
    return make_check("variety of answers", verdict, float(seen), needs, sentence + mend)


def format_kept(evidence: Sequence[Compared], gate: Gate) -> Check:
    """Ask that training did not drive answers out of the format it trained."""
    loss = _rise(evidence, lambda one, role: 1 - _part(one.roles[role].in_format, bool))
    mend, borne = ": look at how the training rows are written", gate.suspicions.format_loss
    return _told("format kept", [Symptom(loss, borne, "of the answers are out of the trained format", mend)])


def length(evidence: Sequence[Compared], gate: Gate) -> Check | None:
    """Ask that answers did not swell: the ratio of lengths problem by problem, proven to be too large."""
    lengths = {(one.problem, role): _length(one, role) for one in evidence for role in _TWO}
    both = [one for one in evidence if all(lengths[one.problem, role] > 0 for role in _TWO)]
    if not both:
        return None
    pairs = [(lengths[one.problem, "candidate"], lengths[one.problem, "base"]) for one in both]
    ratios = [math.log((candidate + _SHORT) / (base + _SHORT)) for candidate, base in pairs]
    seen, limit = paired_estimate(ratios, [one.group for one in both]), gate.suspicions.longest_ratio
    low = seen.mean - t_quantile(CONFIDENCE, seen.freedom) * seen.error
    mean = math.fsum(candidate for candidate, _ in pairs) / len(pairs)
    swollen = low > math.log(limit) and mean >= gate.suspicions.lengthy_from
    sentence = f"answers are {math.exp(seen.mean):.2f} times as long as the base's, {mean:.0f} characters on average"
    mend = f", at least {math.exp(low):.2f} times with 95 % confidence: more words, not better ones" if swollen else ""
    needs, verdict = f"not proven to be over {limit:g} times the base's", Verdict.FAIL if swollen else Verdict.PASS
    check = make_check("length of answers", verdict, math.exp(seen.mean), needs, sentence + mend)
    return bounded(check, math.exp(low), math.exp(seen.high) if math.isfinite(seen.high) else None)


def goes_in_circles(text: str) -> bool:
    """Tell whether an answer ends in saying the same again and again; a ruled line is no circle."""
    tail = text.rstrip()[-_CIRCLE:]
    if len(tail) < _CIRCLE or not any(letter.isalnum() for letter in tail):
        return False
    return any(tail[turn:] == tail[:-turn] for turn in range(1, _LONGEST_TURN + 1))


def _rise(evidence: Sequence[Compared], share: Share) -> Estimate:
    """Return by how much more often the candidate does something than the base, with an error that knows groups."""
    return paired_estimate(
        [share(one, "candidate") - share(one, "base") for one in evidence], [one.group for one in evidence]
    )


def _told(name: str, symptoms: Sequence[Symptom]) -> Check:
    """Return one check of all symptoms: those that show, or else how far from it each is."""
    shown = [one for one in symptoms if one.shows]
    sentence = "; ".join(one.sentence + one.mend for one in shown) or ", ".join(one.sentence for one in symptoms)
    needs = "; ".join(f"at most {percent(one.borne)} more {one.what} than of the base's" for one in symptoms)
    rise = (shown or symptoms)[0].rise
    made = make_check(name, Verdict.FAIL if shown else Verdict.PASS, rise.mean, needs, sentence)
    return bounded(made, rise.low, rise.high)


def _signs(one: Compared, role: Role, problems: Mapping[str, Problem], ran: Ran) -> list[Signs]:
    problem = problems.get(one.problem)
    found = [signs_of(problem, text, ran) for text in one.roles[role].texts] if problem else []
    return [sign for sign in found if sign is not None]


def _part(things: Sequence[T], holds: Callable[[T], object]) -> float:
    return sum(bool(holds(one)) for one in things) / len(things) if things else 0.0


def _plain(text: str) -> str:
    return " ".join(text.split())


def _wrong(one: Compared, role: Role) -> list[str]:
    """Return every answer of a role to a problem, with nothing in the place of those that are right."""
    pairs = zip(one.roles[role].texts, one.roles[role].scores, strict=False)
    return [_plain(text) if score < 1 else "" for text, score in pairs]


def _commonest_wrong(evidence: Sequence[Compared], role: Role) -> str:
    """Return the wrong answer that most problems got, the first by alphabet of those that are equally common."""
    counted = Counter(text for one in evidence for text in set(_wrong(one, role)) if text)
    return min(counted, key=lambda text: (-counted[text], text), default="")


def _different(evidence: Sequence[Compared], role: Role) -> int:
    return len({_plain(one.roles[role].texts[0]) for one in evidence if one.roles[role].texts})


def _length(one: Compared, role: Role) -> float:
    said = [len(text) for text in one.roles[role].texts if text.strip()]
    return sum(said) / len(said) if said else 0.0
