"""From the lessons of a row to makings: what has to be proved is proved, and where it comes from is written on it."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from flywheel.bootstrap.dataset_rows import Lesson, Proof, Reader
from flywheel.bootstrap.import_orders import Order
from flywheel.bootstrap.licence_names import spdx_of
from flywheel.bootstrap.proofs import NotProvedError, prove
from flywheel.core.makings import Making
from flywheel.core.outcomes import Signal
from flywheel.sandbox.clients import Runner

_SHORT = 16
_CARRIED = 64 << 10  # bytes of tests that an example carries for the suites it may be held out for


class Row(NamedTuple):
    """A row that was read: what it is known by, and its lessons."""

    digest: str
    lessons: tuple[Lesson, ...]


class Prover:
    """Proves lessons, so many at once."""

    def __init__(self, runner: Runner, at_once: int) -> None:
        """Prove by this runner."""
        self._runner = runner
        self._room = asyncio.Semaphore(at_once)

    async def proved(self, lessons: Sequence[Lesson]) -> tuple[list[tuple[Lesson, tuple[Signal, ...]]], str]:
        """Return the lessons that hold, each with its evidence, and why the first that does not hold does not."""
        slots: dict[str, list[Lesson]] = defaultdict(list)
        for number, lesson in enumerate(lessons):
            slots[lesson.slot or f"\0{number}"].append(lesson)
        found = await asyncio.gather(*(self._first(slot) for slot in slots.values()))
        return [one for one, _ in found if one is not None], next((why for _, why in found if why), "")

    async def _first(self, lessons: Sequence[Lesson]) -> tuple[tuple[Lesson, tuple[Signal, ...]] | None, str]:
        why = ""
        for lesson in lessons:
            try:
                return (lesson, await self._evidence(lesson)), ""
            except NotProvedError as error:
                why = why or str(error)
        return None, why

    async def _evidence(self, lesson: Lesson) -> tuple[Signal, ...]:
        if lesson.proof is None:
            return lesson.signals
        async with self._room:
            return (*lesson.signals, await prove(lesson.proof, self._runner))


def making_of(row: Row, lesson: Lesson, signals: tuple[Signal, ...], reader: Reader, order: Order) -> Making:
    """Return what a lesson becomes on the shelf."""
    about: dict[str, Any] = {"dataset": reader.name, "row": row.digest[:_SHORT], "foreign": True, **lesson.about}
    tests = _carried(lesson.proof)
    return Making(
        key=lesson.key,
        recipe="import",
        origin=lesson.origin,
        group=lesson.group or f"{reader.name}/{row.digest[:_SHORT]}",
        call_type=lesson.call_type,
        at=lesson.at or reader.published,
        model=lesson.model or reader.name,
        messages=lesson.messages,
        response=lesson.response,
        signals=signals,
        line=lesson.line or order.line,
        tags=lesson.tags,
        chain=lesson.chain,
        licence=spdx_of(lesson.licence or order.licence),
        about={**about, "tests": tests} if tests else about,
    )


def _carried(proof: Proof | None) -> dict[str, Any] | None:
    """Return the tests that a proved program carries, as many as fit; a wrong one carries none."""
    if proof is None or proof.tests is None or proof.shows != "works" or proof.language != "python":
        return None
    kept, size = [], 0
    for test in proof.tests["tests"]:
        size += len(json.dumps(test))
        if size > _CARRIED:
            break
        kept.append(test)
    return {**proof.tests, "tests": kept} if kept else None
