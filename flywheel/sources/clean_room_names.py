"""What a clean-room task id says: the root it belongs to, and which part, step and attempt. Pure."""

import re
from typing import NamedTuple

ENRICHMENT = "enrichment"

_RETRY = re.compile(r"retry_([0-9]{1,9})")
_NAMED_BY_PART = frozenset({"part_plan", "scaffold", "doc", "test_plan"})
_NAMED_BY_STEP = frozenset({"impl", "test_impl", "func_impl", "adjust"})
_AFTER = "after_"


class TaskName(NamedTuple):
    """One task id, taken apart. `kind` is empty for the root itself; `attempt` counts retries from zero."""

    root: str
    kind: str = ""
    part: str = ""
    step: str = ""
    attempt: int = 0

    @property
    def slot(self) -> tuple[str, str, str]:
        """Return what all attempts at the same thing share, within their root."""
        return self.kind, self.part, self.step


def root_of(task: str) -> str:
    """Return the root: everything before the first colon; each enriched file is a root of its own."""
    head, _, _ = task.partition(":")
    return task if head == ENRICHMENT else head


def parse_task(task: str) -> TaskName:
    """Return what an id says; an id of a form nobody knows still has a root and a kind."""
    root = root_of(task)
    if root == task:
        kind = ENRICHMENT if task.startswith(f"{ENRICHMENT}:") else ""
        return TaskName(root, kind)
    words, attempt = _without_retry(task[len(root) + 1 :].split(":"))
    kind, rest = words[0], words[1:]
    if kind in _NAMED_BY_PART:
        return TaskName(root, kind, ":".join(rest), "", attempt)
    if kind in _NAMED_BY_STEP and rest:
        step = ":".join(rest[1:])
        return TaskName(root, kind, rest[0], step.removeprefix(_AFTER) if kind == "adjust" else step, attempt)
    return TaskName(root, kind, "", ":".join(rest), attempt)


def _without_retry(words: list[str]) -> tuple[list[str], int]:
    found = _RETRY.fullmatch(words[-1]) if len(words) > 1 else None
    return (words[:-1], int(found[1])) if found else (words, 0)
