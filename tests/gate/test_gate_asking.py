import json
from itertools import groupby
from pathlib import Path

import pytest
from gate_house import IMPATIENT, make_gate, make_spec
from hypothesis import given
from hypothesis import strategies as st
from measuring_house import TOOL, StreamingServer, publish_problems, tool_problem

from flywheel.core.clocks import SystemClock
from flywheel.core.errors import UnavailableError
from flywheel.core.lines import Sampling
from flywheel.gate.answers import AnswerLog
from flywheel.gate.evidence import compare
from flywheel.gate.figures import figures
from flywheel.gate.manners import Manners
from flywheel.gate.questions import BLOCK_ROUNDS, Asker
from flywheel.gate.streams import Reply
from flywheel.gate.suites import read_problems

ROLES = {"base": "base", "candidate": "scope@1"}


async def ask(folder, server, problems=None, **changes):
    """Ask everything in this process; return the answers by key."""
    manifest = publish_problems(folder / "suites", problems or [tool_problem(n) for n in range(6)])
    spec = make_spec(folder, server.url, manifest, **changes)
    with AnswerLog(Path(spec.out) / "answers.jsonl") as log:
        await Asker(spec, log, SystemClock(), lambda _: None).ask_all(read_problems(Path(spec.suite_path)))
        return log.answers


def sent(*events):
    """The bytes of a stream."""
    return b"".join(f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n".encode() for one in events)


def said(**delta):
    return {"choices": [{"index": 0, "delta": delta}]}


@pytest.mark.asyncio
async def test_every_answer_is_streamed_and_timed_as_production_sees_it(tmp_path):
    """Streamed answers tell when their first token came and how many there were; figures follow for both roles."""
    problems = [tool_problem(n) for n in range(6)]
    async with StreamingServer(pause=0.01) as server:
        answers = await ask(tmp_path, server, problems)
    assert all(body["stream"] and body["stream_options"] == {"include_usage": True} for body in server.bodies)
    assert not [one for one in answers.values() if one.error]
    assert all(0.01 <= one.first_token < one.seconds for one in answers.values())
    assert all(one.tokens == len(one.text) > 0 for one in answers.values())
    seen = figures(compare(problems, answers.values(), "json"))
    for role in ROLES:
        assert 0 < seen[f"{role}.first_token"] < seen[f"{role}.seconds"]
        assert seen[f"{role}.tokens_per_second"] > 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("settings", "streamed", "counted"),
    [
        ({}, True, True),
        ({"lacks": {"stream_options"}}, True, False),
        ({"lacks": {"stream_options", "stream"}}, False, True),
        ({"plain": True}, False, True),
    ],
)
async def test_a_server_without_streams_is_asked_without_and_the_answers_are_the_same(
    tmp_path, settings, streamed, counted
):
    """Whatever a server can do of streaming and counting, it gives the same texts, and no refusal is an answer."""
    async with StreamingServer() as reference:
        whole = await ask(tmp_path / "reference", reference)
    async with StreamingServer(**settings) as server:
        answers = await ask(tmp_path / "here", server)
    assert {key: one.text for key, one in answers.items()} == {key: one.text for key, one in whole.items()}
    assert {one.first_token > 0 for one in answers.values()} == {streamed}
    assert {one.tokens > 0 for one in answers.values()} == {counted}
    assert all(count == 1 for count in server.asked.values())
    assert len(server.bodies) - len(answers) <= 2 * 4  # each refusal costs at most what was under way


