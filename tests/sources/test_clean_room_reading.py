import sqlite3
from datetime import timedelta

import pytest
from clean_room_world import FILE, NobodyWaits, World, edit

from flywheel.core.errors import SettingsError
from flywheel.core.lines import Line, Select
from flywheel.sources.clean_rooms import CleanRoomReader
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.run import SourcesRoom
from flywheel.sources.settings import CleanRoomSource
from flywheel.store.ledger import events
from flywheel.store.outcomes import list_outcomes

CODE = "{}:impl:p1:s1"


class RoomHouse:
    """A store, a clock and the sources room on one clean-room agent."""

    def __init__(self, store, world) -> None:
        self.store, self.world = store, world
        self.lines = {"code": Line(name="code", why="w", base="b", select=Select(tags=("stage:execute_implement",)))}
        self.room = self.new_room()

    def new_room(self) -> SourcesRoom:
        """Return a room as after a restart."""
        return SourcesRoom(self.store, self.world.clock, [self.world.source()], lambda: self.lines)

    async def proposals(self) -> int:
        """Return how many things the room would do."""
        return len((await self.room.propose()).proposals)

    def outcomes(self):
        """Return what is stored, oldest first."""
        with self.store.read() as session:
            return list(reversed(list_outcomes(session, limit=10_000)))

    def refused(self) -> list[str]:
        """Return the rules by which rows were refused."""
        with self.store.read() as session:
            return sorted(event.body["rule"] for event in events(session, kinds=("sources.row_quarantined",)))

    async def look(self) -> dict[str, tuple[str, int]]:
        """Do as the daemon does, and return label and revision by task id and call type."""
        while plan := (await self.room.propose()).proposals:
            for proposal in plan:
                await self.room.perform(proposal.intent, None)
        return {
            f"{one.outcome.extra['task_id']}/{one.outcome.call_type}": (one.outcome.labelled.label.value, one.revision)
            for one in self.outcomes()
        }

    async def code_of(self, run) -> str:
        """Return the label of a run's code after a look."""
        return (await self.look())[f"{CODE.format(run.root)}/execute_implement"][0]


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def rooms(store, world):
    made = RoomHouse(store, world)
    yield made
    made.room.close()


@pytest.mark.asyncio
async def test_an_outcome_knows_where_it_belongs(rooms, world) -> None:
    """Task and session are the root, the group is the repo, tags name stage and sub-stage, lines select by them."""
    run = world.good_run()
    world.call(f"{run.root}:meta_plan", "execute_plan", "{}", sub_stage="part_grouping", system_prompt="be good",
               thinking="hm", latency_ms=7)  # fmt: skip
    await rooms.look()
    found = {one.outcome.call_type: one.outcome for one in rooms.outcomes()}
    code = found["execute_implement"]
    assert (code.task, code.session, code.group) == (run.root, run.root, "/home/dev/src/shop")
    assert (code.line, code.tags) == ("code", ("stage:execute_implement",))
    plan = max((one.outcome for one in rooms.outcomes()), key=lambda one: len(one.tags))
    assert plan.tags == ("stage:execute_plan", "stage:execute_plan/part_grouping")
    assert [message.role for message in plan.messages] == ["system", "user"]
    assert (plan.extra["thinking"], plan.extra["latency_ms"], plan.chain) == ("hm", 7, "")


@pytest.mark.asyncio
async def test_a_run_is_unknown_until_it_ends_and_then_read_again(rooms, world) -> None:
    """The unit of reading is the root: while its run goes on all is unknown, the end is noticed by itself."""
    run = world.run()
    run.code()
    assert await rooms.code_of(run) == "unknown"
    run.test()
    run.validate(success=True)
    assert await rooms.code_of(run) == "unknown"
    run.end("complete")
    assert await rooms.code_of(run) == "positive"
    assert not await rooms.proposals()


