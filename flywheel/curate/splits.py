"""Cutting a set of examples into train, valid and test. Pure.

Promises: examples of one task, of one session, of one question and of nearly equal questions stand on one side (of one
repo, where that is asked for), each example stands in at most one part, and the newest examine while the older teach.
Pairs and judgements are cut with the examples: all that one of them touches stands on its side, and none examines.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple


class Item(NamedTuple):
    """An example as splitting sees it; a pinned one never examines, because it taught before. No session ties nothing.

    `repo` is given only where a repo has to stand on one side as a whole. A pair or a judgement is a `lesson`: an item
    for each question it touches, all of one id; it ties what it touches and goes where its group goes.
    """

    id: str
    task: str
    question: str
    at: datetime
    seq: int
    pinned: bool = False
    session: str = ""
    repo: str = ""
    lesson: bool = False


class Shares(NamedTuple):
    """How much to hold out: a part of the tasks (at most so many questions), and a part of the remaining examples."""

    holdout: float
    valid: float
    suite_limit: int


class Parts(NamedTuple):
    """The parts, each in order of time; `doubled` asked again what the test part asks already, or nearly that.

    `aside` are lessons whose group examines: they teach nothing.
    """

    train: list[str]
    valid: list[str]
    test: list[str]
    doubled: list[str]
    aside: Sequence[str] = ()


Group = list[Item]
Kin = Mapping[str, frozenset[str]]
"""The questions that are nearly the same as a question: told of both, never of itself."""


def split(items: Sequence[Item], shares: Shares, kin: Kin | None = None) -> Parts:
    """Cut: the newest groups that fit examine, the next newest that fit validate, the rest teaches."""
    alike = kin or {}
    groups = sorted(_groups(items, alike), key=_age, reverse=True)
    held, rest = _hold_out(groups, shares, tasks=len({item.task for item in items if not item.lesson}))
    valid, train = _validate(rest, shares.valid)
    held_items = [item for group in held for item in group]
    test, doubled = _one_a_question([item for item in held_items if not item.lesson], alike)
    return Parts(
        _in_order(train), _in_order(valid), test, doubled, _in_order(item for item in held_items if item.lesson)
    )


def _groups(items: Sequence[Item], kin: Kin) -> list[Group]:
    """Join what shares a task, a session, a question or a repo, or asks nearly the same; directly or through others."""
    leader: dict[tuple[str, str], tuple[str, str]] = {}

    def find(node: tuple[str, str]) -> tuple[str, str]:
        leader.setdefault(node, node)
        while leader[node] != node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    asked = {item.question for item in items}
    for item in items:
        for tie in _ties(item):
            leader[find(tie)] = find(("question", item.question))
    for question in asked & kin.keys():
        for other in kin[question] & asked:
            leader[find(("question", other))] = find(("question", question))
    groups: dict[tuple[str, str], Group] = defaultdict(list)
    for item in items:
        groups[find(("question", item.question))].append(item)
    return list(groups.values())


def _ties(item: Item) -> Iterable[tuple[str, str]]:
    bond = item.id if item.lesson else ""
    named = (("task", item.task), ("session", item.session), ("repo", item.repo), ("lesson", bond))
    return [tie for tie in named if tie[1] or tie[0] == "task"]


def _age(group: Group) -> tuple[datetime, int]:
    newest = max(group, key=lambda item: (item.at, item.seq))
    return newest.at, newest.seq


def _hold_out(groups: Sequence[Group], shares: Shares, tasks: int) -> tuple[list[Group], list[Group]]:
    """Take groups, newest first, while the tasks and questions they bring still fit."""
    tasks_left, questions_left = int(shares.holdout * tasks), shares.suite_limit
    held: list[Group] = []
    rest: list[Group] = []
    for group in groups:
        asking = [item for item in group if not item.lesson]
        of_tasks, of_questions = len({item.task for item in asking}), len({item.question for item in asking})
        fits = asking and of_tasks <= tasks_left and of_questions <= questions_left
        if fits and not any(item.pinned for item in group):
            held.append(group)
            tasks_left -= of_tasks
            questions_left -= of_questions
        else:
            rest.append(group)
    return held, rest


def _validate(groups: Sequence[Group], share: float) -> tuple[list[Item], list[Item]]:
    """Take a share of the examples and a share of the lessons; groups with lessons come first: there are fewer."""
    examples, lessons = _sizes([item for group in groups for item in group])
    rooms = [int(share * examples), int(share * lessons)]
    valid: list[Item] = []
    train: list[Item] = []
    for group in sorted(groups, key=lambda group: not any(item.lesson for item in group)):
        sizes = _sizes(group)
        fits = all(size <= room for size, room in zip(sizes, rooms, strict=True))
        rooms = [room - size * fits for size, room in zip(sizes, rooms, strict=True)]
        (valid if fits else train).extend(group)
    return valid, train


def _sizes(items: Sequence[Item]) -> tuple[int, int]:
    """Return how many examples and how many lessons there are."""
    lessons = [item.id for item in items if item.lesson]
    return len(items) - len(lessons), len(set(lessons))


def _one_a_question(items: Sequence[Item], kin: Kin) -> tuple[list[str], list[str]]:
    """Keep the newest example of each question and of those nearly the same; a problem is asked once."""
    asked: set[str] = set()
    kept: list[Item] = []
    for item in sorted(items, key=lambda item: (item.at, item.seq), reverse=True):
        if item.question not in asked and not asked & kin.get(item.question, frozenset()):
            asked.add(item.question)
            kept.append(item)
    chosen = {item.id for item in kept}
    return _in_order(kept), _in_order(item for item in items if item.id not in chosen)


def _in_order(items: Iterable[Item]) -> list[str]:
    return list(dict.fromkeys(item.id for item in sorted(items, key=lambda item: (item.at, item.seq))))
