"""Writing back to a clean-room agent: only when asked, only its training tables, whole, once, and never in its way."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from flywheel.core.attempts import Done, Failed, Retry
from flywheel.core.clocks import ManualClock
from flywheel.core.events import Event
from flywheel.core.examples import DatasetManifest, Split
from flywheel.core.lines import Line, Select
from flywheel.core.outcomes import Label, Labelled, Message, Outcome
from flywheel.core.releases import ReleaseState
from flywheel.core.training import AdapterManifest, TrainSpec
from flywheel.curate.pools import admit
from flywheel.sources import write_backs
from flywheel.sources.settings import CleanRoomSource
from flywheel.sources.write_back_rows import role_of, stage_of
from flywheel.sources.write_backs import WriteBackRoom
from flywheel.store.datasets import record_dataset, record_members
from flywheel.store.examples import pool
from flywheel.store.ledger import append, events
from flywheel.store.outcomes import store_outcomes, waiting_outcomes
from flywheel.store.releases import move, register, start_canary
from flywheel.store.runs import adapter_by_name, record_adapter, start_run

pytestmark = pytest.mark.asyncio

RAW = """
CREATE TABLE task_runs (id INTEGER PRIMARY KEY, task_id TEXT NOT NULL UNIQUE);
CREATE TABLE training_plans (id INTEGER PRIMARY KEY, task_id TEXT NOT NULL, target_stage TEXT NOT NULL,
 base_model TEXT NOT NULL, source TEXT NOT NULL DEFAULT 'logged', data_criteria TEXT NOT NULL,
 hyperparameters TEXT, improvement_targets TEXT, raw_plan TEXT NOT NULL, timestamp TEXT NOT NULL);
CREATE TABLE training_datasets (id INTEGER PRIMARY KEY,
 training_plan_id INTEGER NOT NULL REFERENCES training_plans(id), stage_name TEXT NOT NULL,
 base_model TEXT NOT NULL, source TEXT NOT NULL DEFAULT 'logged', dataset_path TEXT NOT NULL,
 example_count INTEGER NOT NULL, positive_count INTEGER NOT NULL, negative_count INTEGER NOT NULL,
 format TEXT NOT NULL DEFAULT 'jsonl', timestamp TEXT NOT NULL);
INSERT INTO task_runs (task_id) VALUES ('t');
"""
CURATED = """
CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT);
CREATE TABLE adapter_metadata (id INTEGER PRIMARY KEY, stage_name TEXT NOT NULL, base_model TEXT NOT NULL,
 model_tag TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1, active INTEGER NOT NULL DEFAULT 1,
 performance_notes TEXT, deployed_at TEXT NOT NULL);
INSERT INTO adapter_metadata (stage_name, base_model, model_tag, deployed_at)
 VALUES ('scope', 'classifier', 'own', 'x');
"""


class World:
    """A clean-room agent that asks to be told, and a line that learns from it."""

    def __init__(self, store: Any, folder: Path) -> None:
        self.store, self.clock, self.folder = store, ManualClock(), folder
        self.raw, self.curated = folder / "raw.sqlite", folder / "curated.sqlite"
        for path, schema in ((self.raw, RAW), (self.curated, CURATED)):
            with sqlite3.connect(path) as connection:
                connection.executescript("PRAGMA journal_mode = WAL;" + schema)
            connection.close()
        self.source = CleanRoomSource(name="agent", path=self.raw, write_back=True)
        self.line = Line(name="scope", why="w", base="b", select=Select(sources=("agent",), tags=("stage:scope",)))

    def freeze(self, digest: str = "d" * 64, source: str = "agent", number: int = 1) -> None:
        """Freeze a dataset of two examples."""
        outcomes = [
            Outcome(key=f"{source}{number}{n}", source=source, task=f"t{n}", session="", group="g", call_type="scope",
                    at=self.clock.now(), model="m", response=f"{source} {number}", line="scope",
                    messages=(Message(role="user", content=f"q {n} {digest}"),),
                    labelled=Labelled(label=Label.POSITIVE, confidence=0.9))
            for n in range(2)
        ]  # fmt: skip
        splits = {"train": Split(rows=2, sha256="0" * 64)}
        manifest = DatasetManifest(hash=digest, line="scope", number=number, parent=None, examples=2, fresh=2,
                                   replayed=0, splits=splits, created_at=self.clock.now())  # fmt: skip
        with self.store.write() as session:
            store_outcomes(session, outcomes)
            admit(session, self.line, waiting_outcomes(session, "scope", 10), 0)
            train = [one.id for one in pool(session, "scope")][-2:]
            seq = append(
                session, Event(kind="curate.dataset_frozen", at=self.clock.now(), line="scope", subject=digest)
            )
            record_dataset(session, manifest, 10, seq)
            record_members(session, digest, {"train": train})

    def promote(self, number: int, digest: str = "d" * 64) -> None:
        """Let an adapter of a dataset become the active one."""
        spec = TrainSpec(line="scope", dataset=digest, base_name="b", base_fingerprint="f", attempt=number)
        manifest = AdapterManifest(line="scope", number=number, hash=f"{number}" * 64, run=spec.run_id, rank=8,
                                   dataset=digest, base_name="b", base_fingerprint="f", target_modules=(),
                                   files={})  # fmt: skip
        with self.store.write() as session:
            start_run(session, spec, self.clock.now(), 1)
            record_adapter(session, manifest, "p", 1)
            register(session, adapter_by_name(session, manifest.name), self.clock.now(), 1)
            start_canary(session, manifest.name, 0.1, self.clock.now(), 1)
            if number > 1:
                move(session, f"scope@{number - 1}", ReleaseState.SUPERSEDED, self.clock.now(), 1)
            self.go(session, "rollout.adapter_promoted", number, ReleaseState.ACTIVE)

    def go(self, session: Any, kind: str, number: int, to: ReleaseState) -> None:
        """Move a release and tell the ledger."""
        name = f"scope@{number}"
        seq = append(session, Event(kind=kind, at=self.clock.now(), line="scope", subject=name))
        move(session, name, to, self.clock.now(), seq)

    def room(self) -> WriteBackRoom:
        """A room as after a restart."""
        lines = {"scope": self.line}
        return WriteBackRoom(self.store, self.clock, [self.source], lambda: lines, self.folder / "datasets")

    async def cycle(self) -> list[Any]:
        """Propose and perform once."""
        room = self.room()
        return [await room.perform(one.intent, one.cause) for one in (await room.propose()).proposals]

    def rows(self, path: Path, query: str) -> list[Any]:
        """Read from the agent's database."""
        with sqlite3.connect(path) as connection:
            found = connection.execute(query).fetchall()
        connection.close()
        return found

    def told(self) -> list[Event]:
        """What the ledger says was written back."""
        with self.store.read() as session:
            return events(session, kinds=["sources.written_back"])