@pytest.mark.asyncio
async def test_a_late_rollback_is_noticed(rooms, world) -> None:
    """`patch_applied` going back to 0 changes a row that was read already: the newest roots are compared each time."""
    run = world.good_run()
    assert await rooms.code_of(run) == "positive"
    run.roll_back(told=False)
    assert await rooms.code_of(run) == "unknown"


@pytest.mark.asyncio
async def test_a_late_status_and_a_late_validation_are_noticed(rooms, world) -> None:
    """Neither comes with a new call."""
    run = world.run()
    run.code()
    run.end("complete")
    assert await rooms.code_of(run) == "unknown"
    run.validate(success=True)
    assert await rooms.code_of(run) == "positive"
    run.end("failed")
    assert await rooms.code_of(run) == "unknown"


@pytest.mark.asyncio
async def test_what_a_later_run_says_reaches_the_earlier_one(rooms, world) -> None:
    """An earlier answer that a later task replaces loses its label without a row of its own being touched."""
    weak = world.good_run(replacement="    return net + int(net * rate)")
    assert await rooms.code_of(weak) == "positive"
    world.good_run(replacement="    return net + round(net * rate)")
    assert await rooms.code_of(weak) == "unknown"


@pytest.mark.asyncio
async def test_a_change_of_the_curated_database_is_looked_at(rooms, world) -> None:
    """A new index confirms what was merged; it may be the only thing that changed."""
    run = world.good_run(git=True)
    assert await rooms.code_of(run) == "unknown"
    world.curated.execute("INSERT INTO commits (repo_id, hash) VALUES (1, ?)", (f"{run.root}-c2",))
    assert await rooms.code_of(run) == "positive"


@pytest.mark.asyncio
async def test_an_old_root_is_found_by_the_full_look(rooms, world, monkeypatch) -> None:
    """What changed further back than the newest roots is found when everything is read again."""
    monkeypatch.setattr("flywheel.sources.clean_room_looks.RECENT_ROOTS", 2)
    first = world.good_run(replacement="    return 0.5 * net")
    for number in range(4):
        run = world.run()
        run.code(text=edit(search=f"value_{number} = 1", replacement=f"value_{number} = 2"))
        run.validate(success=True)
        run.end("complete")
    assert await rooms.code_of(first) == "positive"
    first.end("failed")
    assert await rooms.code_of(first) == "positive"
    rooms.room.ask_full_look()
    assert await rooms.code_of(first) == "unknown"


@pytest.mark.asyncio
async def test_a_crash_settles_after_its_time_and_stays_unknown(store, world) -> None:
    """`running` past the crash time is unknown for ever, and is read again when it changes after all."""
    run = world.run()
    run.code()
    reader = CleanRoomReader(world.source(crash_minutes=30), world.clock)
    assert [task.settled for task in reader.read({}, Waiting()).tasks] == [False]
    world.clock.advance(timedelta(hours=1).total_seconds())
    assert [task.settled for task in reader.read({}, Waiting()).tasks] == [True]
    cursor = reader.read({}, Waiting()).cursor
    waiting = reader.read(cursor, Waiting(run.root))
    assert [(task.task, task.settled) for task in waiting.tasks] == [(run.root, True)]
    run.validate(success=True)
    run.end("complete")
    again = reader.read(cursor, Waiting())
    assert {one.labelled.label.value for task in again.tasks for one in task.outcomes} == {"positive"}
    reader.close()


@pytest.mark.asyncio
async def test_what_is_gone_at_the_source_teaches_nobody(rooms, world) -> None:
    """Roots are read whole: a deleted call is retired when its root is read again."""
    run = world.good_run()
    name = f"{CODE.format(run.root)}/execute_implement"
    assert (await rooms.look())[name][0] == "positive"
    world.raw.execute("DELETE FROM retrieval_llm_calls WHERE call_type = 'execute_implement'")
    run.roll_back(told=False)
    assert (await rooms.look())[name][0] == "unknown"


