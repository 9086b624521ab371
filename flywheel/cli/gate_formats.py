"""`flywheel gate --format-only`: in which format some dozens of answers came, by parser. A diagnosis, no verdict."""

import asyncio
import itertools
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flywheel.cli.gate_measures import Tell
from flywheel.core.clocks import SystemClock
from flywheel.core.tool_calls import parse_tool_calls
from flywheel.core.verdicts import Problem
from flywheel.gate.answers import ANSWERS, AnswerLog
from flywheel.gate.evidence import ROLES, Answer, weigh
from flywheel.gate.metrics.scores import Score
from flywheel.gate.metrics.shares import TOOL_PARSERS
from flywheel.gate.questions import Asker
from flywheel.gate.specs import MeasureSpec
from flywheel.gate.statistics import CONFIDENCE, clopper_pearson

PROMPTS = 48
_NO_ANSWER = "no answer"


def pick(problems: Sequence[Problem], count: int = PROMPTS) -> list[Problem]:
    """Return so many problems, from every category in turn; the same suite always gives the same ones."""
    groups: dict[str, list[Problem]] = {}
    for problem in sorted(problems, key=lambda one: (one.category, one.prompt_key)):
        groups.setdefault(problem.category, []).append(problem)
    turns = itertools.zip_longest(*groups.values())
    return [problem for turn in turns for problem in turn if problem is not None][:count]


def diagnose(spec: MeasureSpec, problems: Sequence[Problem], usual: str, tell: Tell) -> dict[str, Any]:
    """Ask each role each problem once and count the formats that the answers came in."""
    of = len(problems) * len(spec.models)
    with tempfile.TemporaryDirectory() as folder, AnswerLog(Path(folder) / ANSWERS) as log:
        asker = Asker(spec, log, SystemClock(), lambda _: tell(len(log.answers), of, "answers"))
        asyncio.run(asker.ask_all(problems))
        answers = list(log.answers.values())
    asked = {problem.id: problem for problem in problems}
    counts: dict[str, Counter[str]] = {
        role: Counter(format_of(asked[one.problem], one) for one in answers if one.role == role)
        for role in ROLES
        if role in spec.models
    }
    return {"prompts": len(problems), "trained_format": usual, **_told(counts, usual)}


def format_of(problem: Problem, answer: Answer) -> str:
    """Return the format of an answer: of tool calls the one that was parsed, of all else what its metric saw."""
    if answer.error:
        return _NO_ANSWER
    if problem.kind == "tool_call":
        return parse_tool_calls(answer.text, answer.native).format
    found = weigh(problem, answer)
    return (found.format or "none") if isinstance(found, Score) else "code"


def _told(counts: Mapping[str, Counter[str]], usual: str) -> dict[str, Any]:
    drawn = counts["candidate"].total()
    right = counts["candidate"][usual]
    low, high = clopper_pearson(right, drawn, (1 - CONFIDENCE) / 2)
    sentence = (
        f"{right} of {drawn} answers ({_percent(right, drawn)}; 95 %: {100 * low:.0f} to {100 * high:.0f} %) "
        f"are in the trained format, {usual!r}; of the base's {counts['base'][usual]} of {counts['base'].total()}"
    )
    return {
        "in_format": right / drawn if drawn else None, "low": low, "high": high, "sentence": sentence,
        "formats": {role: dict(sorted(found.items())) for role, found in counts.items()},
    }  # fmt: skip


def rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the counts as rows of a table: a format, and how much of each role's answers came in it."""
    formats: Mapping[str, Mapping[str, int]] = found["formats"]
    totals = {role: sum(counts.values()) for role, counts in formats.items()}
    names = sorted({name for counts in formats.values() for name in counts} | {found["trained_format"]})
    return [
        {
            "format": f"{name} (trained)" if name == found["trained_format"] else name,
            "parser": TOOL_PARSERS.get(name, ""),
            **{role: f"{counts.get(name, 0)} ({_percent(counts.get(name, 0), totals[role])})"
               for role, counts in formats.items()},
        }
        for name in names
    ]  # fmt: skip


def _percent(count: int, of: int) -> str:
    return f"{100 * count / of:.0f} %" if of else "–"  # noqa: RUF001 - a dash is what stands for nothing
