# ruff: noqa: D102 - the double's methods say what they do by name
"""Reading opencode's database while it is written: everything once, labels follow the evidence, late changes count."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from opencode_agents import V1_SCHEMA, V2_SCHEMA, Opencode, bash, edit, read, task, tool

from flywheel.core.clocks import ManualClock
from flywheel.core.errors import ResourceError
from flywheel.core.lines import Line, Select
from flywheel.core.outcomes import Label
from flywheel.sources import opencode_looks, run
from flywheel.sources.run import SourcesRoom
from flywheel.sources.settings import OpencodeSource
from flywheel.store.ledger import events
from flywheel.store.outcomes import list_outcomes
from flywheel.store.stores import Store

pytestmark = pytest.mark.asyncio

LINES = {
    name: Line(name=name, why="w", base="b", select=Select(tags=(f"language:{language}",)))
    for name, language in (("build-rust", "rust"), ("build-ts", "typescript"))
}


class Watch:
    """A store, a clock and the sources room on an opencode; the clock is always a while after what that wrote."""

    def __init__(self, store: Store, agent: Opencode) -> None:
        self.store = store
        self.agent = agent
        self.clock = ManualClock()
        self.room = self.new_room()

    def new_room(self) -> SourcesRoom:
        return SourcesRoom(self.store, self.clock, [OpencodeSource(name="oc", path=self.agent.path)], lambda: LINES)

    async def cycle(self) -> list[Any]:
        plan = await self.room.propose()
        return [await self.room.perform(proposal.intent, None) for proposal in plan.proposals]

    async def look(self, *, later: float = 3600) -> list[Any]:
        self.clock._now = datetime.fromtimestamp(self.agent.now / 1000 + later, UTC)
        self.clock._elapsed += later
        done = []
        for _ in range(60):
            attempts = await self.cycle()
            done += attempts
            if not attempts or not any(getattr(one, "changed", False) for one in attempts):
                return done
        raise AssertionError("it never comes to rest")

    async def proposals(self) -> int:
        return len((await self.room.propose()).proposals)

    def outcomes(self) -> list[Any]:
        with self.store.read() as session:
            return list_outcomes(session, limit=100_000)

    def labels(self) -> dict[str, int]:
        return dict(Counter(stored.outcome.labelled.label.value for stored in self.outcomes()))

    def by_message(self) -> dict[str, Any]:
        return {stored.outcome.extra["message"]: stored for stored in self.outcomes()}

    def label(self, message: str) -> str:
        return self.by_message()[message].outcome.labelled.label.value

    def events(self, *kinds: str) -> list[Any]:
        with self.store.read() as session:
            return events(session, kinds=kinds)

    def refused(self) -> list[tuple[str, str]]:
        return [(event.body["row"], event.body["rule"]) for event in self.events("sources.row_quarantined")]


either = pytest.mark.parametrize("opencode", [True, False], ids=["events", "no-events"], indirect=True)


@pytest.fixture
def opencode(request: Any, tmp_path: Path) -> Iterator[Opencode]:
    made = Opencode(tmp_path / "opencode.db", events=getattr(request, "param", True))
    yield made
    made.close()


@pytest.fixture
def watch(store: Store, opencode: Opencode) -> Iterator[Watch]:
    made = Watch(store, opencode)
    yield made
    made.room.close()


def verified(opencode: Opencode, session: str, path: str = "src/lib.rs") -> list[str]:
    """Have a turn that reads, edits and passes its tests; return its answers."""
    opencode.ask(session, "fix it")
    return [
        opencode.answer(session, read(path)),
        opencode.answer(session, edit(path)),
        opencode.answer(session, bash("cargo test", 0, "test result: ok. 3 passed")),
        opencode.answer(session, text="fixed"),
    ]


async def test_a_turn_becomes_outcomes_with_what_the_model_saw(watch, opencode):
    """Each answer is an outcome: its calls written as text, earlier outputs before it, its line and its evidence."""
    session = opencode.session()
    looked, changed, checked, said = verified(opencode, session)
    await watch.look()
    found = watch.by_message()
    assert set(found) == {looked, changed, checked, said}
    outcome = found[changed].outcome
    assert (outcome.task, outcome.session, outcome.group) == (session, session, "/home/dev/repo")
    assert (outcome.call_type, outcome.model, outcome.line) == ("build", "coder", "build-rust")
    assert [message.role for message in outcome.messages] == ["user", "assistant", "tool"]
    assert outcome.messages[2].content == "ok"
    call = json.loads(outcome.response.removeprefix("<tool_call>\n").removesuffix("\n</tool_call>"))
    assert call == {"name": "edit", "arguments": {"filePath": "src/lib.rs", "oldString": "a", "newString": "b"}}
    assert outcome.labelled.signals[0].name == "work_verified"
    assert watch.labels() == {"positive": 4}
    assert outcome.chain == ""
    assert found[looked].outcome.chain == f"oc/{session}/after/start"


@either
async def test_nothing_is_labelled_before_it_was_quiet(watch, opencode):
    """A turn that may still go on is stored at once, unknown; the clock alone, without a write, brings its labels."""
    verified(opencode, opencode.session())
    await watch.look(later=5)
    assert watch.labels() == {"unknown": 4}
    assert await watch.proposals() == 0
    watch.clock.advance(60)
    assert await watch.proposals() == 1
    await watch.cycle()
    assert watch.labels() == {"positive": 4}
    assert await watch.proposals() == 0


async def test_an_earlier_turn_is_judged_while_a_later_one_goes_on(watch, opencode):
    """Only the last turn is open."""
    session = opencode.session()
    answers = verified(opencode, session)
    opencode.ask(session, "now the docs")
    open_one = opencode.answer(session, text="working on it")
    await watch.look(later=1)
    assert [watch.label(one) for one in answers] == ["positive"] * 4
    assert watch.label(open_one) == "unknown"


async def test_reading_again_stores_nothing_twice(watch, opencode):
    """A restart, a full look and a changed selection leave each outcome once."""
    for number in range(3):
        verified(opencode, opencode.session(f"ses_{number}"))
    await watch.look()
    watch.room.close()
    watch.room = watch.new_room()
    assert not any(done.changed for done in await watch.look())
    watch.room.ask_full_look()
    await watch.look()
    assert len(watch.outcomes()) == 12
    assert {stored.revision for stored in watch.outcomes()} == {1}


async def test_a_batch_is_bounded_and_nothing_is_lost(watch, opencode, monkeypatch):
    """Many sessions come in many batches, each once."""
    monkeypatch.setattr(opencode_looks, "TREES_A_BATCH", 3)
    for number in range(20):
        verified(opencode, opencode.session(f"ses_{number}"))
    await watch.look()
    assert len(watch.outcomes()) == 80


async def test_what_could_not_be_stored_is_read_again(watch, opencode, monkeypatch):
    """The store fails in the middle: cursor, marks and outcomes stay as they were, and nothing is lost or doubled."""
    session = opencode.session()
    verified(opencode, session)
    await watch.look()
    opencode.ask(session, "more")
    new = opencode.answer(session, text="done")

    def fails(*_: object) -> None:
        raise ResourceError("the disk is full", "free some", delay=1)

    with monkeypatch.context() as patch:
        patch.setattr(run.source_marks, "set_marks", fails)
        with pytest.raises(ResourceError):
            await watch.look()
    assert new not in watch.by_message()
    await watch.look()
    assert new in watch.by_message()
    assert len(watch.outcomes()) == 5


@either
async def test_a_part_updated_in_place_changes_the_label(watch, opencode):
    """Long after it was read, a check's exit status is put right: the same outcomes get other labels."""
    session = opencode.session()
    answers = verified(opencode, session)
    await watch.look()
    (part,) = opencode.connection.execute(
        "SELECT id FROM part WHERE message_id = ? AND data LIKE '%cargo%'", (answers[2],)
    ).fetchone()
    opencode.change("part", part, bash("cargo test", 1, "test result: FAILED"))
    await watch.look()
    assert [watch.label(one) for one in answers] == ["unknown", "negative", "unknown", "negative"]
    assert len(watch.outcomes()) == 4


