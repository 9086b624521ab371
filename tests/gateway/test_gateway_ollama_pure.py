"""Translation between Ollama's dialect and OpenAI's: what is kept, what is left out, what is refused."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.core.routing import Alias, Arm, Routing
from flywheel.gateway.double_answers import events, whole
from flywheel.gateway.ollama_answers import (
    Form,
    Stream,
    Times,
    UnreadableAnswerError,
    end,
    error_of,
    read_object,
    whole_answer,
)
from flywheel.gateway.ollama_asks import meant, read_question
from flywheel.gateway.ollama_questions import (
    UntranslatableError,
    chat_question,
    embedding_question,
    generate_question,
)
from flywheel.gateway.ollama_templates import TemplateError, render
from flywheel.gateway.usages import usage_of

AT = datetime(2026, 1, 2, 3, 4, 5, 600_000, UTC)
TIMES = Times(0.5, 1.0, 3.0)
TOOLS = [{"type": "function", "function": {"name": "go", "parameters": {"properties": {"to": {}}}}}]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=4) | st.just("{{ .Prompt }}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "function", "name", "arguments", "id", "role", "content", "images", "tool_calls", "tool_name", "thinking",
        "temperature", "num_predict", "stop", "choices", "delta", "message", "index", "logprobs", "tokens", "usage",
        "token_logprobs", "top_logprobs", "finish_reason", "text", "error", "eval_count", "response"]),
        inner, max_size=4), max_leaves=12)  # fmt: skip


def test_options_that_have_a_counterpart_are_kept() -> None:
    """Sampling is translated; how Ollama itself runs a model is left out."""
    options = {"temperature": 0, "top_p": 0.9, "top_k": 20, "min_p": 0.1, "seed": 7, "stop": ["a"], "num_ctx": 4096,
               "num_predict": 64, "repeat_penalty": 1.1, "presence_penalty": 0.2, "mirostat": 1}  # fmt: skip
    asked = generate_question({"prompt": "p", "options": options, "keep_alive": "5m"})
    assert asked.path == "/v1/chat/completions"
    assert asked.fields == {
        "messages": [{"role": "user", "content": "p"}], "temperature": 0, "top_p": 0.9, "top_k": 20, "min_p": 0.1,
        "seed": 7, "stop": ["a"], "presence_penalty": 0.2, "max_tokens": 64, "repetition_penalty": 1.1,
        "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    assert "max_tokens" not in generate_question({"prompt": "p", "options": {"num_predict": -1}}).fields


def test_form_and_thinking_are_kept() -> None:
    """JSON, a schema, and whether to think."""
    assert generate_question({"prompt": "p", "format": "json"}).fields["response_format"] == {"type": "json_object"}
    schema = {"type": "object"}
    shape = chat_question({"messages": [], "format": schema}).fields["response_format"]
    assert shape["json_schema"]["schema"] == schema
    assert not chat_question({"messages": [], "stream": False}).fields["stream"]
    thinking = chat_question({"messages": [], "think": False}).fields["chat_template_kwargs"]
    assert thinking["enable_thinking"] is False
    assert chat_question({"messages": [], "think": "high"}).fields["reasoning_effort"] == "high"


def test_a_prompt_that_is_to_stay_as_it_is_stays() -> None:
    """Raw prompts, gaps and templates go to text completions."""
    assert generate_question({"prompt": "p", "raw": True, "system": "s"}).fields["prompt"] == "p"
    gap = generate_question({"prompt": "a", "suffix": "b"})
    assert (gap.path, gap.fields["suffix"]) == ("/v1/completions", "b")
    templated = generate_question({"prompt": "p", "system": "s", "template": "<{{ .System }}>{{ .Prompt }}:"})
    assert (templated.path, templated.fields["prompt"]) == ("/v1/completions", "<s>p:")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"prompt": "p", "images": ["x"]}, "images"),
        ({"prompt": "p", "context": [1]}, "context"),
        ({"prompt": 1}, "prompt"),
        ({"prompt": "p", "options": []}, None),
        ({"prompt": "p", "options": 3}, "options"),
        ({"prompt": "p", "format": "yaml"}, "format"),
        ({"prompt": "p", "template": "{{ range .Messages }}{{ end }}{{ .Prompt }}"}, "range"),
    ],
)
def test_what_cannot_be_had_is_refused(fields: dict[str, Any], why: str | None) -> None:
    """One sentence names what it is; what says nothing is nothing."""
    if why is None:
        assert generate_question(fields)
        return
    with pytest.raises(UntranslatableError, match=why):
        generate_question(fields)


def test_results_find_their_calls() -> None:
    """A tool's result goes to the call of its own number, else of its name, else to the first that waits."""
    calls = [{"function": {"name": name, "arguments": {"n": 1}}} for name in ("a", "b")]
    results = [{"role": "tool", "content": "2", "tool_name": "b"}, {"role": "tool", "content": "1"}]
    second = {"role": "assistant", "tool_calls": [{"id": "mine", "function": {"name": "c", "arguments": "{}"}}]}
    last = {"role": "tool", "content": "3", "tool_call_id": "mine"}
    told = chat_question({"messages": [{"role": "assistant", "tool_calls": calls}, *results, second, last]})
    made, two, one, again, three = told.fields["messages"]
    ids = [call["id"] for call in made["tool_calls"]]
    assert (two["tool_call_id"], one["tool_call_id"]) == (ids[1], ids[0])
    assert made["tool_calls"][0]["function"]["arguments"] == '{"n": 1}'
    assert again["tool_calls"][0]["id"] == three["tool_call_id"] == "mine"
    with pytest.raises(UntranslatableError, match="names no function"):
        chat_question({"messages": [{"role": "assistant", "tool_calls": [{}]}]})


