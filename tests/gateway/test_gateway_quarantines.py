"""What holds a secret is kept without its words: the numbers stay, the bodies never reach the disk."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from gateway_house import House
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.clocks import SystemClock
from flywheel.gateway import shelves
from flywheel.gateway.calls import Call
from flywheel.gateway.captures import CaptureWriter
from flywheel.gateway.quarantines import quarantined, secret_in

KEY = "ghp_" + "Ab1Cd2Ef3Gh4" * 3
SAFE = b'{"messages": [{"role": "user", "content": "hello"}]}'


def call(request: bytes = SAFE, response: bytes = b"{}", session: str = "s1", task: str | None = None) -> Call:
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    return Call(
        "c1", at, "a", "m", "active", 1, session, "prompt", task, 200, False, True, False,
        request, response, 7, 4, 3.0, 1.0,
    )  # fmt: skip


def asked(content: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode()


def streamed(*pieces: str, **where: str) -> bytes:
    key = where.get("key", "content")
    events = [{"id": f"id{KEY[:0]}", "choices": [{"index": 0, "delta": {key: piece}}]} for piece in pieces]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    "one",
    [
        call(asked(f"my key is {KEY}")),
        call(asked([{"type": "text", "text": f"my key is {KEY}"}])),
        call(json.dumps({"model": "m", "prompt": f"key\n{KEY}\n"}).encode()),
        call(f"not json {KEY} at all".encode()),
        call(response=json.dumps({"choices": [{"message": {"content": KEY}}]}).encode()),
        call(response=streamed(*KEY)),
        call(response=streamed("the key ", KEY[:9], KEY[9:], " it is", key="reasoning_content")),
        call(response=b"".join(json.dumps({"message": {"content": c}, "done": False}).encode() + b"\n" for c in KEY)),
        call(response=b'event: delta\ndata: {"delta": "' + KEY[:7].encode() + b'"}\n\ndata: {"delta": "'
             + KEY[7:].encode() + b'"}\n\n'),
        call(asked("x") [:-2] + b', "password": "hunter22-long"}]}'),
        call(b'{"tools": [{"function": {"arguments": {"env": {"password": "hunter22-long"}}}}]}'),
        call(response=b"data: {broken " + KEY.encode()),
        call(session=KEY),
        call(task=KEY),
    ],
)  # fmt: skip
def test_a_secret_is_found_wherever_it_is_said(one: Call) -> None:
    """In any dialect, whole or in pieces, in words, arguments and names; and then nothing of it is left."""
    kept = quarantined(one)
    assert kept.quarantine
    assert (kept.request, kept.response) == (b"", b"")
    assert KEY not in repr(kept)
    assert (kept.prompt_tokens, kept.completion_tokens, kept.latency_ms, kept.status) == (7, 4, 3.0, 200)


@pytest.mark.parametrize(
    "one",
    [
        call(),
        call(b"", b""),
        call(asked("def password(token): return token")),
        call(asked([{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUtJ" * 5000}}])),
        call(response=json.dumps({"choices": [{"logprobs": {"content": [{"token": "x86_64b"}]}}]}).encode()),
        call(response=streamed(*["word "] * 50)),
    ],
)
def test_what_is_no_secret_stays_as_it_is(one: Call) -> None:
    """Code that speaks of passwords, pictures and words with their probabilities are kept, byte for byte."""
    assert quarantined(one) is one


def test_the_calls_of_a_session_stay_together_when_its_name_is_a_secret() -> None:
    """The name becomes a hash; another session's is another, and a task's name goes."""
    first, second = quarantined(call(session=KEY, task="t")), quarantined(call(asked("more"), session=KEY))
    assert first.session == second.session != KEY
    assert first.task is None
    assert quarantined(call(asked(KEY), task="t")).task == "t"


JSON = st.recursive(st.none() | st.floats() | st.text(), lambda one: st.lists(one) | st.dictionaries(st.text(), one))


@settings(max_examples=40, deadline=None)
@given(JSON)
def test_anything_can_be_looked_through(value: object) -> None:
    """Whatever JSON an agent sends or a server answers is judged, never an error."""
    data = json.dumps(value).encode()
    secret_in(call(data, data))
    secret_in(call(data[1:], b"data: " + data[:-1] + b"\ndata: " + data))


def test_a_call_that_cannot_be_looked_through_is_kept_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the search itself fails, that call loses its bodies, and the writer goes on."""

    def fail(one: Call) -> Call:
        if b"odd" in one.request:
            raise ValueError
        return one

    monkeypatch.setattr(shelves, "quarantined", fail)
    writer = CaptureWriter(tmp_path / "c.db", SystemClock())
    writer.start()
    writer.offer(call(b"odd"))
    writer.offer(call()._replace(id="c2"))
    counts = writer.close()
    assert (counts.written, counts.quarantined, counts.dropped) == (2, 1, 0)
    assert b"odd" not in (tmp_path / "c.db").read_bytes()


@pytest.mark.asyncio
async def test_a_secret_never_reaches_the_disk(house: House) -> None:
    """The agent gets its answer; the row has its numbers and the rule; no file of the home holds the words."""
    await house.start()
    await house.apply(house.routing())
    response, _ = await house.chat(messages=[{"role": "user", "content": f"use {KEY} please"}])
    await house.chat()
    first, second = await house.rows(2)
    assert response.status == 200
    assert (first["quarantine"], first["request"], first["response"]) == ("github-token", b"", b"")
    assert (first["status"], first["arm"], first["completion_tokens"]) == (200, "active", 4)
    assert (second["quarantine"], bool(second["request"])) == (None, True)
    assert house.station.capture
    assert house.station.capture.counts().quarantined == 1
    for path in house.home.iterdir():
        assert KEY.encode() not in path.read_bytes()
    async with house.client.get("/flywheel/routing") as told:
        assert (await told.json())["capture"]["quarantined"] == 1