async def test_an_answer_updated_in_place_replaces_the_one_before(watch, opencode):
    """Another answer under the same message: the old one is gone and teaches nobody."""
    session = opencode.session()
    *_, said = verified(opencode, session)
    await watch.look()
    (part,) = opencode.connection.execute(
        "SELECT id FROM part WHERE message_id = ? AND data LIKE '%fixed%'", (said,)
    ).fetchone()
    opencode.change("part", part, {"text": "fixed, really"})
    await watch.look()
    found = {s.outcome.response: s.outcome.labelled for s in watch.outcomes() if s.outcome.extra["message"] == said}
    assert found["fixed"].label is Label.UNKNOWN
    assert found["fixed"].signals[-1].name == "gone"
    assert found["fixed, really"].label is Label.POSITIVE


@either
async def test_a_revert_makes_what_it_took_back_negative(watch, opencode):
    """And taking the revert back restores the labels."""
    session = opencode.session()
    first = verified(opencode, session)
    ask = opencode.ask(session, "more")
    second = [opencode.answer(session, edit("src/a.rs")), opencode.answer(session, bash("cargo test"), text="ok")]
    await watch.look()
    opencode.revert(session, ask)
    await watch.look()
    assert [watch.label(one) for one in (*first, *second)] == ["positive"] * 4 + ["negative"] * 2
    opencode.revert(session, None)
    await watch.look()
    assert [watch.label(one) for one in second] == ["positive"] * 2


