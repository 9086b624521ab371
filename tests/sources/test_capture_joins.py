"""Outcomes and the gateway's calls: whichever comes first, the captured prompt wins, and nothing else changes."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from flywheel.core.examples import prompt_key
from flywheel.core.outcomes import Label, Labelled, Message, Outcome
from flywheel.curate.pools import admit
from flywheel.gateway.calls import Call
from flywheel.gateway.databases import CaptureDatabase
from flywheel.sources.capture_bodies import asked_of, said_of
from flywheel.sources.joins import LONGEST_PROMPT, CapturedCall, answer_key, joined, match
from flywheel.sources.settings import GenericSource
from flywheel.store.captured_calls import joins_of
from flywheel.store.outcomes import waiting_outcomes
from flywheel.store.tables import AttributionRow, ExampleRow

START = datetime(2026, 1, 1, 10, tzinfo=UTC)
SYSTEM = "You are an agent with rules that no database of the agent holds."
TOOLS = [{"type": "function", "function": {"name": "act", "description": "acts", "parameters": {"type": "object"}}}]


def chat(*said, system=SYSTEM, tools=TOOLS, **more):
    """A chat request as bytes."""
    messages = [{"role": "system", "content": system}, *({"role": "user", "content": text} for text in said)]
    return json.dumps({"model": "tool-calling", "messages": messages, "tools": tools, **more}).encode()


def answer(text, **message):
    """A whole chat response as bytes."""
    return json.dumps(
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": text, **message}}]}
    ).encode()


def stream(*deltas):
    """A streamed chat response as bytes."""
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


class Gateway:
    """The gateway's own writer, without the gateway."""

    def __init__(self, path):
        self.path = path
        self.database = CaptureDatabase(path, 2**30)
        self.count = 0

    def call(self, request, response, seconds=1.0, **more):
        """Write a call; return its name."""
        self.count += 1
        values = {
            "id": f"c{self.count}", "at": (START + timedelta(seconds=seconds)).isoformat(timespec="microseconds"),
            "alias": "tool-calling", "model": "tool-calling@2", "arm": "canary", "routing_version": 1,
            "session": "hash", "session_source": "conversation", "task": None, "status": 200, "streamed": False,
            "complete": True, "fallback": False, "request": request, "response": response, "prompt_tokens": 1,
            "completion_tokens": 1, "latency_ms": 1.0, "first_token_ms": 1.0,
        }  # fmt: skip
        self.database.write([Call(**(values | more))])
        return values["id"]


@pytest.fixture
def gateway(tmp_path):
    made = Gateway(tmp_path / "capture.db")
    made.call(chat("hello"), answer("hello to you"))
    yield made
    made.database.close()


@pytest.fixture
def watched(store, agent, house, gateway):
    """A house that watches both the agent and the capture, an hour after what they tell."""
    made = type(house)(store, GenericSource(name="agent", path=agent.path), gateway.path)
    made.clock.advance(11 * 3600)
    yield made
    made.room.close()


def only(watched):
    (stored,) = watched.outcomes()
    return stored


@pytest.mark.asyncio
@pytest.mark.parametrize("late", [False, True])
async def test_the_captured_prompt_wins(watched, agent, gateway, late):
    """Before or after the outcome: messages, tools and who answered come from the capture, label and key do not."""
    agent.task("t1", success=1)
    agent.call("t1", prompt="do it", response="done")
    await watched.cycle() if late else None
    before = watched.outcomes()
    gateway.call(chat("do it"), answer("done"))
    await watched.cycle()
    stored = only(watched)
    assert [(m.role, m.content) for m in stored.outcome.messages] == [("system", SYSTEM), ("user", "do it")]
    assert stored.outcome.tools == tuple(TOOLS)
    assert stored.prompt_key == prompt_key(stored.outcome.messages)
    said = {name: stored.outcome.extra[name] for name in ("call", "answered_by", "arm")}
    assert said == {"call": "c2", "answered_by": "tool-calling@2", "arm": "canary"}
    assert stored.outcome.labelled.label is Label.POSITIVE
    assert not stored.considered
    if late:
        assert stored.outcome.key == before[0].outcome.key
        assert stored.outcome.labelled == before[0].outcome.labelled
        assert stored.revision == before[0].revision + 1
        assert [event.body["joined"] for event in watched.events("sources.calls_attributed")[-1:]] == [1]