def test_names_with_ollamas_tag_are_understood() -> None:
    """The tag for the newest is taken away where that makes a name that is known, and nowhere else."""
    arm = Alias(arms=(Arm(model="m@1", share=1.0, role="active"),))
    routing = Routing(version=1, upstreams=("http://127.0.0.1:1",), base_model="base", aliases={"line": arm})
    assert [meant(name, routing) for name in ("line:latest", "base:latest", "line", "other:latest", "line:7b")] == [
        "line", "base", "line", "other:latest", "line:7b",
    ]  # fmt: skip


def test_the_embedding_question() -> None:
    """Both forms ask the same."""
    assert embedding_question({"input": ["a"], "dimensions": 3}).fields == {"input": ["a"], "dimensions": 3}
    assert embedding_question({"prompt": "a"}).fields == {"input": "a"}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ .Prompt }}", "P"),
        ("{{ if .System }}[{{ .System }}]{{ end }}{{ .Prompt }}|{{ .Response }}<end>", "[S]P|"),
        ("{{ if .Suffix }}x{{ else }}y{{ end }}\n{{- .Prompt -}}\n z", "yPz"),
        ("{{/* a note */}}{{ if .Suffix }}{{ if .System }}no{{ else }}no{{ end }}{{ end }}{{.Prompt}}", "P"),
        ("a {{- if .System }} b {{ end -}} {{ .Prompt }}", "a b P"),
    ],
)
def test_templates_are_filled_in(template: str, text: str) -> None:
    """Fields, conditions and trimming are Go's; the text ends where the answer begins."""
    assert render(template, {"System": "S", "Prompt": "P", "Suffix": ""}) == text


@pytest.mark.parametrize(
    "template",
    ["", "no field", "{{ .Prompt", "{{ .Prompt }}{{ end }}", "{{ if .System }}{{ .Prompt }}", "{{ else }}{{ .Prompt }}",
     "{{ .Prompt }}{{ .Tools }}", '{{ template "x" }}{{ .Prompt }}'],
)  # fmt: skip
def test_other_templates_are_refused(template: str) -> None:
    """What is not understood is not guessed at."""
    with pytest.raises(TemplateError):
        render(template, {"System": "S", "Prompt": "P", "Suffix": ""})


def test_a_whole_answer() -> None:
    """Words, thoughts, times and counts are told the way Ollama tells them."""
    message = {"content": "yes", "reasoning": "hm"}
    answer = {"choices": [{"message": message, "finish_reason": "length"}],
              "usage": {"prompt_tokens": 3, "completion_tokens": 2}}  # fmt: skip
    told = whole_answer(Form("m", is_chat=True), answer, AT, Times(0.5, None, 3.0))
    assert told == {
        "model": "m", "created_at": "2026-01-02T03:04:05.600000Z", "done": True, "done_reason": "length",
        "message": {"role": "assistant", "content": "yes", "thinking": "hm"}, "total_duration": 3_500_000_000,
        "load_duration": 500_000_000, "eval_duration": 3_000_000_000, "prompt_eval_count": 3, "eval_count": 2,
    }  # fmt: skip
    plain = whole_answer(Form("m", is_chat=False), answer, AT, TIMES)
    assert (plain["response"], plain["thinking"], plain["eval_duration"]) == ("yes", "hm", 2_000_000_000)