@pytest.mark.asyncio
@pytest.mark.parametrize("lacks", [frozenset(), frozenset({"tool_choice"})])
async def test_tools_are_offered_as_they_were(tmp_path, lacks):
    """A problem's schemas go with its question; a server that cannot choose still shows them to the model."""
    problems = [tool_problem(1, tools=(TOOL,)), tool_problem(2)]
    async with StreamingServer(lacks=lacks) as server:
        answers = await ask(tmp_path, server, problems)
    answered = [body for body in server.bodies if not lacks or body.get("tool_choice") != "auto"]
    assert not [one for one in answers.values() if one.error]
    with_tools = [body for body in answered if body["messages"][0]["content"].endswith("1.py")]
    assert [body["tools"] for body in with_tools] == [[TOOL]] * 4
    assert {body["tool_choice"] for body in with_tools} == {"none" if lacks else "auto"}
    assert not [body for body in answered if body not in with_tools and "tools" in body]


@pytest.mark.asyncio
async def test_native_calls_come_together_from_their_pieces(tmp_path):
    """A call that is streamed in pieces scores as the same call written out."""
    problems = [tool_problem(n) for n in range(8)]
    scores = []
    for native in (False, True):
        async with StreamingServer(native=native) as server:
            answers = await ask(tmp_path / str(native), server, problems)
        scores.append([one.roles["candidate"].scores for one in compare(problems, answers.values())])
    assert scores[0] == scores[1]
    assert sum(map(sum, scores[1])) > 8


@pytest.mark.asyncio
async def test_only_what_the_transport_lost_is_asked_again(tmp_path):
    """A stream cut off in the middle is asked again and leaves no trace; a status of 400 is an answer, asked once."""
    async with StreamingServer(drop=5) as server:
        answers = await ask(tmp_path / "dropped", server, patience=IMPATIENT.model_copy(update={"silence": 30}))
        assert not [one for one in answers.values() if one.error]
        assert len(server.bodies) == len(answers) + 5
    async with StreamingServer(refused={"scope@1": (400, "the prompt is too long")}) as server:
        answers = await ask(tmp_path / "refused", server)
        assert len(server.bodies) == len(answers)
    errors = {one.role: one.error for one in answers.values()}
    assert "status 400" in errors["candidate"]
    assert errors["base"] == ""


@pytest.mark.asyncio
async def test_an_answer_that_begins_and_does_not_end_in_time_counts_at_once(tmp_path):
    """Who babbles on past the limit is not asked again: that was the answer, and what was said is kept."""
    gate = make_gate(sampling=Sampling(samples=1, concurrency=8, timeout_seconds=1.5))
    async with StreamingServer(stuck={"scope@1"}) as server:
        answers = await ask(tmp_path, server, gate=gate)
        assert len(server.bodies) == len(answers)
    stuck = [one for one in answers.values() if one.role == "candidate"]
    assert {one.error for one in stuck} == {"not at its end within 1.5 s"}
    assert all(one.text for one in stuck)


@pytest.mark.asyncio
async def test_roles_take_turns_on_the_wire(tmp_path):
    """The server never holds two models' requests at once, sees short turns only, and each goes first as often."""
    problems = [tool_problem(n) for n in range(24)]
    gate = make_gate(sampling=Sampling(samples=2, concurrency=2, timeout_seconds=5))
    models = {"base": "base", "candidate": "scope@1", "active": "scope@0"}
    async with StreamingServer() as server:
        await ask(tmp_path, server, problems, gate=gate, models=models)
    turns = [(model, len(list(group))) for model, group in groupby(server.order)]
    size = 2 * BLOCK_ROUNDS
    rounds = [server.order[at : at + 3 * size] for at in range(0, len(server.order), 3 * size)]
    assert [sorted(set(one)) for one in rounds] == [["base", "scope@0", "scope@1"]] * 6
    assert max(length for _, length in turns) <= 2 * size  # the last of one round may be the first of the next
    assert [one[0] for one in rounds] == ["base", "scope@1", "scope@0"] * 2


@pytest.mark.asyncio
async def test_a_stream_that_fails_again_and_again_is_the_answer_in_the_end(tmp_path):
    """A server that cuts off every answer gives faults that count, unless nobody is answered for too long."""
    async with StreamingServer(drop=10_000) as server:
        with pytest.raises(UnavailableError, match="gave no answer for"):
            await ask(tmp_path, server, patience=IMPATIENT.model_copy(update={"tries": 10_000, "silence": 0.2}))


