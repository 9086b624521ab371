"""What was measured: per problem and role the scores, faults and times of every sample."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from flywheel.core.errors import CorruptError
from flywheel.core.frozen import Frozen
from flywheel.core.verdicts import Problem
from flywheel.gate.metrics.registry import METRICS
from flywheel.gate.metrics.scores import ExecutedMetric, Score
from flywheel.sandbox.programs import Program, Run

Role = Literal["base", "candidate", "active"]
ROLES: tuple[Role, ...] = ("base", "candidate", "active")
Ran = Callable[[Program], tuple[Run, ...] | None]  # what a program did, None when it was not run


class Answer(Frozen):
    """One answer as it was drawn: from whom, to what, how long it took, or why there is none.

    `first_token` is 0 where the server does not stream, `tokens` where it does not count. `run` names the earlier
    measurement that drew it; empty: this one.
    """

    problem: str
    role: Role
    sample: int
    text: str = ""
    native: tuple[dict[str, Any], ...] = ()
    finish: str = ""
    seconds: float = 0.0
    first_token: float = 0.0
    tokens: int = 0
    error: str = ""
    run: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """Return which question this answers."""
        return (self.problem, self.role, self.sample)

    @property
    def question(self) -> tuple[str, int]:
        """Return what was asked, whoever answers."""
        return (self.problem, self.sample)

    @property
    def said(self) -> str:
        """Return everything that was answered as one text, native calls as JSON after it."""
        calls = [json.dumps(call.get("function", call), sort_keys=True, default=str) for call in self.native]
        return "\n".join([self.text, *calls]) if calls else self.text


@dataclass(frozen=True)
class Samples:
    """What one role did with one problem, over all samples."""

    scores: tuple[float, ...]
    unusable: tuple[bool, ...] = ()
    seconds: tuple[float, ...] = ()
    in_format: tuple[bool, ...] = ()
    first: str = ""
    detail: str = ""
    faults: tuple[str, ...] = ()
    first_tokens: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()
    judged: tuple[Score, ...] = ()
    runs: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

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
    kind: str = ""

    def difference(self, role: Role) -> float:
        """Return the candidate's score less another's."""
        return self.roles["candidate"].score - self.roles[role].score

    def log_ratio(self) -> float | None:
        """Return how much longer the candidate took than the base, as a logarithm; None without times.

        Times of different measurements never meet: the machine was not the same.
        """
        candidate, base = self.roles["candidate"], self.roles["base"]
        if not candidate.seconds or not base.seconds or candidate.runs != base.runs:
            return None
        return _mean_log(candidate.seconds) - _mean_log(base.seconds)


def compare(
    problems: Iterable[Problem], answers: Iterable[Answer], usual: str = "", ran: Ran = lambda _: None
) -> list[Compared]:
    """Score every answer and put the roles of each problem side by side; unanswered problems are left out.

    `usual` is the format that was trained: how many answers keep to it is counted. `ran` knows what programs did.
    """
    drawn: dict[tuple[str, Role], list[Answer]] = {}
    for answer in sorted(answers, key=lambda answer: answer.sample):
        drawn.setdefault((answer.problem, answer.role), []).append(answer)
    compared = []
    for problem in problems:
        roles = {r: _samples(problem, drawn[problem.id, r], usual, ran) for r in ROLES if (problem.id, r) in drawn}
        if "base" in roles and "candidate" in roles:
            compared.append(Compared(problem.id, problem.category, problem.group, _timed(roles), problem.kind))
    return compared


def _timed(roles: Mapping[Role, Samples]) -> dict[Role, Samples]:
    """Return the roles with those times only that were taken in the same measurement as the candidate's."""
    beside = roles["candidate"].runs
    return {
        role: one if one.runs == beside else replace(one, seconds=(), first_tokens=(), rates=())
        for role, one in roles.items()
    }


def score_answer(problem: Problem, answer: Answer, ran: Ran = lambda _: None) -> Score:
    """Score one answer; what has to be run and was not has no score, and none is made up for it."""
    found, metric = weigh(problem, answer), METRICS[problem.kind]
    if isinstance(found, Score):
        return found
    runs = ran(found)
    if runs is None:
        raise CorruptError(f"an answer to {problem.id} was not run", "measure again")
    assert isinstance(metric, ExecutedMetric)
    return _to_its_end(answer, metric.judge(problem.expected, runs))


def weigh(problem: Problem, answer: Answer) -> Score | Program:
    """Return the score of an answer, or the program that must be run before there is one."""
    if answer.error:
        return Score(0.0, f"no answer: {answer.error}", unusable=True)
    metric = METRICS[problem.kind]
    if not isinstance(metric, ExecutedMetric):
        return _to_its_end(answer, metric.score(problem.expected, answer.text, answer.native))
    found = metric.program(problem.expected, answer.text)
    return _to_its_end(answer, found) if isinstance(found, Score) else found


def _to_its_end(answer: Answer, score: Score) -> Score:
    """Return the score, unless the answer was cut off before its end and is not right: then nobody could use it."""
    if answer.finish == "length" and score.value < 1:
        return replace(score, value=0.0, detail=f"cut off; {score.detail}", unusable=True)
    return score


def _samples(problem: Problem, answers: Sequence[Answer], usual: str, ran: Ran) -> Samples:
    scores = [score_answer(problem, answer, ran) for answer in answers]
    timed = [answer for answer in answers if not answer.error and answer.seconds > 0]
    return Samples(
        scores=tuple(score.value for score in scores),
        unusable=tuple(score.unusable for score in scores),
        seconds=tuple(answer.seconds for answer in timed),
        in_format=tuple(score.format == usual for score in scores),
        first=answers[0].text or answers[0].error,
        detail=next((score.detail for score in scores if score.detail), ""),
        faults=tuple(score.detail for score in scores if score.unusable),
        first_tokens=tuple(answer.first_token for answer in timed if answer.first_token > 0),
        rates=tuple(answer.tokens / answer.seconds for answer in timed if answer.tokens > 0),
        tokens=tuple(answer.tokens for answer in answers if answer.tokens > 0),
        judged=tuple(scores),
        runs=tuple(answer.run for answer in answers),
        texts=tuple(answer.said for answer in answers),
    )


def _mean_log(seconds: Sequence[float]) -> float:
    return math.fsum(math.log(value) for value in seconds) / len(seconds)