@pytest.mark.asyncio
async def test_a_join_outlives_new_readings(watched, agent, gateway):
    """The task is read again, its end changes, everything is read anew, the capture is gone: the prompt stays exact."""
    agent.task("t1", success=1)
    agent.call("t1")
    gateway.call(chat("do it"), answer("done"))
    await watched.cycle()
    exact = only(watched).outcome.messages
    gateway.database.close()
    gateway.path.unlink()
    agent.settle("t1", 0)
    watched.room.ask_full_look()
    await watched.cycle()
    stored = only(watched)
    assert stored.outcome.messages == exact
    assert stored.outcome.tools == tuple(TOOLS)
    assert stored.outcome.extra["call"] == "c2"
    assert stored.outcome.labelled.label is Label.NEGATIVE
    assert stored.prompt_key == prompt_key(exact)


@pytest.mark.asyncio
async def test_a_secret_in_the_captured_prompt_refuses_the_outcome(watched, agent, gateway):
    """The agent's own record is clean, the prompt is not: early or late, nothing of it may be learned from."""
    secret = "AKIA" + "QWERTYUIOPASDFGH"
    for task in ("early", "late"):
        agent.task(task, success=1)
    gateway.call(chat("do early", system=f"the key is {secret}"), answer("done early"))
    agent.call("early", prompt="do early", response="done early")
    agent.call("late", prompt="do late", response="done late")
    await watched.cycle()
    assert [stored.outcome.task for stored in watched.outcomes()] == ["late"]
    gateway.call(chat("do late", system=f"the key is {secret}"), answer("done late"))
    await watched.cycle()
    watched.room.ask_full_look()
    await watched.cycle()
    assert only(watched).outcome.labelled.label is Label.UNKNOWN
    events = watched.events("sources.row_quarantined")
    assert [(event.body["rule"], event.subject) for event in events] == [("aws-access-key", "agent")] * 2
    assert secret not in json.dumps([event.body for event in events])


@pytest.mark.asyncio
async def test_a_session_is_only_what_names_it(watched, agent, gateway):
    """Two sessions ask the same and hear the same: each outcome gets the call that names its session."""
    for number, session in enumerate(("ses_a", "ses_b")):
        agent.task(f"t{number}", success=1, session=session)
        agent.call(f"t{number}")
    for session in ("ses_b", "ses_a"):
        gateway.call(chat("do it", system=session), answer("done"), session=session, session_source="x-session-id")
    await watched.cycle()
    assert {s.outcome.session: s.outcome.messages[0].content for s in watched.outcomes()} == {
        "ses_a": "ses_a", "ses_b": "ses_b",
    }  # fmt: skip


@pytest.mark.asyncio
async def test_what_is_not_certain_stays_as_the_agent_told_it(watched, agent, gateway):
    """Another answer, another question, another time, two different prompts, another task: no join."""
    calls = {
        "answer": [(chat("ask answer"), answer("another"), {})],
        "question": [(chat("something else"), answer("said question"), {})],
        "time": [(chat("ask time"), answer("said time"), {"seconds": 5000})],
        "prompts": [(chat("ask prompts", system=s), answer("said prompts"), {}) for s in ("one", "two")],
        "task": [(chat("ask task"), answer("said task"), {"task": "of somebody else"})],
        "status": [(chat("ask status"), answer("said status"), {"status": 500})],
    }
    for task, made in calls.items():
        agent.task(task, success=1)
        agent.call(task, prompt=f"ask {task}", response=f"said {task}")
        for request, response, more in made:
            gateway.call(request, response, **more)
    await watched.cycle()
    assert [s.outcome.task for s in watched.outcomes() if "call" in s.outcome.extra] == []
    assert all(len(stored.outcome.messages) == 1 for stored in watched.outcomes())


@pytest.mark.asyncio
async def test_repeated_calls_are_joined_in_their_order(watched, agent, gateway):
    """The same question with the same answer three times in a task: each call to the outcome nearest in time."""
    agent.task("t1", success=1)
    for number in range(3):
        agent.call("t1", timestamp=f"2026-01-01T10:0{number}:00Z")
        gateway.call(chat("do it", system=f"try {number}"), answer("done"), seconds=60 * number + 2, task="t1")
    await watched.cycle()
    assert [stored.outcome.messages[0].content for stored in watched.outcomes()] == ["try 0", "try 1", "try 2"]


@pytest.mark.asyncio
async def test_who_answered_is_known_under_the_outcome_s_task(watched, agent, gateway, store):
    """A call that only names the session is attributed to the task whose outcome it was."""
    agent.task("t1", success=1, session="ses_a")
    agent.call("t1")
    gateway.call(chat("do it"), answer("done"), session="ses_a", session_source="x-session-affinity")
    await watched.cycle()
    with store.read() as session:
        assert [row.task for row in session.exec(select(AttributionRow)).all()] == ["hash", "t1"]


