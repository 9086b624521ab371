"""The truth about clean-room records: what the script that drove the agent served, and what it found at the end.

The definition, made from GROUND_TRUTH.json alone and before any label was looked at, is in docs/sources.md.
"""

# ruff: noqa: D102, D107, D401 - methods promised in `truths` and `readings`, and facts told as sentences

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from truths import Judged, Truth, everything

from flywheel.core.outcomes import Outcome
from flywheel.sources.clean_rooms import CleanRoomReader
from flywheel.sources.settings import CleanRoomSource

RIGHT = frozenset({"right", "good"})
CODE, TEST, DOC = "implement", "test_implement", "documentation"
CALLS = {CODE: "execute_implement", TEST: "execute_test_implement", DOC: "documentation"}
ANSWERS = frozenset({*CALLS.values(), "execute_plan", "execute_adjust"})


class CleanRoomTruths:
    """Folders with raw.sqlite, curated.sqlite and GROUND_TRUTH.json. See `truths.Truths`."""

    def accepts(self, folder: Path) -> bool:
        return (folder / "raw.sqlite").exists() and (folder / "GROUND_TRUTH.json").exists()

    def outcomes(self, folder: Path) -> list[Outcome]:
        return everything(CleanRoomReader(CleanRoomSource(name="truth", path=(folder / "raw.sqlite").resolve())))

    def judged(self, folder: Path) -> list[Judged]:
        truth = json.loads((folder / "GROUND_TRUTH.json").read_text())
        by_root: dict[str, list[Outcome]] = defaultdict(list)
        for outcome in self.outcomes(folder):
            by_root[outcome.task].append(outcome)
        tasks = {task["task_id"]: task for task in truth["tasks"] if task["task_id"]}
        return [one for root, found in by_root.items() for one in judge_root(folder.name, tasks.get(root), found)]


def judge_root(where: str, task: dict[str, Any] | None, outcomes: list[Outcome]) -> list[Judged]:
    """Return every call of a root beside its truth."""
    facts = Facts(task, outcomes)
    return [
        Judged(
            where=where,
            kind=outcome.call_type,
            name=f"{task['name'] if task else '?'}{outcome.extra['task_id'][len(outcome.task) :]}",
            label=outcome.labelled.label.value,
            truth=facts.truth(outcome),
            why="; ".join(f"{signal.name}: {signal.note}" for signal in outcome.labelled.signals),
            answer=outcome.call_type in ANSWERS,
        )
        for outcome in outcomes
    ]


class Facts:
    """What the truth tells of one task."""

    def __init__(self, task: dict[str, Any] | None, outcomes: Iterable[Outcome]) -> None:
        self.task = task or {}
        self.truths = {place(answer): worth(answer) for answer in self.task.get("answers", ())}
        self.parts: dict[str, dict[str, list[Truth]]] = defaultdict(lambda: defaultdict(list))
        for answer in self.last_answers():
            self.parts[answer["part"] or ""][answer["kind"]].append(worth(answer))
        self.needed = self.touched(outcomes)

    def last_answers(self) -> list[dict[str, Any]]:
        """Return the last answer at each step: what the run went on with."""
        last = {(a["kind"], a["part"], a["step"]): a for a in self.task.get("answers", ()) if a["kind"] in CALLS}
        return list(last.values())

    def truth(self, outcome: Outcome) -> Truth:
        suffix = outcome.extra["task_id"][len(outcome.task) :]
        if outcome.call_type in CALLS.values():
            return self.truths.get((outcome.call_type, suffix), "untold")
        if outcome.call_type in {"execute_plan", "execute_adjust"}:
            return self.plan(suffix.split(":")[1:])
        if outcome.call_type == "scope":
            return self.scope(suffix.split(":")[1:], outcome)
        return "untold"

    def plan(self, words: list[str]) -> Truth:
        """A plan is good when all that was built by it is good and was kept; otherwise it is at best not proven."""
        if not words or not self.parts:
            return "untold"
        kind = words[0]
        if kind == "meta_plan":
            fixed = all(self.task["bugs_fixed_at_end"].values()) and self.task["hidden_tests_pass"]
            return "good" if fixed and all(self.is_good(part, CODE) for part in self.parts) else "neither"
        wanted = TEST if kind == "test_plan" else CODE
        return "good" if len(words) > 1 and self.is_good(words[1], wanted) else "neither"

    def is_good(self, part: str, kind: str) -> bool:
        last = self.parts[part][kind]
        return bool(last) and all(one == "good" for one in last)

    def touched(self, outcomes: Iterable[Outcome]) -> dict[tuple[str, str], set[str]]:
        """Return the files that the truly good answers edited, by kind and part."""
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for outcome in outcomes:
            suffix = outcome.extra["task_id"][len(outcome.task) :]
            if self.truths.get((outcome.call_type, suffix)) == "good" and outcome.call_type != CALLS[DOC]:
                words = [*suffix.split(":")[1:], ""]
                part = "" if words[1].startswith("retry_") else words[1]
                found[outcome.call_type, part] |= set(re.findall(r'<edit file="([^"]+)"', outcome.response))
        return found

    def scope(self, words: list[str], outcome: Outcome) -> Truth:
        """A file that good answers edited was needed; one that none edited was rightly left out of good work."""
        asked = re.findall(r"^File: (\S+) \(", outcome.messages[-1].content, re.MULTILINE)
        said = outcome.response.strip().lower()
        if not words or not asked or said not in {"yes", "no"} or words[0] not in {"meta_plan", "part_plan", "impl"}:
            return "untold"
        part = words[1] if len(words) > 1 and not words[1].startswith("retry_") else ""
        parts = list(self.parts) if words[0] == "meta_plan" else [part]
        if not parts or not all(self.is_good(one, CODE) for one in parts):
            return "untold"
        needed = {file for one in parts for file in self.needed[CALLS[CODE], one]}
        anywhere = {file for files in self.needed.values() for file in files}
        if asked[-1] in needed:
            return "good" if said == "yes" else "bad"
        return "good" if said == "no" and asked[-1] not in anywhere else "untold"


def place(answer: dict[str, Any]) -> tuple[str, str]:
    """Return the call type and the end of the task id under which an answer was logged."""
    kind, part, step = answer["kind"], answer["part"], answer["step"]
    if kind == DOC:
        return CALLS[DOC], f":doc:{part}"
    retry = f":retry_{answer['nth_answer'] - 1}" if (answer["nth_answer"] or 1) > 1 else ""
    if kind not in CALLS:
        return kind, retry
    middle = "" if part is None else f":{part}:{step}"
    return CALLS[kind], f":{'impl' if kind == CODE else 'test_impl'}{middle}{retry}"


def worth(answer: dict[str, Any]) -> Truth:
    """An answer that was meant right, fitted the files and is there at the end is good; one not meant right is bad."""
    if answer["scripted_as"] not in RIGHT:
        return "bad"
    lasted = answer["edits_matched_files_when_served"] and answer["change_present_at_end"]
    return "good" if lasted else "neither"