@pytest.fixture
def world(store, tmp_path):
    return World(store, tmp_path)


async def test_a_frozen_dataset_is_told(world):
    """A plan and a dataset, tied to each other, with the role and the stage as the agent calls them."""
    world.freeze()
    (done,) = await world.cycle()
    assert isinstance(done, Done)
    (plan,) = world.rows(world.raw, "SELECT task_id, target_stage, base_model, source, raw_plan FROM training_plans")
    assert plan[:4] == (f"flywheel:{'d' * 64}", "scope", "classifier", "logged")
    assert json.loads(plan[4])["dataset"] == "d" * 64
    (dataset,) = world.rows(
        world.raw,
        "SELECT d.stage_name, d.base_model, d.dataset_path, example_count, positive_count, negative_count, format"
        " FROM training_datasets d JOIN training_plans p ON p.id = d.training_plan_id",
    )
    assert dataset == ("scope", "classifier", str(world.folder / "datasets" / ("d" * 64)), 2, 2, 0, "jsonl")
    (told,) = world.told()
    assert told.body == {"of": "curate.dataset_frozen", "what": "d" * 64}
    assert await world.cycle() == []


async def test_promotions_move_the_active_flag(world):
    """Each promoted adapter has its row; one is active; taking it back says so; rows of the agent's own stay."""
    world.freeze()
    world.promote(1)
    world.promote(2)
    await world.cycle()
    query = "SELECT model_tag, version, active FROM adapter_metadata ORDER BY id"
    assert world.rows(world.curated, query) == [("own", 1, 1), ("scope", 1, 0), ("scope", 2, 1)]
    with world.store.write() as session:
        world.go(session, "rollout.adapter_rolled_back", 2, ReleaseState.ROLLED_BACK)
        move(session, "scope@1", ReleaseState.ACTIVE, world.clock.now(), 1)
    await world.cycle()
    assert world.rows(world.curated, query) == [("own", 1, 1), ("scope", 1, 1), ("scope", 2, 0)]


async def test_nothing_is_written_unless_asked(world):
    """By default the agent's files are not even opened for writing."""
    world.source = CleanRoomSource(name="agent", path=world.raw)
    before = world.raw.read_bytes(), world.curated.read_bytes()
    world.freeze()
    assert await world.cycle() == []
    assert (world.raw.read_bytes(), world.curated.read_bytes()) == before


async def test_a_dataset_from_elsewhere_is_not_told(world):
    """A line that drew nothing from this source has nothing to tell it."""
    world.freeze(source="another")
    await world.cycle()
    assert world.rows(world.raw, "SELECT count(*) FROM training_plans") == [(0,)]
    assert world.told() == []
    assert await world.cycle() == []


async def test_a_crash_before_our_record_tells_it_once(world, monkeypatch):
    """When we fall between the agent's commit and ours, the next cycle finds its own rows and adds none."""
    world.freeze()
    world.promote(1)

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(WriteBackRoom, "_keep", crash)
        with pytest.raises(KeyboardInterrupt):
            world.room()._write_back(world.source, None)
    await world.cycle()
    assert world.rows(world.raw, "SELECT count(*) FROM training_plans") == [(1,)]
    assert world.rows(world.raw, "SELECT count(*) FROM training_datasets") == [(1,)]
    assert world.rows(world.curated, "SELECT count(*) FROM adapter_metadata WHERE model_tag = 'scope'") == [(1,)]


