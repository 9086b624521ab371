"""Every page of the dashboard by its address, and how much work the store has with each: a count, not a time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.test_utils import TestClient
from big_store import World
from sqlalchemy import event

from flywheel.web.desks import DESK

STEPS = 1000  # instructions of SQLite's machine between two counts


class Visit(NamedTuple):
    """What a page cost: its status, the time until it was whole, the instructions and statements of its readings."""

    status: int
    seconds: float
    instructions: int
    statements: int
    text: str


def pages(world: World) -> dict[str, str]:
    """Return the address of every page by a name for its picture."""
    return {
        "overview": "/",
        "line": f"/lines/{world.line}",
        "runs": "/runs",
        "run": f"/runs/{world.run}",
        "reports": "/reports",
        "report": f"/reports/{world.report}",
        "journal": f"/journal/{world.line}",
        "decisions": "/decisions",
        "explain": f"/explain/{world.adapter}",
        "decision": f"/explain/{world.decision}",
        "examples": "/examples",
        "example": f"/examples/{world.example}",
        "dataset": f"/examples?dataset={world.dataset}",
        "outcomes": "/outcomes",
        "outcome": f"/outcomes/{world.outcome}",
        "quarantine": "/quarantine",
        "policies": "/policies",
        "guardrail": "/policies/gpu-idle-window",
        "line-policies": f"/policies/lines/{world.line}",
        "actions": "/actions",
        "line-actions": f"/actions/{world.line}",
        "ask": f"/ask/roll-back/{world.adapter}",
        "request": f"/requests/{world.request}",
        "sign-in": "/sign-in",
        "sign-out": "/sign-out",
        "not-found": "/nothing/here",
    }


def narrowed(world: World) -> dict[str, str]:
    """Return lists as people narrow them, the ones that match little or nothing among them, and far pages."""
    return {
        "decisions of a line": f"/decisions?line={world.line}",
        "refused": "/decisions?said=refuse",
        "one room": "/decisions?room=rollout&line=plan",
        "old decisions": "/decisions?before=900",
        "outcomes of a line": "/outcomes?line=plan",
        "rare outcomes": "/outcomes?line=plan&label=unknown&repo=nothing",
        "outcomes of a task": "/outcomes?task=task-4711",
        "outcomes of a session": "/outcomes?session=ses_12",
        "old outcomes": "/outcomes?line=plan&before=150003",
        "examples of a line": "/examples?line=plan&standing=withdrawn",
        "rare examples": "/examples?category=nothing&before=30000",
        "rare quarantine": "/quarantine?rule=shape&source=opencode",
        "no such name": "/explain/nobody-called-so",
        "no such example": "/examples/0000nothing",
    }


@contextmanager
def counted(app: web.Application) -> Iterator[list[int]]:
    """Give the count of instructions and of statements that the pages' readings take from here on."""
    engine = app[DESK]._reader.engine
    count = [0, 0]

    def one_more() -> int:
        count[0] += STEPS
        return 0

    def connect(connection: Any, _: Any) -> None:
        connection.set_progress_handler(one_more, STEPS)

    def execute(*_: Any) -> None:
        count[1] += 1

    event.listen(engine, "connect", connect)
    event.listen(engine, "before_cursor_execute", execute)
    try:
        yield count
    finally:
        event.remove(engine, "connect", connect)
        event.remove(engine, "before_cursor_execute", execute)


async def visit(client: TestClient[Any, Any], address: str, count: list[int]) -> Visit:
    """Ask for a page."""
    before, began = tuple(count), time.perf_counter()
    async with client.get(address, allow_redirects=False) as answer:
        text = await answer.text()
    return Visit(answer.status, time.perf_counter() - began, count[0] - before[0], count[1] - before[1], text)
