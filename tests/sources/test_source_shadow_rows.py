"""Calls that were made for comparison, and calls that lost their words: what the daemon makes of them, and what not."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from flywheel.gateway.calls import Call
from flywheel.gateway.databases import CaptureDatabase
from flywheel.sources.captures import CaptureReader

ASKED = b'{"model": "line", "messages": [{"role": "user", "content": "hello there"}]}'
SAID = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "an answer"}}]}'
CALL = Call(
    "shown", "", "line", "line@1", "active", 1, "s1", "x-session-id", "t1", 200, False, True, False,
    ASKED, SAID, 7, 4, 3.0, 1.0,
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A capture with a call, its shadow, and a call that held a secret."""
    call = CALL._replace(at=datetime.now(UTC).isoformat(timespec="microseconds"))
    shadow = call._replace(id="shadow", model="line@2", arm="shadow", mirrors="shown")
    quiet = call._replace(id="quiet", request=b"", response=b"", quarantine="github-token")
    database = CaptureDatabase(tmp_path / "capture.db", 2**30)
    database.write([call, shadow, quiet])
    database.close()
    return tmp_path / "capture.db"


def test_a_shadow_is_no_arms(path: Path) -> None:
    """Nobody saw its answer: no adapter is judged by it, and no outcome is joined to it."""
    reader = CaptureReader(path)
    batch = reader.read({})
    assert "shadow" not in {call.call for call in batch.calls}
    assert "shadow" not in {call.call for call in batch.known}
    assert [call.call for call in reader.fetch(["shadow", "shown"])] == ["shown"]
    reader.close()


def test_a_call_without_its_words_still_says_who_answered(path: Path) -> None:
    """It counts for its arm by its task and is found by no answer, so that no outcome takes its words from it."""
    reader = CaptureReader(path)
    batch = reader.read({})
    (quiet,) = [call for call in batch.calls if call.call == "quiet"]
    assert (quiet.name, quiet.arm, quiet.task, quiet.line) == ("line@1", "active", "t1", "line")
    assert {call.call for call in batch.known} == {"shown"}
    assert reader.fetch(["quiet"]) == []
    reader.close()
