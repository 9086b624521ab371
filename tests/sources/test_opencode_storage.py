# ruff: noqa: D102 - the double's methods say what they do by name
"""The JSON files that opencode kept before it had a database."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from opencode_agents import START, bash, edit

from flywheel.core.clocks import ManualClock
from flywheel.core.lines import Line, Select
from flywheel.sources.run import SourcesRoom
from flywheel.sources.settings import OpencodeSource
from flywheel.store.ledger import events
from flywheel.store.outcomes import list_outcomes

pytestmark = pytest.mark.asyncio


class Storage:
    """A `storage` folder, and the room that reads it."""

    def __init__(self, root: Path, store: Any) -> None:
        self.root = root
        self.store = store
        self.clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
        self.write("project/p1.json", {"id": "p1", "worktree": "/home/dev/repo", "vcs": "git"})
        self.write("session_share/ses_1.json", {"secret": "ghp_" + "a1B2" * 10})
        lines = {"build-rust": Line(name="r", why="w", base="b", select=Select(tags=("language:rust",)))}
        self.room = SourcesRoom(store, self.clock, [OpencodeSource(name="oc", path=root)], lambda: lines)

    def write(self, name: str, held: Any) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(held if isinstance(held, str) else json.dumps(held))

    def session(self, name: str, version: str = "1.1.65", **more: Any) -> None:
        time = {"created": START, "updated": START + 9000}
        held = {"id": name, "projectID": "p1", "directory": "/home/dev/repo", "version": version, "time": time}
        self.write(f"session/p1/{name}.json", held | more)

    def message(self, session: str, number: int, role: str, *parts: dict[str, Any], **more: Any) -> None:
        name = f"msg_{session}_{number}"
        time = {"created": START + number * 1000} | (
            {"completed": START + number * 1000} if role == "assistant" else {}
        )
        self.write(f"message/{session}/{name}.json", {"id": name, "role": role, "time": time, **more})
        for index, part in enumerate(parts):
            held = {"id": f"prt_{index}", "messageID": name, "sessionID": session, "type": "tool", **part}
            self.write(f"part/{name}/prt_{index}.json", held)

    def turn(self, session: str, status: int = 0) -> None:
        self.message(session, 1, "user", {"type": "text", "text": "fix it"})
        self.message(
            session, 2, "assistant", {"type": "step-start"}, edit("src/lib.rs"), modelID="m", finish="tool-calls"
        )
        self.message(session, 3, "assistant", {"type": "step-start"}, bash("cargo test", status), modelID="m")

    async def look(self) -> dict[str, str]:
        self.clock.advance(120)
        for proposal in (await self.room.propose()).proposals:
            await self.room.perform(proposal.intent, None)
        with self.store.read() as session:
            stored = [one.outcome for one in list_outcomes(session, limit=100)]
        return {outcome.extra["message"]: outcome.labelled.label.value for outcome in stored}

    def refused(self) -> set[tuple[str, str]]:
        with self.store.read() as session:
            found = events(session, kinds=("sources.row_quarantined",))
        return {(event.body["row"], event.body["rule"]) for event in found}


@pytest.fixture
def storage(tmp_path, store):
    made = Storage(tmp_path / "storage", store)
    yield made
    made.room.close()


async def test_sessions_in_files_are_read(storage):
    """Session, messages and parts together, with repo, line and label; nothing else in the folder is opened."""
    storage.session("ses_1")
    storage.turn("ses_1")
    assert await storage.look() == {"msg_ses_1_2": "positive", "msg_ses_1_3": "positive"}
    assert storage.refused() == set()
    with storage.store.read() as session:
        outcome = list_outcomes(session, limit=1)[0].outcome
    assert (outcome.session, outcome.group, outcome.line) == ("ses_1", "/home/dev/repo", "build-rust")
    assert not (await storage.room.propose()).proposals


async def test_a_file_written_over_is_found(storage):
    """A part that changes in its place, long after, changes the labels."""
    storage.session("ses_1")
    storage.turn("ses_1")
    await storage.look()
    storage.turn("ses_1", status=101)
    assert await storage.look() == {"msg_ses_1_2": "negative", "msg_ses_1_3": "unknown"}


async def test_what_was_found_is_told_until_it_was_read(storage):
    """The daemon asks whether anything changed, and the room asks again at once: both hear the same."""
    storage.session("ses_1")
    storage.turn("ses_1")
    await storage.look()
    await storage.look()
    storage.clock.advance(5)
    assert not storage.room.changed()
    storage.session("ses_2")
    storage.turn("ses_2")
    storage.clock.advance(5)
    assert [storage.room.changed() for _ in range(3)] == [True] * 3
    assert len(await storage.look()) == 4


async def test_files_that_are_gone_are_gone(storage):
    """A session's file deleted: its outcomes teach nobody."""
    for name in ("ses_1", "ses_2"):
        storage.session(name)
        storage.turn(name)
    await storage.look()
    (storage.root / "session/p1/ses_1.json").unlink()
    found = await storage.look()
    assert {name for name, label in found.items() if label == "unknown"} == {"msg_ses_1_2", "msg_ses_1_3"}


async def test_what_cannot_be_read_is_quarantined_by_name(storage):
    """A torn session, a torn message, bytes, an unknown version, a layout that is older still; the rest is read."""
    for name in ("ses_1", "ses_2", "ses_3"):
        storage.session(name, version="9.0.0" if name == "ses_3" else "1.0.7")
        storage.turn(name)
    storage.write("session/p1/ses_4.json", '{"id": ')
    storage.write("message/ses_2/msg_ses_2_2.json", '{"role": "assist')
    (storage.root / "part/msg_ses_2_3/prt_1.json").write_bytes(b'{"type": "\xff"}')
    storage.write("session/info/ses_0.json", {})
    found = await storage.look()
    assert set(found) == {"msg_ses_1_2", "msg_ses_1_3"}
    assert {("session/ses_4", "not-json"), ("ses_2/msg_ses_2_2", "not-json"), ("ses_2/msg_ses_2_3", "wrong-type"),
            ("ses_3", "unknown-version"), ("schema/session/info", "unknown-schema")} <= storage.refused()  # fmt: skip


async def test_the_folder_above_will_do(storage, store):
    """A source may name the data folder; one that holds no sessions is told once."""
    storage.session("ses_1")
    storage.turn("ses_1")
    storage.room.close()
    storage.room = SourcesRoom(store, storage.clock, [OpencodeSource(name="oc", path=storage.root.parent)], dict)
    assert len(await storage.look()) == 2
    storage.room.close()
    empty = storage.root.parent / "empty"
    empty.mkdir()
    storage.room = SourcesRoom(store, storage.clock, [OpencodeSource(name="other", path=empty)], dict)
    await storage.look()
    with store.read() as session:
        (event,) = events(session, kinds=("sources.source_failed",))
    assert "is no folder in which opencode kept sessions" in event.body["problem"]