@pytest.mark.asyncio
async def test_reading_again_changes_nothing(rooms, world) -> None:
    """After a restart, a full look or the same rows under other numbers nothing is doubled or revised."""
    run = world.good_run()
    world.call(run.root, "task_analysis", "same")
    world.call(run.root, "task_analysis", "same")
    before = await rooms.look()
    seen = len(rooms.outcomes())
    rooms.room.ask_full_look()
    assert await rooms.look() == before
    rooms.room.close()
    rooms.room = rooms.new_room()
    assert await rooms.look() == before
    assert len(rooms.outcomes()) == seen


@pytest.mark.asyncio
async def test_what_no_model_said_is_refused_by_name(rooms, world) -> None:
    """Merges worked out without a model, logged errors, secrets and unreadable rows are named, and the rest goes on."""
    run = world.good_run()
    world.call(run.root, "refinement_merge", "{}", model="deterministic")
    world.call(run.root, "scope", "[ERROR] connection refused")
    world.call(run.root, "scope", "yes", prompt="key: AKIAIOSFODNN7EXAMPLQ")
    world.call(run.root, "scope", b"\xff\xfe")
    await rooms.look()
    assert len(rooms.refused()) == 4
    assert {"deterministic", "error-response", "wrong-type"} <= set(rooms.refused())
    assert await rooms.code_of(run) == "positive"


@pytest.mark.asyncio
async def test_calls_without_a_task_run_are_read(rooms, world) -> None:
    """Single functions and enrichment have no row in `task_runs`; each enriched file is a root of its own."""
    run = world.run()
    world.call(f"{run.root}:func_impl:p1:put", "execute_function_implement", "none")
    world.call(f"{run.root}:func_impl:p1:put:retry_1", "execute_function_implement", edit())
    world.call("enrichment:src/a.py", "enrichment", "{}")
    run.end("failed")
    found = await rooms.look()
    assert found[f"{run.root}:func_impl:p1:put/execute_function_implement"][0] == "negative"
    assert found[f"{run.root}:func_impl:p1:put:retry_1/execute_function_implement"][0] == "unknown"
    assert {one.outcome.task for one in rooms.outcomes()} == {run.root, "enrichment:src/a.py"}


def test_functions_of_a_scaffold_share_the_fate_of_their_parts_tests(world) -> None:
    """No attempt is logged for them; the test that was written for their part carries the validation."""
    run = world.run()
    world.call(f"{run.root}:func_impl:p1:put", "execute_function_implement", edit())
    run.test()
    run.validate(success=True)
    run.end("complete")
    assert world.labels()[f"{run.root}:func_impl:p1:put/execute_function_implement"] == "positive"


@pytest.mark.parametrize("old", [True, False])
def test_both_schemas_are_read(tmp_path, old) -> None:
    """Columns that a version lacks are not assumed."""
    world = World(tmp_path, old=old)
    run = world.good_run()
    assert world.labels()[f"{CODE.format(run.root)}/execute_implement"] == "positive"
    for table in ("run_attempts", "validation_results", "orchestrator_passes", "retrieval_decisions", "index_runs"):
        world.raw.execute(f"DROP TABLE {table}")
    assert world.labels()[f"{CODE.format(run.root)}/execute_implement"] == "unknown"
    for table in ("orchestrator_runs", "task_runs"):
        world.raw.execute(f"DROP TABLE {table}")
    assert world.labels()[f"{CODE.format(run.root)}/execute_implement"] == "unknown"
    world.close()


def test_a_missing_curated_database_is_no_problem(world, tmp_path) -> None:
    """What it would have told is unknown; it may come and go, or be damaged."""
    run = world.good_run()
    task = CODE.format(run.root)
    world.call(task, "task_analysis", "Round the price.")
    world.decide(task, 1)
    world.close()
    (tmp_path / "curated.sqlite").unlink()
    reader = CleanRoomReader(world.source())
    assert reader.changed()
    assert len(reader.read({}, Waiting()).tasks) == 1
    (tmp_path / "curated.sqlite").write_bytes(b"not a database" * 100)
    assert len(reader.read({}, Waiting()).tasks) == 1
    reader.close()


