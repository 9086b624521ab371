"""Calls to /v1/responses are read like any other call of the capture."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.gateway.double_answers import responses_events, responses_whole
from flywheel.sources.capture_bodies import asked_of, said_of

CALL = {"type": "function_call", "call_id": "1", "name": "act", "arguments": '{"a": 1}'}
WRITTEN = '<tool_call>\n{"name": "act", "arguments": {"a": 1}}\n</tool_call>'


def dumped(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def test_a_conversation_is_read() -> None:
    """Instructions, parts, calls and their results become messages; thoughts do not."""
    given = [
        {"role": "user", "content": [{"type": "input_text", "text": "go"}]},
        {"type": "reasoning", "summary": []},
        CALL,
        {"type": "function_call_output", "call_id": "1", "output": "gone"},
    ]
    tool = {"type": "function", "name": "act", "parameters": {"type": "object"}}
    asked = asked_of(dumped(model="m", instructions="be brief", input=given, tools=[tool]))
    assert asked
    assert [(message.role, message.content) for message in asked.messages] == [
        ("system", "be brief"), ("user", "go"), ("assistant", WRITTEN), ("tool", "gone"),
    ]  # fmt: skip
    assert asked.tools == ({"type": "function", "function": {"name": "act", "parameters": {"type": "object"}}},)
    short = asked_of(dumped(model="m", input="go"))
    assert short
    assert [message.content for message in short.messages] == ["go"]


def test_answers_are_read_whole_and_streamed() -> None:
    """Text and calls are told once, in whichever form they came."""
    text = [{"type": "output_text", "text": "on "}, {"type": "output_text", "text": "it"}]
    output = [{"type": "reasoning"}, {"type": "message", "role": "assistant", "content": text}, CALL]
    whole = said_of(dumped(object="response", output=output))
    events = [
        {"type": "response.created", "response": {"output": []}},
        {"type": "response.output_text.delta", "delta": "on "},
        {"type": "response.output_text.delta", "delta": "it"},
        {"type": "response.output_item.done", "item": {"type": "message", "content": text}},
        {"type": "response.output_item.done", "item": CALL},
        {"type": "response.completed", "response": {"object": "response", "output": output}},
    ]
    stream = said_of(b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events))
    assert whole == stream
    assert whole
    assert (whole.text, whole.calls) == (f"on it\n{WRITTEN}", 1)
    fields = {"model": "m"}
    double = [said_of(dumped(**responses_whole(fields, 2))), said_of(b"".join(responses_events(fields, 2)))]
    assert [said.text for said in double if said] == ["word word ", "word0 word1 "]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(
    st.none() | st.booleans() | st.text(max_size=4) | st.sampled_from(["message", "function_call", "response",
        "function_call_output", "output_text", "response.output_text.delta", "response.output_item.done", "user"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "input", "type", "role", "content", "text", "name", "arguments", "output", "object", "item", "delta", "tools",
        "instructions"]), inner, max_size=4), max_leaves=12))  # fmt: skip
def test_nothing_surprises_the_reader(value: Any) -> None:
    """Whatever stands there is read or left."""
    data = json.dumps(value).encode()
    asked_of(data)
    said_of(data)
