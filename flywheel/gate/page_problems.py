"""The problems of a page: what was asked, what was expected, the first answer of every role; and what broke, by kind.

The page stays small enough to open on a phone: what was lost comes first, long texts are cut, and once the room is
used up the rest is counted instead of shown. All answers lie in the measurement's folder.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from flywheel.core.verdicts import Problem
from flywheel.gate.evidence import ROLES, Compared, Role
from flywheel.gate.page_parts import percent, section, shown, table

ROOM = 1_500_000  # characters of markup for all problems together
LONGEST = 4_000  # characters of one text
_OPEN_UP_TO = 400  # characters that are shown without opening anything
_FAULTS_LISTED = 12
_NUMBER = re.compile(r"\b\d+(\.\d+)?( s\b)?")

_KINDS = (
    ("Lost", "the candidate is wrong more often than the base"),
    ("Gained", "the candidate is right more often than the base"),
    ("Wrong in both", "neither is right every time, and equally often"),
    ("Right in both", "both are right every time"),
)


def problems_section(evidence: Sequence[Compared], problems: Sequence[Problem] = ()) -> str:
    """Return every problem with the roles' first answers, as far as there is room, and how many had none."""
    if not evidence:
        return ""
    asked = {problem.id: problem for problem in problems}
    parts, room = [], ROOM
    for kind, (title, meaning) in enumerate(_KINDS):
        found = _ordered(one for one in evidence if _kind(one) == kind)
        if found:
            drawn, room = _as_room_allows(found, asked, room)
            parts.append(f"<h3>{title} ({len(found)})</h3><p class=soft>{meaning}</p>\n{drawn}")
    return section("problems", f"Problems ({len(evidence)})", *parts)


def _ordered(found: Any) -> list[Compared]:
    return sorted(found, key=lambda one: (-abs(one.difference("base")), one.category, one.problem))


def _kind(one: Compared) -> int:
    difference = one.difference("base")
    if difference:
        return 0 if difference < 0 else 1
    return 2 if one.roles["candidate"].score < 1 else 3


def _as_room_allows(found: Sequence[Compared], asked: Mapping[str, Problem], room: int) -> tuple[str, int]:
    drawn: list[str] = []
    for place, one in enumerate(found):
        markup = _problem(one, asked.get(one.problem))
        if len(markup) > room:
            left = Counter(rest.category for rest in found[place:])
            told = ", ".join(f"{count} {category}" for category, count in left.most_common(_FAULTS_LISTED))
            drawn.append(
                f"<p><strong>{left.total()} more are left out</strong> to keep this page small ({shown(told)}). "
                "Their answers lie in <code>answers.jsonl</code> beside the report of the measurement.</p>"
            )
            return "\n".join(drawn), 0
        drawn.append(markup)
        room -= len(markup)
    return "\n".join(drawn), room


def _problem(one: Compared, problem: Problem | None) -> str:
    scores = ", ".join(f"{role} {percent(one.roles[role].score)}" for role in ROLES if role in one.roles)
    asked = _asked(problem) if problem else ""
    answers = "".join(_answer(one, role) for role in ROLES if role in one.roles)
    return (
        f'<article class="problem"><p><strong>{shown(one.category)}</strong> <span class="soft">{shown(one.problem)}'
        f'</span>: {scores}</p>{asked}<div class="answers">{answers}</div></article>'
    )


def _asked(problem: Problem) -> str:
    question = problem.messages[-1].get("content", "") if problem.messages else ""
    expected = problem.expected if isinstance(problem.expected, str) else _json(problem.expected)
    return f"<p>Asked:</p>{_text(question)}<p>Expected:</p>{_text(expected)}"


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return repr(value)


def _answer(one: Compared, role: Role) -> str:
    samples = one.roles[role]
    detail = f'<p class="soft">{shown(samples.detail[:_OPEN_UP_TO])}</p>' if samples.detail else ""
    return f"<div><p><strong>{role}</strong>, first answer:</p>{_text(samples.first)}{detail}</div>"


def _text(text: str) -> str:
    """Return a text, folded when it is long and cut when it is very long."""
    if not text.strip():
        return '<p class="soft">(nothing)</p>'
    if len(text) <= _OPEN_UP_TO:
        return f"<pre>{shown(text)}</pre>"
    cut = f'\n<p class="soft">({len(text) - LONGEST:,} more characters)</p>' if len(text) > LONGEST else ""
    head = shown(" ".join(text[:160].split()))
    return (
        f"<details><summary>{head}… <span class=soft>({len(text):,} characters)</span></summary>"
        f"<pre>{shown(text[:LONGEST])}</pre>{cut}</details>"
    )


def faults_section(evidence: Sequence[Compared]) -> str:
    """Return what broke: the answers that nobody can use, by kind and role."""
    roles = [role for role in ROLES if any(role in one.roles for one in evidence)]
    found = {role: Counter(_faults(evidence, role)) for role in roles}
    kinds = sum(found.values(), Counter[str]())
    if not roles:
        return ""
    if not kinds:
        return section("faults", "What broke", "<p>Every answer could be used.</p>")
    drawn = {role: sum(len(one.roles[role].scores) for one in evidence if role in one.roles) for role in roles}
    rows = [[kind, *(str(found[role][kind]) for role in roles)] for kind, _ in kinds.most_common(_FAULTS_LISTED)]
    if more := len(kinds) - len(rows):
        listed = {row[0] for row in rows}
        rest = [str(sum(count for kind, count in found[role].items() if kind not in listed)) for role in roles]
        rows.append([f"{more} other kinds", *rest])
    rows.append(["all answers drawn", *(str(drawn[role]) for role in roles)])
    return section("faults", "What broke", table("Answers that nobody can use", ("answers", *roles), rows))


def _faults(evidence: Sequence[Compared], role: Role) -> list[str]:
    return [fault_kind(fault) for one in evidence if role in one.roles for fault in one.roles[role].faults]


def fault_kind(reason: str) -> str:
    """Return what kind of fault a reason tells of: `no answer: status 500: …` and its like are one kind."""
    head, _, rest = reason.partition(": ")
    if head == "no answer":
        status = re.match(r"status \d{3}", rest)
        return f"no answer: {status[0] if status else _NUMBER.sub('N', rest.partition(':')[0])[:60]}"
    if reason.startswith("cut off;"):
        return "cut off before the end"
    return _NUMBER.sub("N", reason.partition(":")[0])[:80] or "unusable"
