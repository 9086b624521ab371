"""A daemon reduced to training: `train_worker.py FOLDER [DOOR]` brings the one run of a store to its published adapter.

With the door of a nursery, the training is born there.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the shared fixtures lie beside the rooms of the tests

from fixtures.nurslings import Nursling, bear

from flywheel.core.clocks import SystemClock
from flywheel.core.lines import Line
from flywheel.core.steps import Steps
from flywheel.core.training import Base
from flywheel.daemon.works import WorkLimits, Works
from flywheel.proc import children
from flywheel.store.jobs import unhandled_jobs
from flywheel.store.runs import adapters
from flywheel.store.stores import Store, open_store, sqlite_url
from flywheel.train.readings import Readings
from flywheel.train.run import TrainPlaces, TrainRoom


def room_of(folder: Path, store: Store) -> TrainRoom:
    """Return the room that works in a folder, on the line and base that lie there as JSON."""
    line = Line.model_validate_json((folder / "line.json").read_bytes())
    base = Base.model_validate_json((folder / "base.json").read_bytes())
    python = Path(json.loads((folder / "python.json").read_bytes()))
    clock, machine = SystemClock(), {"machine.gpus": 0}
    readings = Readings(store, clock, lambda: {line.name: line}, {base.name: base}, lambda: dict(machine))
    places = TrainPlaces(
        datasets=folder / "datasets", runs=folder / "runs", adapters=folder / "adapters", python=python
    )
    return TrainRoom(store, clock, readings, places)


def spare_imports(door: Path) -> None:
    """Let the processes that this daemon starts be born in the nursery behind this door, all else as they would be."""

    def spawn(argv: Sequence[str], folder: Path, env: Mapping[str, str], lock: int) -> Nursling:
        with ExitStack() as opened:
            places = (Path(os.devnull), folder / "log.jsonl", folder / "stderr.log")
            streams = [opened.enter_context(place.open("ab")).fileno() for place in places]
            return bear(door, argv, env, [*streams, lock], folder)

    children._spawn = spawn


async def work(folder: Path) -> int:
    """Propose, perform, tend, until there is an adapter or nothing left to do; return how it ended."""
    with open_store(sqlite_url(folder / "flywheel.db")) as store:
        limits = WorkLimits(nice=0, attempts=1000)
        works = Works(store, SystemClock(), Steps(), limits, lambda _: None)
        room = room_of(folder, store)
        while True:
            wanted = (await room.propose()).proposals
            for proposal in wanted:
                await room.perform(proposal.intent, proposal.cause)
            works.tend()
            with store.read() as session:
                if adapters(session):
                    return 0
                if not wanted and not unhandled_jobs(session, "train"):
                    return 1
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    if sys.argv[2:]:
        spare_imports(Path(sys.argv[2]))
    sys.exit(asyncio.run(work(Path(sys.argv[1]))))
