"""What was measured: per problem and role the scores, faults and times of every sample."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from flywheel.core.frozen import Frozen
from flywheel.core.verdicts import Problem
from flywheel.gate.metrics.registry import METRICS
from flywheel.gate.metrics.scores import Score

Role = Literal["base", "candidate", "active"]
ROLES: tuple[Role, ...] = ("base", "candidate", "active")


class Answer(Frozen):
    """One answer as it was drawn: from whom, to what, how long it took, or why there is none."""

    problem: str
    role: Role
    sample: int
    text: str = ""
    native: tuple[dict[str, Any], ...] = ()
    finish: str = ""
    seconds: float = 0.0
    error: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """Return which question this answers."""
        return (self.problem, self.role, self.sample)


@dataclass(frozen=True)
class Samples:
    """What one role did with one problem, over all samples."""

    scores: tuple[float, ...]
    unusable: tuple[bool, ...] = ()
    seconds: tuple[float, ...] = ()
    in_format: tuple[bool, ...] = ()
    first: str = ""
    detail: str = ""

    @property
    def score(self) -> float:
        """Return the mean score."""
        return math.fsum(self.scores) / len(self.scores)

    @property
    def fault_share(self) -> float:
        """Return which part of the samples could not be used."""
        return sum(self.unusable) / len(self.unusable) if self.unusable else 0.0


@dataclass(frozen=True)
class Compared:
    """One problem with what every role did with it."""

    problem: str
    category: str
    group: str
    roles: Mapping[Role, Samples] = field(default_factory=dict)

    def difference(self, role: Role) -> float:
        """Return the candidate's score less another's."""
        return self.roles["candidate"].score - self.roles[role].score

    def log_ratio(self) -> float | None:
        """Return how much longer the candidate took than the base, as a logarithm; None without times."""
        candidate, base = (self.roles[role].seconds for role in ("candidate", "base"))
        return _mean_log(candidate) - _mean_log(base) if candidate and base else None


def compare(problems: Iterable[Problem], answers: Iterable[Answer], usual: str = "") -> list[Compared]:
    """Score every answer and put the roles of each problem side by side; unanswered problems are left out.

    `usual` is the format that was trained: how many answers keep to it is counted.
    """
    drawn: dict[tuple[str, Role], list[Answer]] = {}
    for answer in sorted(answers, key=lambda answer: answer.sample):
        drawn.setdefault((answer.problem, answer.role), []).append(answer)
    compared = []
    for problem in problems:
        roles = {r: _samples(problem, drawn[problem.id, r], usual) for r in ROLES if (problem.id, r) in drawn}
        if "base" in roles and "candidate" in roles:
            compared.append(Compared(problem.id, problem.category, problem.group, roles))
    return compared


def score_answer(problem: Problem, answer: Answer) -> Score:
    """Score one answer; one that never came, or was cut off before its end, could not be used."""
    if answer.error:
        return Score(0.0, f"no answer: {answer.error}", unusable=True)
    score = METRICS[problem.kind].score(problem.expected, answer.text, answer.native)
    if answer.finish == "length" and score.value < 1:
        return Score(0.0, f"cut off; {score.detail}", score.format, unusable=True)
    return score


def _samples(problem: Problem, answers: Sequence[Answer], usual: str) -> Samples:
    scores = [score_answer(problem, answer) for answer in answers]
    return Samples(
        scores=tuple(score.value for score in scores),
        unusable=tuple(score.unusable for score in scores),
        seconds=tuple(answer.seconds for answer in answers if not answer.error and answer.seconds > 0),
        in_format=tuple(score.format == usual for score in scores),
        first=answers[0].text or answers[0].error,
        detail=next((score.detail for score in scores if score.detail), ""),
    )


def _mean_log(seconds: Sequence[float]) -> float:
    return math.fsum(math.log(value) for value in seconds) / len(seconds)
