"""Cutting a set of examples into train, valid and test. Pure.

Promises: examples of one task stand on one side, examples of one question stand on one side, each example stands in
at most one part, and the newest examine while the older ones teach.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple


class Item(NamedTuple):
    """An example as splitting sees it; a pinned one has to teach, because it did so before."""

    id: str
    task: str
    question: str
    at: datetime
    seq: int
    pinned: bool = False


class Shares(NamedTuple):
    """How much to hold out: a part of the tasks (at most so many questions), and a part of the remaining examples."""

    holdout: float
    valid: float
    suite_limit: int


class Parts(NamedTuple):
    """The parts, each in order of time; `doubled` asked again what the test part asks already."""

    train: list[str]
    valid: list[str]
    test: list[str]
    doubled: list[str]


Group = list[Item]


def split(items: Sequence[Item], shares: Shares) -> Parts:
    """Cut: the newest groups that fit examine, the next newest that fit validate, the rest teaches."""
    groups = sorted(_groups(items), key=_age, reverse=True)
    held, rest = _hold_out(groups, shares, tasks=len({item.task for item in items}))
    valid, train = _validate(rest, int(shares.valid * sum(len(group) for group in rest)))
    test, doubled = _one_a_question(item for group in held for item in group)
    return Parts(_in_order(train), _in_order(valid), test, doubled)


def _groups(items: Iterable[Item]) -> list[Group]:
    """Join what shares a task or a question, directly or through others."""
    leader: dict[tuple[str, str], tuple[str, str]] = {}

    def find(node: tuple[str, str]) -> tuple[str, str]:
        leader.setdefault(node, node)
        while leader[node] != node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    ordered = list(items)
    for item in ordered:
        leader[find(("task", item.task))] = find(("question", item.question))
    groups: dict[tuple[str, str], Group] = defaultdict(list)
    for item in ordered:
        groups[find(("task", item.task))].append(item)
    return list(groups.values())


def _age(group: Group) -> tuple[datetime, int]:
    newest = max(group, key=lambda item: (item.at, item.seq))
    return newest.at, newest.seq


def _hold_out(groups: Sequence[Group], shares: Shares, tasks: int) -> tuple[list[Group], list[Group]]:
    """Take groups, newest first, while the tasks and questions they bring still fit."""
    tasks_left, questions_left = int(shares.holdout * tasks), shares.suite_limit
    held: list[Group] = []
    rest: list[Group] = []
    for group in groups:
        of_tasks, of_questions = len({item.task for item in group}), len({item.question for item in group})
        fits = of_tasks <= tasks_left and of_questions <= questions_left
        if fits and not any(item.pinned for item in group):
            held.append(group)
            tasks_left -= of_tasks
            questions_left -= of_questions
        else:
            rest.append(group)
    return held, rest


def _validate(groups: Sequence[Group], room: int) -> tuple[list[Item], list[Item]]:
    valid: list[Item] = []
    train: list[Item] = []
    for group in groups:
        (valid if len(group) <= room - len(valid) else train).extend(group)
    return valid, train


def _one_a_question(items: Iterable[Item]) -> tuple[list[str], list[str]]:
    """Keep the newest example of each question; a problem is asked once."""
    ordered = sorted(items, key=lambda item: (item.at, item.seq))
    newest = {item.question: item.id for item in ordered}
    kept = [item.id for item in ordered if newest[item.question] == item.id]
    return kept, [item.id for item in ordered if newest[item.question] != item.id]


def _in_order(items: Iterable[Item]) -> list[str]:
    return [item.id for item in sorted(items, key=lambda item: (item.at, item.seq))]