async def test_both_tables_or_neither(world, monkeypatch):
    """A fault between plan and dataset leaves neither."""
    world.freeze()
    picky = RAW.split(";")[2].replace("example_count INTEGER", "example_count INTEGER CHECK (example_count > 100)")
    with sqlite3.connect(world.raw) as connection:
        connection.executescript(f"DROP TABLE training_datasets; {picky}")
    connection.close()
    (failed,) = await world.cycle()
    assert isinstance(failed, Failed)
    assert world.rows(world.raw, "SELECT count(*) FROM training_plans") == [(0,)]


async def test_a_locked_file_is_tried_again(world, monkeypatch):
    """While the agent writes, we wait a moment and come back later."""
    monkeypatch.setattr("flywheel.sources.training_tables._LOCK_SECONDS", 0.05)
    world.freeze()
    agent = sqlite3.connect(world.raw, isolation_level=None)
    agent.execute("BEGIN IMMEDIATE")
    (later,) = await world.cycle()
    assert isinstance(later, Retry)
    agent.execute("ROLLBACK")
    agent.close()
    (done,) = await world.cycle()
    assert isinstance(done, Done)


async def test_a_file_that_is_away_is_waited_for_and_never_made(world):
    """A database that is not there is not created."""
    world.freeze()
    world.raw.rename(world.folder / "away")
    (later,) = await world.cycle()
    assert isinstance(later, Retry)
    assert not world.raw.exists()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE training_plans ADD COLUMN owner TEXT NOT NULL DEFAULT 'x'; SELECT 1",
        "DROP TABLE training_plans",
        "ALTER TABLE training_plans RENAME COLUMN raw_plan TO plan",
        "ALTER TABLE training_plans RENAME TO p; CREATE VIEW training_plans AS SELECT * FROM p",
        "CREATE TRIGGER t AFTER INSERT ON training_plans BEGIN DELETE FROM task_runs; END",
        "DROP TABLE training_plans; " + RAW.split(";")[1].replace("plan TEXT", "plan TEXT, tenant TEXT NOT NULL"),
    ],
    ids=["a column with a default is fine", "gone", "renamed", "a view", "a trigger", "a demanding column"],
)
async def test_an_unknown_schema_is_left_alone(world, change):
    """A table that is not the one we know is not written, and the mend is told."""
    world.freeze()
    with sqlite3.connect(world.raw) as connection:
        connection.executescript(change)
    connection.close()
    (ended,) = await world.cycle()
    if "DEFAULT 'x'" in change:
        assert isinstance(ended, Done)
        return
    assert isinstance(ended, Failed)
    assert "write_back = false" in ended.mend
    assert world.rows(world.raw, "SELECT count(*) FROM task_runs") == [(1,)]


async def test_no_other_table_can_be_written(world, monkeypatch):
    """SQLite is asked about every step: the only writes are to the training tables; any other is refused by itself."""
    asked = []
    real = write_backs.write_dataset.__globals__["_only"]

    def watched(tables):
        judge = real(tables)

        def authorize(action, *rest):
            asked.append((action, rest[0]))
            return judge(action, *rest)

        return authorize

    monkeypatch.setattr("flywheel.sources.training_tables._only", watched)
    world.freeze()
    world.promote(1)
    await world.cycle()
    writes = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE, sqlite3.SQLITE_DROP_TABLE,
              sqlite3.SQLITE_ALTER_TABLE, sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_ATTACH}  # fmt: skip
    assert {table for action, table in asked if action in writes} == {
        "training_plans", "training_datasets", "adapter_metadata",
    }  # fmt: skip
    connection = sqlite3.connect(world.raw)
    connection.set_authorizer(real(("training_plans",)))
    for statement in ("DELETE FROM task_runs", "UPDATE task_runs SET task_id = 'x'", "DROP TABLE task_runs",
                      "DELETE FROM training_plans", "ATTACH 'x' AS y", "PRAGMA journal_mode = DELETE"):  # fmt: skip
        with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
            connection.execute(statement)
    connection.close()


async def test_roles_and_stages():
    """Code calls are for the coding model, yes-or-no calls for the classifier, the rest for the reasoning one."""

    def line(name: str, *calls: str, tags: tuple[str, ...] = ()) -> Line:
        return Line(name=name, why="w", base="b", select=Select(call_types=calls, tags=tags))

    code = line("code", "execute_implement", "execute_scaffold")
    plan = line("plan", tags=("stage:execute_plan/step_design", "stage:execute_plan"))
    assert (stage_of(code), role_of(code, {})) == ("code", "coding")
    assert (stage_of(plan), role_of(plan, {})) == ("execute_plan", "reasoning")
    assert role_of(line("scope", "scope"), {}) == "classifier"
    assert role_of(line("mixed", "scope", "precision"), {}) == "reasoning"
    assert role_of(line("scope", "scope"), {"scope": "reasoning"}) == "reasoning"