def test_another_kind_of_database_is_told_by_name(tmp_path) -> None:
    """It is neither read nor guessed at; a database that is away is fine at the start."""
    path = tmp_path / "raw.sqlite"
    reader = CleanRoomReader(CleanRoomSource(name="room", path=path))
    reader.check()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (a)")
    connection.commit()
    with pytest.raises(SettingsError, match="has no table retrieval_llm_calls"):
        reader.check()
    with pytest.raises(SourceProblemError, match="has no table"):
        reader.read({}, Waiting())
    with pytest.raises(SourceProblemError, match="has no table"):
        reader.changed()
    connection.execute("CREATE TABLE retrieval_llm_calls (task_id TEXT, prompt TEXT)")
    connection.commit()
    with pytest.raises(SettingsError, match="has no column call_type"):
        reader.check()
    connection.close()
    reader.close()


def test_a_file_that_was_replaced_is_read_from_the_beginning(world, tmp_path) -> None:
    """The cursor of another file means nothing; neither does the index of where rows stood."""
    world.good_run()
    reader = CleanRoomReader(world.source())
    first = reader.read({}, Waiting())
    other = tmp_path / "other"
    other.mkdir()
    second = World(other)
    second.runs = 10
    run = second.good_run()
    second.close()
    world.close()
    for end in ("", "-wal", "-shm"):
        (tmp_path / f"raw.sqlite{end}").unlink(missing_ok=True)
    (other / "raw.sqlite").rename(world.path)
    again = reader.read(first.cursor, Waiting())
    assert again.restarted
    assert [task.task for task in again.tasks] == [run.root]
    reader.close()


def test_a_long_history_comes_in_batches_and_each_root_once(world, monkeypatch) -> None:
    """Batches are bounded, every root is read whole in one of them, and none is read twice."""
    monkeypatch.setattr("flywheel.sources.clean_room_looks.ROOTS_A_BATCH", 2)
    monkeypatch.setattr("flywheel.sources.clean_room_looks.ROWS_A_BATCH", 5)
    runs = [world.good_run(replacement=f"    return {number}.25 * net") for number in range(7)]
    reader = CleanRoomReader(world.source(), world.clock)
    cursor, more, roots = {}, True, []
    while more:
        batch = reader.read(cursor, Waiting())
        assert len(batch.tasks) <= 3
        roots += [task.task for task in batch.tasks]
        cursor, more = batch.cursor, batch.more
    assert roots == [run.root for run in runs]
    assert not reader.changed()
    reader.close()


def test_rows_that_name_no_task_are_refused_and_the_rest_goes_on(world) -> None:
    """A row without a readable task id belongs to no root."""
    run = world.good_run()
    world.call("", "scope", "yes")
    world.call(b"\xff", "scope", "yes")
    found, refusals = world.read()
    assert [one.rule for one in refusals] == ["no-task", "no-task"]
    assert f"{CODE.format(run.root)}/execute_implement" in found


def test_no_lock_of_ours_is_ever_felt(world) -> None:
    """The agent writes while a read transaction of ours is open."""
    world.good_run()
    reader = CleanRoomReader(world.source())
    with reader.database.reading() as connection:
        connection.execute("SELECT count(*) FROM retrieval_llm_calls").fetchone()
        run = world.good_run(replacement=f"    return 3.5 * net  # {FILE}")
    assert run.root in [task.task for task in reader.read({}, Waiting()).tasks]
    reader.close()


class Waiting(NobodyWaits):
    """A list of unfinished tasks that is made by hand."""

    def __init__(self, *roots: str) -> None:
        self.roots = roots

    def newest(self, limit):
        """Return them."""
        return dict.fromkeys(self.roots, 1)