@pytest.mark.asyncio
async def test_a_capture_that_is_damaged_stops_no_source(watched, agent, gateway):
    """The source is stored as the agent told it; when the capture is whole again, its calls are joined after all."""
    agent.task("t1", success=1)
    await watched.cycle()
    gateway.call(chat("do it"), answer("done"))
    await watched.cycle()
    watched.room.close()
    gateway.database.close()
    whole = gateway.path.read_bytes()
    gateway.path.write_bytes(b"no database at all" * 100)
    agent.call("t1")
    await watched.cycle()
    assert "call" not in only(watched).outcome.extra
    assert [event.subject for event in watched.events("sources.source_failed")] == ["gateway"]
    gateway.path.write_bytes(whole)
    await watched.cycle()
    assert only(watched).outcome.extra["call"] == "c2"


@pytest.mark.asyncio
async def test_a_late_call_replaces_what_was_learned(watched, agent, gateway, store):
    """An example that was taken before its call came is let go of; the one with the exact prompt and tools stands."""
    line = watched.lines["tool-calling"]
    agent.task("t1", success=1)
    agent.call("t1")

    async def admitted():
        await watched.cycle()
        with store.write() as session:
            admit(session, line, waiting_outcomes(session, line.name, 10), 0)
            rows = session.exec(select(ExampleRow).order_by(ExampleRow.seq)).all()
            return [(row.withdrawn, row.body["messages"][0][0], row.body.get("tools")) for row in rows]

    assert await admitted() == [(False, "user", None)]
    gateway.call(chat("do it"), answer("done"))
    assert await admitted() == [(True, "user", None), (False, "system", TOOLS)]


@pytest.mark.asyncio
async def test_a_prompt_too_long_for_any_line_is_left(watched, agent, gateway):
    """The outcome keeps the messages that the agent told, and knows the tools and who answered."""
    agent.task("t1", success=1)
    agent.call("t1")
    gateway.call(chat("do it", system="x" * (LONGEST_PROMPT + 1)), answer("done"))
    await watched.cycle()
    outcome = only(watched).outcome
    assert [message.role for message in outcome.messages] == ["user"]
    assert (outcome.tools, outcome.extra["answered_by"]) == (tuple(TOOLS), "tool-calling@2")


@pytest.mark.asyncio
async def test_nothing_waits_for_ever(watched, agent, gateway, store):
    """An outcome waits a week for its call, and a joined one waits no more."""
    agent.task("t1", success=1)
    agent.call("t1")
    gateway.call(chat("x"), answer("y"))
    await watched.cycle()

    def waiting():
        with store.read() as session:
            return session.connection().exec_driver_sql("SELECT count(*) FROM unjoined_outcomes").scalar()

    assert waiting() == 1
    watched.clock.advance(8 * 86400)
    gateway.call(chat("x"), answer("z"))
    await watched.cycle()
    assert waiting() == 0


def test_every_dialect_is_read():
    """Chat, text completion and Ollama's two, whole and streamed, say the same."""
    call = {"name": "act", "arguments": {"a": 1}}
    native = {"function": {"name": "act", "arguments": '{"a": 1}'}, "id": "1", "type": "function"}
    pieces = [{"role": "assistant", "content": ""}, {"content": "I "}, {"content": "act"},
              {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "act", "arguments": ""}}]},
              {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
              {"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]}, {}]  # fmt: skip
    ollama = [{"message": {"role": "assistant", "content": "I "}, "done": False},
              {"message": {"content": "act", "tool_calls": [{"function": call}]}, "done": True}]  # fmt: skip
    responses = [answer("I act", tool_calls=[native]), stream(*pieces),
                 b"\n".join(json.dumps(line).encode() for line in ollama)]  # fmt: skip
    assert len({answer_key(said_of(response).text) for response in responses}) == 1
    assert said_of(responses[0]).text == f"I act\n<tool_call>\n{json.dumps(call)}\n</tool_call>"
    texts = [json.dumps({"choices": [{"index": 0, "text": "two words"}]}).encode(), b'{"response": "two words"}',
             b'{"response": "two "}\n{"response": "words", "done": true}\n']  # fmt: skip
    assert {said_of(text).text for text in texts} == {"two words"}
    asked = [asked_of(b'{"prompt": "p"}'), asked_of(b'{"prompt": ["p"]}'), asked_of(b'{"prompt": "p", "system": "s"}')]
    assert [[m.role for m in one.messages] for one in asked] == [["user"], ["user"], ["system", "user"]]


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from(["choices", "delta", "message"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["choices", "delta", "message", "messages", "prompt", "tool_calls", "function", "name",
                         "arguments", "index", "content", "response", "tools", "role", "text", "system"]),
        inner, max_size=4), max_leaves=12).map(lambda held: json.dumps(held).encode()))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_no_bytes_are_an_error(data):
    """Whatever a capture holds is an answer and a question or none."""
    asked, said = asked_of(data), said_of(data)
    assert asked is None or asked.messages
    assert said is None or answer_key(said.text) is not None


