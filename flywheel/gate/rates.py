"""How far a measurement is and how fast each role answers: the lines that the daemon reads while it goes."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flywheel.core.clocks import Clock
from flywheel.core.verdicts import Problem
from flywheel.gate.answers import AnswerLog
from flywheel.gate.evidence import Answer, Role, weigh
from flywheel.gate.metrics.scores import Score

FIRST_ANSWERS = 16  # so many of the candidate's without a usable one are told; the number is fixed and stops nothing
Say = Callable[[dict[str, Any]], None]


class Pace:
    """How many answers one role gave, how long that took, and how many of them nobody can use."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.answers, self.tokens, self.unusable, self.seconds = 0, 0, 0, 0.0

    def add(self, answer: Answer, seconds: float, *, unusable: bool) -> None:
        """Count one more."""
        self.answers += 1
        self.tokens += answer.tokens
        self.unusable += unusable
        self.seconds += seconds

    def told(self) -> dict[str, Any]:
        """Return the counts, with rates where time has passed."""
        rates = {"answers_per_second": self.answers, "tokens_per_second": self.tokens} if self.seconds else {}
        return {
            "answers": self.answers, "unusable": self.unusable,
            **{name: round(count / self.seconds, 2) for name, count in rates.items() if count},
        }  # fmt: skip


class Progress:
    """Says how far it is, at most once a second and at the end.

    The roles take turns, so the time from one answer to the next belongs to the role of the later one. A warning that
    was once true stays in every line: the first answers do not change.
    """

    def __init__(self, problems: Sequence[Problem], log: AnswerLog, of: int, clock: Clock, say: Say) -> None:
        """Count from what was answered before."""
        self._problems = {problem.id: problem for problem in problems}
        self._log = log
        self._of = of
        self._clock = clock
        self._say = say
        self._before = len(log.answers)
        self._begun = self._last = clock.monotonic()
        self._said = float("-inf")
        self._paces: dict[Role, Pace] = {}
        self._first = Counter[bool]()
        for answer in log.answers.values():
            self._look(answer)

    def tell(self, answer: Answer) -> None:
        """Take one more answer, and say how far it is unless that was said just now."""
        now, unusable = self._clock.monotonic(), self._look(answer)
        self._paces.setdefault(answer.role, Pace()).add(answer, now - self._last, unusable=unusable)
        self._last = now
        done = len(self._log.answers)
        if now - self._said >= 1 or done >= self._of:
            self._said = now
            self._say(self._line(now, done))

    def tell_runs(self, done: int, of: int) -> None:
        """Say how many programs were run, unless something was said just now."""
        now = self._clock.monotonic()
        if now - self._said >= 1 or done >= of:
            self._said = now
            self._say({"event": "progress", "programs_run": done, "programs": of})

    def _look(self, answer: Answer) -> bool:
        """Return whether nobody can use an answer, as far as that shows before anything is run."""
        problem = self._problems.get(answer.problem)
        found = weigh(problem, answer) if problem else None
        unusable = isinstance(found, Score) and found.unusable
        if answer.role == "candidate" and self._first.total() < FIRST_ANSWERS:
            self._first[unusable] += 1
        return unusable

    def _line(self, now: float, done: int) -> dict[str, Any]:
        fresh = done - self._before
        eta = (now - self._begun) / fresh * (self._of - done) if fresh else None
        return {
            "event": "progress", "done": done, "of": self._of,
            "eta_seconds": None if eta is None else round(eta, 1),
            "roles": {role: pace.told() for role, pace in sorted(self._paces.items())}, **self._warning(),
        }  # fmt: skip

    def _warning(self) -> Mapping[str, str]:
        if self._first[True] < FIRST_ANSWERS:
            return {}
        return {"warning": f"none of the candidate's first {FIRST_ANSWERS} answers can be used"}