@either
async def test_messages_deleted_after_a_revert_are_gone(watch, opencode):
    """What the client deletes is marked as gone and teaches nobody; what is asked instead is its chain's next."""
    session = opencode.session()
    verified(opencode, session)
    ask = opencode.ask(session, "more")
    taken_back = opencode.answer(session, edit("src/a.rs"))
    await watch.look()
    opencode.revert(session, ask)
    opencode.revert(session, None)
    opencode.remove(session, ask, taken_back)
    opencode.ask(session, "do it differently")
    instead = opencode.answer(session, text="done")
    await watch.look()
    assert watch.label(taken_back) == "unknown"
    found = watch.by_message()
    assert found[taken_back].outcome.labelled.signals[-1].name == "gone"
    assert found[taken_back].outcome.chain == found[instead].outcome.chain


@either
async def test_a_deleted_session_is_gone(watch, opencode):
    """Its outcomes teach nobody; the others stay."""
    for name in ("ses_1", "ses_2"):
        verified(opencode, opencode.session(name))
    await watch.look()
    opencode.remove_session("ses_1")
    await watch.look()
    labels = {s.outcome.task: s.outcome.labelled.label.value for s in watch.outcomes()}
    assert labels == {"ses_1": "unknown", "ses_2": "positive"}


async def test_a_session_deleted_while_nobody_looked_is_gone(watch, opencode):
    """A restart, and even a full look, still knows what was there."""
    for name in ("ses_1", "ses_2"):
        verified(opencode, opencode.session(name))
    await watch.look()
    watch.room.close()
    opencode.remove_session("ses_1")
    watch.room = watch.new_room()
    watch.room.ask_full_look()
    await watch.look()
    assert watch.labels() == {"unknown": 4, "positive": 4}


async def test_a_fork_s_copies_are_not_learned_from_twice(watch, opencode):
    """Messages older than their session were copied; what was said after the fork counts, with the whole history."""
    session = opencode.session()
    verified(opencode, session)
    rows = opencode.connection.execute(
        "SELECT id, data FROM message WHERE session_id = ? ORDER BY id", (session,)
    ).fetchall()
    fork = opencode.session("ses_2", title="a session (fork #1)")
    for name, data in rows:
        copy = opencode.message(fork, json.loads(data))
        for (part,) in opencode.connection.execute("SELECT data FROM part WHERE message_id = ?", (name,)).fetchall():
            opencode.part(fork, copy, json.loads(part))
    opencode.ask(fork, "and now?")
    new = opencode.answer(fork, text="done")
    await watch.look()
    assert len(watch.outcomes()) == 5
    outcome = watch.by_message()[new].outcome
    assert [message.content for message in outcome.messages][-2:] == ["fixed", "and now?"]


