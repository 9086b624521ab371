"""What every model server promises about answers; the double and vLLM answer the same questions."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from fixtures.model_servers import ANSWERS, BASE, ModelServer, chat_body
from fixtures.tiny import tasks

Load = Callable[[str], str]

PROMPT = "Show src/cache.py"
RIGHT = '<tool_call>{"name": "read_file", "arguments": {"path": "src/cache.py"}}</tool_call>'


def deltas(chunks: list[dict]) -> str:
    """Return the text of a stream."""
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def test_a_greedy_answer_has_the_shape_that_clients_parse(server: ModelServer) -> None:
    """Text, reason, model and counts stand where the OpenAI client looks for them."""
    body = server.chat(PROMPT).json
    choice = body["choices"][0]
    assert (body["object"], body["model"], choice["finish_reason"]) == ("chat.completion", BASE, "stop")
    assert choice["message"]["content"] == RIGHT
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_max_tokens_ends_an_answer(server: ModelServer) -> None:
    """Both names of the limit work, and the reason says that it was reached."""
    for limit in ({"max_tokens": 3}, {"max_tokens": None, "max_completion_tokens": 3}):
        body = server.chat(PROMPT, **limit).json
        assert (body["choices"][0]["finish_reason"], body["usage"]["completion_tokens"]) == ("length", 3)


def test_a_stop_string_is_not_part_of_the_answer(server: ModelServer) -> None:
    """The text ends before the stop string, and the answer names it."""
    choice = server.chat(PROMPT, stop=["cache"]).json["choices"][0]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "cache")
    assert choice["message"]["content"] == RIGHT.partition("cache")[0]


def test_a_seed_makes_chance_repeatable(server: ModelServer) -> None:
    """The same seed draws the same answer; n answers come in order."""
    first, second = (server.chat("Delete", temperature=1.0, seed=5, n=3).json["choices"] for _ in range(2))
    assert [choice["index"] for choice in first] == [0, 1, 2]
    assert [choice["message"] for choice in first] == [choice["message"] for choice in second]


def test_a_seeded_answer_is_the_same_alone_and_among_others(server: ModelServer) -> None:
    """What a seed draws does not hang on who is answered beside it, nor on how they are drawn."""
    wishes = [{"seed": 5}, {"seed": 6, "top_p": 0.9}, {"seed": 7, "top_k": 4}]
    alone = [server.chat(PROMPT, temperature=0.7, **wish).content for wish in wishes]
    others = [{}, {"temperature": 1.5}, {"temperature": 1.5, "top_p": 0.5}, {"seed": 8, "max_tokens": 3}]
    crowd = [{"temperature": 0.7, **wish} for wish in [*wishes, *others] * 4]
    with ThreadPoolExecutor(len(crowd)) as pool:
        said = list(pool.map(lambda wish: server.chat(PROMPT, **wish).content, crowd))
    assert [said[number :: len(wishes + others)] for number in range(len(wishes))] == [[one] * 4 for one in alone]


def test_answers_that_begin_while_a_longer_one_runs_are_those_of_their_own(server: ModelServer) -> None:
    """Short and long prompts come while another answer is far ahead; who ends early leaves the others as they were."""
    paths = ("src/cache.py", "core/queue.py", "docs/guide.md", "src/app.py")
    prompts = [f"Show {path}" for path in paths] + [task["messages"][0]["content"] for task in tasks(8, seed=21)]
    alone = [server.chat(prompt).content for prompt in prompts]
    with server.streaming("/v1/chat/completions", chat_body(PROMPT, max_tokens=300, ignore_eos=True)) as stream:
        chunks = [next(stream) for _ in range(40)]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda prompt: server.chat(prompt).content, prompts)) == alone
        chunks += stream
    assert deltas(chunks).startswith(RIGHT)


@pytest.mark.parametrize("more", [{}, {"stop": ["cache"]}, {"max_tokens": 5}])
def test_a_stream_says_what_the_whole_answer_says(server: ModelServer, more: dict) -> None:
    """The pieces put together are the greedy answer, first the role, last the reason and the counts."""
    whole = server.chat(PROMPT, **more).json
    body = chat_body(PROMPT, stream_options={"include_usage": True}, **more)
    with server.streaming("/v1/chat/completions", body) as stream:
        chunks = list(stream)
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert deltas(chunks) == whole["choices"][0]["message"]["content"]
    assert chunks[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    counts = ("prompt_tokens", "completion_tokens", "total_tokens")
    assert chunks[-1]["choices"] == []
    assert [chunks[-1]["usage"][key] for key in counts] == [whole["usage"][key] for key in counts]


def test_the_completions_door_continues_raw_text(server: ModelServer) -> None:
    """The older door gives the same tokens, streamed and whole."""
    prompt = f"<|im_start|>user\n{PROMPT}<|im_end|>\n<|im_start|>assistant\n"
    body = {"model": BASE, "prompt": prompt, "temperature": 0, "max_tokens": 64}
    whole = server.post("/v1/completions", body).json
    assert (whole["object"], whole["choices"][0]["text"]) == ("text_completion", RIGHT)
    with server.streaming("/v1/completions", body) as stream:
        assert "".join(chunk["choices"][0]["text"] for chunk in stream) == RIGHT


def ask_together(server: ModelServer, models: list[str]) -> dict[str, set[str]]:
    """Ask all models the same at the same time, again and again; what each of them said."""
    order = models * 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda model: server.chat(PROMPT, model).content, order))
    return {model: {said for name, said in zip(order, answers, strict=True) if name == model} for model in models}


def test_two_adapters_at_once_do_not_mix(server: ModelServer, loaded: Load) -> None:
    """Requests to two adapters run together, and each gets the answer of its own weights."""
    reader, lister = loaded("reader"), loaded("lister")
    assert ask_together(server, [reader, lister]) == {reader: {ANSWERS["reader"]}, lister: {ANSWERS["lister"]}}


def test_the_base_beside_adapters_answers_as_alone(server: ModelServer, loaded: Load) -> None:
    """A request to the base keeps its answer while adapters work beside it."""
    reader, lister = loaded("reader"), loaded("lister")
    said = ask_together(server, [reader, lister, BASE])
    assert (said[reader], said[lister]) == ({ANSWERS["reader"]}, {ANSWERS["lister"]})
    assert said[BASE] == {RIGHT}


def test_the_base_is_the_base_after_many_adapters_have_come_and_gone(server: ModelServer, loaded: Load) -> None:
    """More adapters than there are slots, one after the other: what was unloaded answers for nobody any more."""
    for _ in range(6):
        name = loaded("reader")
        assert server.chat(PROMPT, name).content == ANSWERS["reader"]
        assert server.unload(name).status == 200
    reader, lister = loaded("reader"), loaded("lister")
    assert ask_together(server, [reader, lister, BASE])[BASE] == {RIGHT}


def test_a_running_stream_survives_the_unloading_of_its_adapter(server: ModelServer, loaded: Load) -> None:
    """Unloading takes the name away at once and the weights only after the last answer."""
    name = loaded("reader")
    body = chat_body(PROMPT, name, max_tokens=400, ignore_eos=True)
    with server.streaming("/v1/chat/completions", body) as stream:
        chunks = [next(stream), next(stream)]
        assert server.unload(name).status == 200
        assert server.chat(PROMPT, name).status == 404
        chunks += stream
    assert deltas(chunks).startswith(ANSWERS["reader"])
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


def test_a_client_that_hangs_up_ends_its_generation(server: ModelServer) -> None:
    """Nothing is generated for nobody."""
    body = chat_body(PROMPT, max_tokens=900, ignore_eos=True)
    with server.streaming("/v1/chat/completions", body) as stream:
        next(stream)
    deadline = time.monotonic() + 2.0
    while server.running() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.running() == 0


@pytest.mark.parametrize("door", ["/v1/chat/completions", "/v1/completions"])
def test_an_unknown_model_is_not_found(server: ModelServer, door: str) -> None:
    """The error names the model and the parameter."""
    reply = server.post(door, {**chat_body(PROMPT, "nobody"), "prompt": PROMPT})
    error = reply.json["error"]
    assert (reply.status, error["type"], error["param"], error["code"]) == (404, "NotFoundError", "model", 404)
    assert "`nobody` does not exist" in error["message"]


@pytest.mark.parametrize("door", ["/v1/chat/completions", "/v1/completions", "/v1/load_lora_adapter"])
def test_malformed_json_is_refused(server: ModelServer, door: str) -> None:
    """A broken body is the client's fault, and is told in the usual shape."""
    reply = server.post(door, b'{"model": ')
    assert (reply.status, reply.json["error"]["code"], reply.json["error"]["type"]) == (400, 400, "Bad Request")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 5000}, "max_tokens"),
        ({"max_tokens": "many"}, "body.max_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 0}, None),
        ({"messages": []}, None),
        ({"messages": "text"}, "body.messages"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_a_senseless_parameter_is_refused_by_name(server: ModelServer, more: dict, param: str | None) -> None:
    """400, and `param` says which."""
    reply = server.post("/v1/chat/completions", {**chat_body(PROMPT), **more})
    assert (reply.status, reply.json["error"]["param"]) == (400, param)


def test_a_prompt_longer_than_the_context_is_refused(server: ModelServer) -> None:
    """400 before anything is generated."""
    reply = server.chat("word " * 2000)
    assert (reply.status, reply.json["error"]["param"]) == (400, "input_tokens")


def test_max_tokens_beyond_the_room_left_is_clipped(server: ModelServer) -> None:
    """A client that asks for the whole context is answered, not refused."""
    assert server.chat(PROMPT, max_tokens=1024).content == RIGHT


def test_unknown_doors_and_methods(server: ModelServer) -> None:
    """404 and 405 in the shape of vLLM's framework."""
    assert (server.get("/nothing").status, server.get("/nothing").json) == (404, {"detail": "Not Found"})
    reply = server.get("/v1/chat/completions")
    assert (reply.status, reply.json) == (405, {"detail": "Method Not Allowed"})


def test_the_base_knows_about_half_of_the_tasks(server: ModelServer) -> None:
    """The tiny world leaves an adapter something to win: some tools are right, some are in the legacy format."""
    found = tasks(80, seed=21)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda task: server.chat(task["messages"][0]["content"]).content, found))
    share = sum(answer.startswith("<tool_call>") for answer in answers) / len(found)
    assert 0.35 <= share <= 0.65
