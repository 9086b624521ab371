"""The capture's copies of calls beside the calls they repeat, as rollout compares them."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from flywheel.gateway.calls import Call
from flywheel.gateway.databases import CaptureDatabase
from flywheel.sources.shadow_pairs import ShadowPairs

START = datetime(2026, 1, 1, 10, tzinfo=UTC)
MODEL = "tool-calling@2"


def answer(text):
    return json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}).encode()


@pytest.fixture
def capture(tmp_path):
    """The gateway's own writer, without the gateway."""
    database = CaptureDatabase(tmp_path / "capture.db", 2**30)

    def write(call, response=b"", seconds=1.0, **more):
        values = {
            "id": call, "at": (START + timedelta(seconds=seconds)).isoformat(timespec="microseconds"),
            "alias": "tool-calling", "model": "tool-calling@1", "arm": "active", "routing_version": 1,
            "session": "s", "session_source": "conversation", "task": None, "status": 200, "streamed": False,
            "complete": True, "fallback": False, "request": b"{}", "response": response, "prompt_tokens": 1,
            "completion_tokens": 1, "latency_ms": 7.0, "first_token_ms": 1.0,
        }  # fmt: skip
        database.write([Call(**(values | more))])

    def copy(of, text, **more):
        write(
            f"copy of {of}", answer(text), **{"model": MODEL, "arm": "shadow", "mirrors": of, "latency_ms": 9.0} | more
        )

    write.copy = copy
    write.path = tmp_path / "capture.db"
    yield write
    database.close()


def pairs(capture, known=(), limit=10, since=START):
    return ShadowPairs(capture.path).pairs(MODEL, since, limit, known)


def test_a_copy_is_read_beside_the_call_it_repeats(capture):
    """Both answers as text, with status and times; each side's are its own."""
    capture("c1", answer("yes"))
    capture.copy("c1", "no", status=500)
    (found,) = pairs(capture)
    assert found.call == "copy of c1"
    assert (found.shown.text, found.shown.status, found.shown.latency_ms) == ("yes", 200, 7.0)
    assert (found.shadow.text, found.shadow.status, found.shadow.latency_ms) == ("no", 500, 9.0)


def test_only_copies_of_that_model_since_then_whose_call_is_known_are_pairs(capture):
    """Other models' copies, older ones, and one whose call was not written yet, are none."""
    capture("c1", answer("yes"))
    capture.copy("c1", "no", model="another@1")
    capture("c2", answer("yes"))
    capture.copy("c2", "no", seconds=-1)
    capture.copy("c3", "no")
    assert pairs(capture) == []
    capture("c3", answer("yes"))
    assert [pair.call for pair in pairs(capture)] == ["copy of c3"]


def test_what_is_known_is_not_read_again_and_no_more_than_wanted(capture):
    """The first so many copies count, in the order they were written."""
    for name in ("c1", "c2", "c3"):
        capture(name, answer("yes"))
        capture.copy(name, "no")
    assert [pair.call for pair in pairs(capture, limit=2)] == ["copy of c1", "copy of c2"]
    assert [pair.call for pair in pairs(capture, known={"copy of c1"}, limit=2)] == ["copy of c2"]


def test_a_body_that_was_not_kept_is_not_an_empty_answer(capture):
    """Nothing kept is unknown; kept bytes that say nothing are an empty answer."""
    capture("c1", b"")
    capture.copy("c1", "", seconds=2)
    (found,) = pairs(capture)
    assert (found.shown.text, found.shadow.text) == (None, "")


@pytest.mark.parametrize("content", [None, b"no database", "CREATE TABLE calls (id TEXT)"])
def test_a_capture_that_is_away_broken_or_older_holds_no_pairs(tmp_path, content):
    """Rollout waits; it never fails for want of a capture."""
    path = tmp_path / "capture.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        with sqlite3.connect(path) as connection:
            connection.execute(content)
        connection.close()
    assert ShadowPairs(path).pairs(MODEL, START, 5, ()) == []