async def test_a_sub_agent_shares_its_root_s_fate(watch, opencode):
    """It is of the root's task and repo, stands in its own session, and the caller's check judges its work."""
    root = opencode.session()
    child = opencode.session("ses_child", parent=root)
    opencode.ask(root, "have it fixed")
    call = opencode.answer(root, task(child))
    opencode.ask(child, "fix src/lib.rs")
    worked = opencode.answer(child, edit("src/lib.rs"), agent="general")
    opencode.answer(root, bash("cargo test", 0, "test result: ok. 3 passed"))
    await watch.look()
    found = watch.by_message()
    assert (found[worked].outcome.task, found[worked].outcome.session) == (root, child)
    assert found[worked].outcome.call_type == "general"
    assert [watch.label(one) for one in (call, worked)] == ["positive", "positive"]
    opencode.revert(root, call)
    await watch.look()
    assert [watch.label(one) for one in (call, worked)] == ["negative", "negative"]


async def test_a_killed_client_leaves_unknown(watch, opencode):
    """An answer that never ended, and the turn it stands in, are never a success, however long ago."""
    session = opencode.session()
    opencode.ask(session, "fix it")
    begun = [opencode.answer(session, edit("src/lib.rs")), opencode.answer(session, bash("cargo test"))]
    running = opencode.answer(session, tool("bash", "running", command="cargo run"), done=False)
    await watch.look(later=10_000_000)
    assert [watch.label(one) for one in (*begun, running)] == ["unknown"] * 3


@either
async def test_a_client_that_comes_back_ends_the_turn(watch, opencode):
    """What was unknown gets its label when it ends after all."""
    session = opencode.session()
    opencode.ask(session, "fix it")
    changed = opencode.answer(session, edit("src/lib.rs"))
    running = opencode.answer(session, tool("bash", "running", command="cargo test"), done=False)
    await watch.look()
    (part,) = opencode.connection.execute(
        "SELECT id FROM part WHERE message_id = ? AND data LIKE '%cargo%'", (running,)
    ).fetchone()
    opencode.change("part", part, bash("cargo test", 0, "test result: ok. 1 passed"))
    opencode.change(
        "message", running, {"time": {"created": opencode.now, "completed": opencode.now}, "finish": "stop"}
    )
    await watch.look()
    assert [watch.label(one) for one in (changed, running)] == ["positive", "positive"]