def test_a_call_that_is_not_json_stays_text() -> None:
    """Arguments that are no object cannot be told as a call: the client sees what the model wrote."""
    call = {"id": "1", "function": {"name": "go", "arguments": '{"to": '}}
    told = whole_answer(Form("m", is_chat=True), {"choices": [{"message": {"tool_calls": [call]}}]}, AT, TIMES)
    assert "tool_calls" not in told["message"]
    assert '"go"' in told["message"]["content"]


@pytest.mark.parametrize("tools", [[], TOOLS])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cuts=st.lists(st.integers(0, 2000), max_size=8))
def test_a_stream_says_the_same_however_it_is_cut(tools: list[dict[str, Any]], cuts: list[int]) -> None:
    """Events may come in any pieces; what they say in the end is what the whole answer says."""
    fields = {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": tools}
    data = b"".join(events(fields, 3, is_chat=True))
    stream, told, start = Stream(), [], 0
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        told += stream.feed(data[start:cut])
        start = cut
    last = stream.last()
    answer = whole_answer(Form("m", is_chat=True), whole(fields, 3, is_chat=True), AT, TIMES)
    assert list(last.calls) == answer["message"].get("tool_calls", [])
    assert "".join(one.text for one in told) == ("" if tools else "word0 word1 word2 ")
    assert end(stream.reason, stream.usage, TIMES)["eval_count"] == 3


def test_a_stream_without_its_end_is_not_whole() -> None:
    """Neither silence nor an error's event passes for an end."""
    stream = Stream()
    list(stream.feed(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: [DONE]\n\n'))
    with pytest.raises(UnreadableAnswerError, match="went away"):
        stream.last()
    with pytest.raises(UnreadableAnswerError, match="out of memory"):
        list(Stream().feed(b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'))
    with pytest.raises(UnreadableAnswerError, match="cannot be read"):
        list(Stream().feed(b"data: nonsense\n"))


@pytest.mark.parametrize(
    ("body", "message"),
    [(b'{"error": {"message": "no"}}', "no"), (b'{"error": "no"}', "no"), (b'{"detail": "no"}', "no"), (b" no ", "no"),
     (b'{"message": "no"}', "no"), (b"[1]", "[1]"), (b'{"x": 1}', '{"x": 1}')],
)  # fmt: skip
def test_errors_keep_their_sentence(body: bytes, message: str) -> None:
    """However an upstream wraps it."""
    assert error_of(body) == message


@pytest.mark.parametrize(
    ("response", "usage"),
    [
        (b'{"eval_count": 4, "prompt_eval_count": 7, "done": true}', (7, 4)),
        (b'{"response": "a", "done": false}\n{"done": true, "eval_count": 4}\n', (None, 4)),
        (b'{"object": "response", "usage": {"input_tokens": 7, "output_tokens": 4}}', (7, 4)),
        (b'event: x\ndata: {"response": {"usage": {"input_tokens": 7, "output_tokens": 4}}}\n\n', (7, 4)),
        (b'data: {"usage": {"prompt_tokens": 7, "completion_tokens": 4}}\n\ndata: [DONE]\n\n', (7, 4)),
        (b'{"eval_count": "4"}', (None, None)),
    ],
)
def test_tokens_are_read_in_every_dialect(response: bytes, usage: tuple[int | None, int | None]) -> None:
    """Whole and streamed, of both dialects."""
    assert usage_of(response) == usage


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fields=st.dictionaries(st.sampled_from([
    "model", "prompt", "messages", "system", "suffix", "template", "images", "options", "format", "stream", "raw",
    "context", "tools", "think", "logprobs", "top_logprobs", "keep_alive", "input"]), ANYTHING))  # fmt: skip
def test_no_request_surprises_the_translation(fields: dict[str, Any]) -> None:
    """Whatever is asked becomes a question or a refusal in one sentence."""
    raw = json.dumps(fields).encode()
    for translate in (chat_question, generate_question, embedding_question):
        ask = read_question(raw, translate, is_chat=True)
        assert ask.problem or json.dumps(ask.question.fields)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answer=ANYTHING)
def test_no_answer_surprises_the_translation(answer: Any) -> None:
    """Whatever an upstream answers becomes an answer or an error."""
    data = json.dumps(answer).encode()
    with contextlib.suppress(UnreadableAnswerError):
        json.dumps(whole_answer(Form("m", is_chat=True), read_object(data), AT, TIMES))
    stream = Stream()
    try:
        for told in stream.feed(b"data: " + data + b"\n"):
            json.dumps(Form("m", is_chat=False).piece(AT, told))
        json.dumps(Form("m", is_chat=True).piece(AT, stream.last()))
        end(stream.reason, stream.usage, TIMES)
    except UnreadableAnswerError:
        pass
    usage_of(data)
    error_of(data)