WORDS = st.sampled_from(["yes", "done", "I act", "", '<tool_call>{"name": "a", "arguments": {}}</tool_call>'])
NAMES = st.sampled_from(["", "s1", "s2"])
QUESTIONS = st.sampled_from(["do it", "please do it now", "else", ""])
SECONDS = st.integers(0, 2000)
LABELS = st.builds(Labelled, label=st.sampled_from(Label), confidence=st.floats(0, 1))


def made_outcome(key, session, task, question, response, seconds, labelled):
    return Outcome(
        key=key, source="agent", task=task, session=session, group="g", call_type="act", model="m",
        at=START + timedelta(seconds=seconds), messages=(Message(role="user", content=question),),
        response=response, labelled=labelled,
    )  # fmt: skip


def made_call(call, session, task, question, response, seconds, system, complete):
    messages = (Message(role="system", content=system), Message(role="user", content=question))
    return CapturedCall(
        call=call, at=START + timedelta(seconds=seconds), session=session, task=task, model="m@1", arm="active",
        complete=complete, messages=messages, tools=(), response=response,
    )  # fmt: skip


KEYS = st.integers(0, 50).map(str)
OUTCOMES = st.lists(
    st.builds(made_outcome, KEYS, NAMES, NAMES, QUESTIONS, WORDS, SECONDS, LABELS), max_size=12,
    unique_by=lambda outcome: outcome.key,
)  # fmt: skip
CALLS = st.lists(
    st.builds(made_call, KEYS, NAMES, NAMES, QUESTIONS, WORDS, SECONDS, NAMES, st.booleans()), max_size=12,
    unique_by=lambda call: call.call,
)  # fmt: skip


@given(OUTCOMES, CALLS)
@settings(max_examples=300, deadline=None)
def test_a_join_changes_nothing_but_the_prompt(outcomes, calls):
    """No call is two outcomes; label, key, answer and all the rest stay; the order of what is given does not matter."""
    found = match(outcomes, calls)
    assert len({call.call for call in found.values()}) == len(found)
    assert {key: call.call for key, call in found.items()} == {
        key: call.call for key, call in match(outcomes[::-1], calls[::-1]).items()
    }
    for outcome in outcomes:
        if outcome.key not in found:
            continue
        after = joined(outcome, found[outcome.key])
        changed = {name for name in Outcome.model_fields if getattr(after, name) != getattr(outcome, name)}
        assert changed <= {"messages", "tools", "extra"}
        assert after.messages == found[outcome.key].messages


@given(OUTCOMES, CALLS)
@settings(max_examples=200, deadline=None)
def test_what_names_another_task_is_never_joined_by_its_words(outcomes, calls):
    """A call that names a task is an outcome of that task or of the session it names, never a stranger's."""
    by_key = {outcome.key: outcome for outcome in outcomes}
    for key, call in match(outcomes, calls).items():
        outcome = by_key[key]
        if call.task:
            assert call.task == outcome.task or (call.session and call.session == outcome.session)


@pytest.mark.asyncio
async def test_the_store_keeps_each_call_for_one_outcome(watched, agent, gateway, store):
    """Two sources tell the same call: the first that was stored has it, the other stays as it was told."""
    agent.task("t1", success=1)
    agent.task("t2", success=1)
    agent.call("t1")
    agent.call("t2")
    gateway.call(chat("do it"), answer("done"))
    await watched.cycle()
    keys = [stored.outcome.key for stored in watched.outcomes()]
    with store.read() as session:
        assert len(joins_of(session, keys)) == 1
    assert sum("call" in stored.outcome.extra for stored in watched.outcomes()) == 1


def test_a_capture_is_written_by_the_gateway_s_own_hand(gateway):
    """The double of the gateway writes the table that the real one writes."""
    gateway.call(chat("a"), answer("b"))
    with sqlite3.connect(gateway.path) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (2,)
    connection.close()