async def test_another_file_in_its_place_is_read_from_its_beginning(watch, opencode, tmp_path):
    """A copy of itself is read again and stored once; a file that shares nothing leaves the old outcomes alone."""
    verified(opencode, opencode.session())
    await watch.look()
    opencode.run("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(opencode.path, tmp_path / "copy.db")
    opencode.close()
    for ending in ("-wal", "-shm"):
        Path(f"{opencode.path}{ending}").unlink(missing_ok=True)
    (tmp_path / "copy.db").replace(opencode.path)
    assert not any(done.changed for done in await watch.look())
    assert len(watch.outcomes()) == 4
    other = Opencode(tmp_path / "other.db")
    other.now = opencode.now
    verified(other, other.session("ses_other"))
    other.run("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    (tmp_path / "other.db").replace(opencode.path)
    await watch.look()
    assert watch.labels() == {"positive": 8}


async def test_a_writer_is_alive_while_it_is_read(watch, opencode):
    """Committed rows are seen though they stand in the WAL only; an open transaction of the client is no hindrance."""
    session = opencode.session()
    verified(opencode, session)
    opencode.run("BEGIN IMMEDIATE")
    opencode.ask(session, "not committed")
    await watch.look()
    assert watch.labels() == {"positive": 4}
    opencode.run("COMMIT")
    opencode.answer(session, text="and answered")
    await watch.look()
    assert len(watch.outcomes()) == 5


async def test_a_wiped_event_sequence_changes_nothing(watch, opencode):
    """An upgrade once wiped the events while sessions stayed: they are read again, and stored once."""
    verified(opencode, opencode.session())
    await watch.look()
    opencode.run("DELETE FROM event_sequence")
    await watch.look()
    assert len(watch.outcomes()) == 4
    opencode.events = False
    opencode.ask("ses_1", "more")
    opencode.answer("ses_1", text="more")
    await watch.look()
    assert len(watch.outcomes()) == 5


@pytest.mark.parametrize("opencode", [False], indirect=True)
async def test_an_old_part_changed_without_a_trace_is_found_by_turns(watch, opencode):
    """Without an event sequence, and with an untouched session row, the count of rows by turns finds it."""
    for number in range(250):
        verified(opencode, opencode.session(f"ses_{number:03}"))
    await watch.look()
    (part,) = opencode.connection.execute(
        "SELECT id FROM part WHERE session_id = 'ses_007' AND data LIKE '%cargo%'"
    ).fetchone()
    opencode.change("part", part, bash("cargo test", 1, "test result: FAILED"))
    await watch.look()
    assert watch.labels()["negative"] == 2


async def test_an_unknown_version_is_quarantined_by_name(watch, opencode):
    """Sessions of versions nobody knows are refused, each by its name; the rest goes on."""
    for name, version in (("ses_old", "1.2.27"), ("ses_new", "1.19.0"), ("ses_3", "3.0.0"), ("ses_dev", "0.0.0-dev-1"),
                          ("ses_local", "local")):  # fmt: skip
        verified(opencode, opencode.session(name, version=version))
    await watch.look()
    assert {stored.outcome.task for stored in watch.outcomes()} == {"ses_old"}
    assert set(watch.refused()) == {(name, "unknown-version") for name in ("ses_new", "ses_3", "ses_dev", "ses_local")}


async def test_what_cannot_be_read_is_quarantined_by_name(watch, opencode):
    """A part or status nobody knows, and what is no JSON, refuse their message and the answers that rest on it."""
    session = opencode.session()
    fine = verified(opencode, session)
    opencode.ask(session, "go on")
    strange = opencode.answer(session, text="hm")
    opencode.part(session, strange, {"type": "hologram"})
    after = opencode.answer(session, text="so?")
    other = opencode.session("ses_2")
    broken = opencode.ask(other, "do")
    opencode.run("UPDATE part SET data = '{' WHERE message_id = ?", broken)
    late = opencode.answer(other, text="done")
    odd = opencode.answer(other, tool("bash", "exploded", command="ls"))
    await watch.look()
    assert set(watch.by_message()) == set(fine)
    assert set(watch.refused()) == {
        (f"{session}/{strange}", "unknown-part"), (f"{session}/{after}", "broken-history"),
        (f"{other}/{broken}", "not-json"), (f"{other}/{late}", "broken-history"), (f"{other}/{odd}", "unknown-status"),
    }  # fmt: skip


async def test_a_secret_is_quarantined_whole(watch, opencode):
    """In an answer or in what was shown before it; the answers before are taken."""
    session = opencode.session()
    first, *_ = verified(opencode, session)
    opencode.ask(session, "my key is ghp_" + "a1B2" * 10)
    leaked = opencode.answer(session, text="noted")
    await watch.look()
    assert first in watch.by_message()
    assert leaked not in watch.by_message()
    assert (f"{session}/{leaked}", "github-token") in watch.refused()


async def test_an_unknown_schema_is_quarantined_and_the_rest_goes_on(watch, opencode):
    """A table of sessions that lacks columns, one of a later generation, a migration nobody knows: all by name."""
    opencode.run("CREATE TABLE session_v2 (id text PRIMARY KEY)")
    opencode.run("CREATE TABLE session_v3 (id text PRIMARY KEY)")
    opencode.run("INSERT INTO migration VALUES ('20991231_the_unheard_of', 0)")
    verified(opencode, opencode.session())
    await watch.look()
    assert watch.labels() == {"positive": 4}
    assert set(watch.refused()) == {
        ("schema/session_v2", "unknown-schema"), ("schema/session_v3", "unknown-schema"),
        ("schema/migration/20991231_the_unheard_of", "unknown-migration"),
    }  # fmt: skip


async def test_a_file_that_is_none_of_opencode_s_is_a_problem_of_the_source(watch, opencode):
    """It is told once, and read when it has become one."""
    opencode.run("ALTER TABLE session RENAME TO sessions")
    await watch.look()
    (event,) = watch.events("sources.source_failed")
    assert "is no opencode database that is known" in event.body["problem"]
    opencode.run("ALTER TABLE sessions RENAME TO session")
    verified(opencode, opencode.session())
    await watch.look()
    assert watch.labels() == {"positive": 4}
    assert len(watch.events("sources.source_recovered")) == 1


async def test_v2_is_read_and_preferred(store, tmp_path):
    """Both schemas in one file: a session in both is V2's, one in V1 alone is read there."""
    agent = Opencode(tmp_path / "opencode.db", schema=_both())
    verified(agent, agent.session("ses_both"))
    verified(agent, agent.session("ses_v1"))
    _v2_session(agent, "ses_both")
    watch = Watch(store, agent)
    await watch.look()
    by_task: dict[str, dict[str, str]] = {}
    for stored in watch.outcomes():
        by_task.setdefault(stored.outcome.task, {})[stored.outcome.extra["message"]] = (
            stored.outcome.labelled.label.value
        )
    assert set(by_task) == {"ses_both", "ses_v1"}
    assert by_task["ses_both"] == {
        "m3": "positive",
        "m5": "positive",
        "m6": "positive",
        "m7": "unknown",
        "m11": "negative",
    }
    assert watch.refused() == []
    assert watch.by_message()["m3"].outcome.line == "build-rust"
    shown = watch.by_message()["m11"].outcome.messages
    assert [(message.role, message.content) for message in shown] == [
        ("user", "so far: it was fixed\nthe end"), ("user", "again"),
    ]  # fmt: skip
    watch.room.close()
    agent.close()


def _both() -> str:
    without = V1_SCHEMA.replace("CREATE TABLE `session_message`", "CREATE TABLE `old_session_message`")
    kept = [one for one in without.split(";") if "ON `session_message`" not in one]
    return ";".join(kept) + V2_SCHEMA


def _said(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _v2_session(agent: Opencode, name: str) -> None:
    at = agent.tick()
    agent._insert("session_v2", {"id": name, "project_id": "prj", "slug": "s", "directory": "/home/dev/repo",
                                 "version": "2.0.25", "time_created": at, "time_updated": at, "cost": 0.0})  # fmt: skip
    shell = {"type": "tool", "id": "c2", "name": "shell", "executed": True, "time": {"created": at}, "state": {
        "status": "completed", "input": {"command": "cargo test"}, "metadata": {"exit": 0},
        "content": [_said("test result: ok. 1 passed")]}}  # fmt: skip
    change = {"type": "tool", "id": "c1", "name": "edit", "time": {"created": at}, "state": {
        "status": "completed", "input": {"path": "src/lib.rs"}, "content": [_said("done")]}}  # fmt: skip
    base = {"agent": "build", "model": {"id": "coder", "providerID": "local"}}
    rows: list[tuple[str, dict[str, Any]]] = [
        ("agent-switched", {"agent": "build"}),
        ("user", {"text": "fix it", "files": []}),
        ("assistant", {**base, "content": [change], "finish": "tool-calls"}),
        ("model-switched", {"model": {"id": "coder"}}),
        ("assistant", {**base, "content": [shell], "finish": "tool-calls"}),
        ("assistant", {**base, "content": [{"type": "reasoning", "text": "…"}, _said("fixed")], "finish": "stop"}),
        ("assistant", {**base, "content": [_said("and")], "error": {"type": "aborted", "message": "x"}}),
        ("idle", {"outcome": "interrupted"}),
        ("compaction", {"status": "completed", "summary": "so far: it was fixed", "recent": "the end"}),
        ("user", {"text": "again"}),
        ("assistant", {**base, "content": [_said("cut")], "finish": "length"}),
    ]  # fmt: skip
    for number, (kind, data) in enumerate(rows, start=1):
        at = agent.tick()
        held = data | {"time": {"created": at, **({"completed": at} if kind == "assistant" else {})}}
        agent.run("INSERT INTO session_message VALUES (?, ?, ?, ?, ?, ?, ?)",
                  f"m{number}", name, kind, number, at, at, json.dumps(held))  # fmt: skip