def test_a_reply_is_put_together_from_a_stream():
    """Text, reason, counts and the moment of the first token; an opening that says nothing is no token."""
    reply = Reply()
    reply.feed(sent(said(role="assistant", content="")), 0.1)
    assert (reply.begun, reply.first_token) == (True, 0.0)
    reply.feed(sent(said(reasoning_content="hm")), 0.2)
    reply.feed(sent(said(content="o"), said(content="k"), {"choices": [{"delta": {}, "finish_reason": "stop"}]}), 0.3)
    reply.feed(sent({"choices": [], "usage": {"completion_tokens": 3}}, "[DONE]"), 0.4)
    reply.close()
    assert (reply.text, reply.finish, reply.tokens, reply.first_token, reply.ended) == ("ok", "stop", 3, 0.2, True)


@given(st.lists(st.integers(1, 40), max_size=12))
def test_how_a_stream_is_cut_into_pieces_does_not_matter(cuts):
    """Bytes that arrive in any pieces, with either line end, give the same reply."""
    call = {"index": 0, "id": "a", "function": {"name": "read", "arguments": '{"p": '}}
    data = sent(said(content="é", tool_calls=[call]), said(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}]),
                {"choices": [], "usage": {"completion_tokens": 2}}, "[DONE]").replace(b"\n\n", b"\r\n\r\n")  # fmt: skip
    reply, at = Reply(), 0
    for cut in [*cuts, len(data)]:
        reply.feed(data[at : at + cut], 0.5)
        at += cut
    reply.close()
    assert (reply.text, reply.tokens, reply.ended) == ("é", 2, True)
    assert reply.native == [{"id": "a", "type": "function", "function": {"name": "read", "arguments": '{"p": 1}'}}]


@given(st.lists(st.one_of(st.binary(max_size=30), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["choices", "delta", "content", "tool_calls", "index", "function", "usage", "error", "name"]),
        inner, max_size=4), max_leaves=12,
).map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n"))))  # fmt: skip
def test_nothing_that_a_server_streams_breaks_the_reader(pieces):
    """Whatever comes, the reply is whole: text that UTF-8 files take, calls that are objects, a count that is one."""
    reply = Reply()
    for piece in pieces:
        reply.feed(piece, 0.1)
    reply.close()
    reply.text.encode()
    json.dumps(reply.native).encode()
    assert reply.tokens >= 0


@pytest.mark.parametrize(
    ("error", "fault", "refusal"),
    [
        ({"code": 500, "message": "engine died"}, True, False),
        ("broken", True, False),
        ({"code": 400, "message": "too long"}, False, True),
    ],
)
def test_errors_within_a_stream_are_told_apart(error, fault, refusal):
    """An engine that gave up is a fault of the transport's side; a refusal is an answer."""
    reply = Reply()
    reply.feed(sent(said(content="a"), {"error": error}), 0.1)
    reply.close()
    assert (bool(reply.fault), bool(reply.refusal)) == (fault, refusal)


def test_manners_are_learned_from_refusals_that_are_about_manners_only():
    """Each refusal takes away one thing; what is about the question, or what was not asked for, changes nothing."""
    first = Manners()
    assert first.after(400, "prompt too long", tools=True) is None
    assert first.after(404, "stream", tools=True) is None
    assert first.after(400, "no tool_choice", tools=False) is None
    second = first.after(400, "no tool_choice", tools=True)
    assert second.fields((TOOL,))["tool_choice"] == "none"
    third = second.after(422, "stream_options: extra fields", tools=True)
    assert third.fields(()) == {"stream": True}
    fourth = third.after(400, "cannot stream", tools=True)
    assert fourth.fields(()) == {}
    assert fourth.after(400, "cannot stream", tools=True) is None
