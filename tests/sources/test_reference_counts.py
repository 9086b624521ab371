"""Databases that real agents wrote, where they are at hand.

FLYWHEEL_TRUTH_DIRS names their folders, as for `benchmarks/label_truth.py`. How many calls there are is counted by
plain SQL; which labels they deserve was found by reading the records.
"""

import os
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent.parent / "benchmarks"))  # the readers that know no store stand there
from clean_room_truth import CleanRoomTruths
from fleet_truth import FleetTruths

from flywheel.core.outcomes import Outcome

Counts = dict[str, tuple[int, int, int]]  # call type -> positive, negative, unknown

CLEAN_ROOM: dict[str, Counts] = {
    "cachebox": {
        "assembly_refilter": (8, 3, 8), "execute_adjust": (0, 0, 6), "execute_implement": (8, 3, 2),
        "execute_plan": (33, 0, 20), "execute_test_implement": (8, 0, 1), "precision": (234, 5, 894),
        "scope": (0, 0, 39), "stage_routing": (0, 0, 140), "task_analysis": (34, 3, 33),
    },
    "oldcra": {"precision": (0, 0, 2), "scope": (0, 0, 4), "task_analysis": (0, 0, 5)},
    "slugs": {
        "documentation": (7, 0, 7), "enrichment": (0, 0, 8), "execute_adjust": (7, 0, 7),
        "execute_implement": (9, 8, 7), "execute_plan": (19, 0, 22), "execute_test_implement": (8, 0, 5),
        "precision": (199, 9, 1180), "scope": (16, 1, 149), "similarity": (0, 17, 722), "stage_routing": (0, 2, 306),
        "task_analysis": (39, 0, 63),
    },
}  # fmt: skip
FLEET: Counts = {"": (0, 0, 2), "code": (6, 16, 16), "dispatch": (0, 0, 16), "plan": (0, 0, 15)}
BY_A_MODEL = "SELECT count(*) FROM retrieval_llm_calls WHERE model <> 'deterministic'"  # the rest asked none


def folders(kind: CleanRoomTruths | FleetTruths) -> list[Path]:
    """Return the folders of a kind that are at hand."""
    named = os.environ.get("FLYWHEEL_TRUTH_DIRS", "").split(os.pathsep)
    return [Path(one) for one in named if one and kind.accepts(Path(one))]


def counted(outcomes: list[Outcome]) -> Counts:
    """Return how many outcomes of each call type have which label."""
    found = Counter((one.call_type, one.labelled.label.value) for one in outcomes)
    labels = ("positive", "negative", "unknown")
    return {kind: tuple(found[kind, label] for label in labels) for kind, _ in sorted(found)}  # type: ignore[misc]


def test_every_clean_room_database_at_hand_brings_what_is_in_it() -> None:
    """Every call of a model is one outcome, and each label stands where reading the records puts it."""
    known = [one for one in folders(CleanRoomTruths()) if one.name in CLEAN_ROOM]
    if not known:
        pytest.skip("FLYWHEEL_TRUTH_DIRS names no clean-room records that are counted here")
    for folder in known:
        found = CleanRoomTruths().outcomes(folder)
        with closing(sqlite3.connect(f"file:{folder / 'raw.sqlite'}?mode=ro&immutable=1", uri=True)) as raw:
            assert len(found) == raw.execute(BY_A_MODEL).fetchone()[0]
        assert counted(found) == CLEAN_ROOM[folder.name]


def test_every_fleet_run_at_hand_brings_what_is_in_it() -> None:
    """Every logged call is one outcome; routings and plans teach nothing that is not known."""
    known = folders(FleetTruths())
    if not known:
        pytest.skip("FLYWHEEL_TRUTH_DIRS names no fleet runs")
    for folder in known:
        found = FleetTruths().outcomes(folder)
        lines = [line for file in (folder / "runs").glob("run-*.jsonl") for line in file.read_text().splitlines()]
        assert len(found) == sum('"type": "vllm_call"' in line for line in lines)
        assert counted(found) == FLEET
