"""What the executed metrics share: limits, endings in words, and a score from what each test came to. Pure."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from flywheel.gate.metrics.scores import Score
from flywheel.sandbox.programs import Ending, Limits, Run

NOT_RUN = Score(0.0, "the answer was not run", unusable=True)
_LONGEST = 200
_SAID: Mapping[Ending, str] = MappingProxyType({
    Ending.RAISED: "raised",
    Ending.TIMED_OUT: "took too long",
    Ending.DIED: "died",
    Ending.TOO_MUCH: "took or wrote too much",
    Ending.REFUSED: "was refused",
})  # fmt: skip


def clean(text: str) -> str:
    """Replace half characters, which no file and no pipe takes."""
    return text.encode("utf-8", "replace").decode()


def limits_of(expected: Mapping[str, Any]) -> Limits:
    """Return how much each test may take, as the problem says."""
    return Limits(seconds=expected.get("seconds", Limits().seconds))


def nothing_to_run(text: str, why: str) -> Score:
    """Return the score of an answer that holds no program."""
    return Score(0.0, why if text.strip() else "the answer is empty", unusable=True)


def judged(runs: Sequence[Run], count: int, differs: Callable[[int, Run], str]) -> Score:
    """Score runs that all must have finished as expected; `differs` says what is wrong with one that finished.

    A program that was refused in every test is no program: nobody can use it.
    """
    found = [_told(run) or differs(number, run) for number, run in enumerate(runs[:count])]
    found += ["was not run"] * (count - len(found))
    wrong = [f"test {number}: {what}"[:_LONGEST] for number, what in enumerate(found, 1) if what]
    share = 1 - len(wrong) / count if count else 0.0
    refused = bool(runs) and all(run.ending is Ending.REFUSED for run in runs)
    detail = wrong[0] if wrong else "" if count else "the problem has no tests"
    return Score(0.0 if detail else 1.0, detail, "code", refused, {"tests": share})


def _told(run: Run) -> str:
    """Return how a test ended, in words; empty when it finished."""
    if run.ending is Ending.FINISHED:
        return ""
    last = next((line.strip() for line in reversed(run.detail.splitlines()) if line.strip()), "")
    return f"{_SAID[run.ending]}: {last}" if last else _SAID[run.ending]
