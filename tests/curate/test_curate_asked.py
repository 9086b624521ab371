"""A person who wants a look gets a dataset on request, again when something new came; nothing else changes by it."""

import pytest

from flywheel.core.requests import Request
from flywheel.store.requests import make_request, request_by_id


def ask(desk, name: str, kind: str = "freeze") -> None:
    """Let a person ask for a dataset."""
    asked = Request(id=name, kind=kind, line=desk.line.name, subject=desk.line.name, at=desk.clock.now())
    with desk.store.write() as session:
        make_request(session, asked)


def answer(desk, name: str) -> tuple[str, str]:
    """What became of it."""
    with desk.store.read() as session:
        found = request_by_id(session, name)
    assert found is not None
    return found.state, found.answer


@pytest.mark.asyncio
async def test_a_look_is_frozen_of_whatever_there_is(desk):
    """Far below what the line needs, and answered with what it holds."""
    desk.bring_many(0, 4)
    ask(desk, "one")
    await desk.settle()
    assert answer(desk, "one") == ("satisfied", f"froze dataset 1 of {desk.line.name}: 4 examples")


@pytest.mark.asyncio
async def test_a_second_look_needs_something_new(desk):
    """Nothing new is said; one new example is enough, though the first set was never trained."""
    desk.bring_many(0, 4)
    ask(desk, "one")
    await desk.settle()
    ask(desk, "two")
    await desk.settle()
    assert answer(desk, "two") == ("refused", f"{desk.line.name} has no new examples since dataset 1")
    desk.bring_many(4, 5)
    ask(desk, "three")
    await desk.settle()
    assert answer(desk, "three") == ("satisfied", f"froze dataset 2 of {desk.line.name}: 5 examples")


@pytest.mark.asyncio
async def test_a_look_does_not_keep_the_line_from_its_own_dataset(desk):
    """When enough has come the line freezes by itself, and that set holds all that the look held."""
    desk.bring_many(0, 4)
    ask(desk, "one")
    await desk.settle()
    first = desk.last()
    desk.bring_many(4, 30)
    await desk.settle()
    assert desk.last().number == 2
    assert desk.last().parent == first.hash
    assert desk.last().examples == 30


@pytest.mark.asyncio
async def test_a_wish_for_a_run_waits_for_the_dataset_that_is_there(desk):
    """As before: who asks for training does not get one small set after another."""
    desk.bring_many(0, 4)
    ask(desk, "one")
    await desk.settle()
    desk.bring_many(4, 6)
    ask(desk, "two", kind="train")
    await desk.settle()
    assert answer(desk, "two")[0] == "open"
    assert desk.last().number == 1
