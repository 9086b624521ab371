"""What every model server promises about sleeping; the double and vLLM answer the same questions."""

import time
from concurrent.futures import ThreadPoolExecutor

from fixtures.model_servers import ModelServer, chat_body

PROMPT = "Show src/cache.py"


def asleep(server: ModelServer) -> bool:
    """Whether it says that it sleeps."""
    reply = server.get("/is_sleeping")
    assert reply.status == 200
    return reply.json == {"is_sleeping": True}


def test_it_falls_asleep_and_wakes_up_and_answers_as_before(server: ModelServer) -> None:
    """Sleeping and waking are told in words, repeatable, and change no answer; the list of models stays."""
    before = server.chat(PROMPT).content
    for _ in range(2):
        assert server.post("/sleep?level=1&mode=wait", b"").json == {"status": "sleeping", "level": 1}
        assert asleep(server)
        assert server.cards()
    for _ in range(2):
        assert server.post("/wake_up", b"").json == {"status": "awake", "tags": None}
        assert not asleep(server)
    assert server.chat(PROMPT).content == before


def test_what_is_asked_of_a_sleeping_server_waits(server: ModelServer) -> None:
    """A call that comes while it sleeps is not refused: it is answered when the server is awake."""
    server.post("/sleep?level=1&mode=wait", b"")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.chat, PROMPT)
        time.sleep(0.5)
        assert not waiting.done()
        server.post("/wake_up", b"")
        assert waiting.result(30).status == 200


def test_it_sleeps_only_when_what_is_under_way_has_ended(server: ModelServer) -> None:
    """A running stream is finished first: nothing is cut."""
    body = chat_body(PROMPT, max_tokens=200, ignore_eos=True)
    with ThreadPoolExecutor(1) as pool, server.streaming("/v1/chat/completions", body) as stream:
        next(stream)
        sleeping = pool.submit(server.post, "/sleep?level=1&mode=wait", b"")
        chunks = list(stream)
        assert chunks[-1]["choices"][0]["finish_reason"] == "length"
        assert sleeping.result(30).status == 200
    assert asleep(server)
    server.post("/wake_up", b"")
