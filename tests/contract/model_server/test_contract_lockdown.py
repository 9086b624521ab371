"""A server behind the shipped middleware is closed to all but agents and the daemon; the double and vLLM alike."""

import pytest
from fixtures.model_servers import BASE, ModelServer, chat_body

CLOSED = [
    ("POST", "/tokenize"), ("POST", "/detokenize"), ("POST", "/adapters"), ("DELETE", "/adapters/a"),
    ("POST", "/invocations"), ("POST", "/sleep?level=1"), ("POST", "/wake_up"), ("GET", "/is_sleeping"),
    ("POST", "/v1/load_lora_adapter"), ("POST", "/v1/unload_lora_adapter"), ("GET", "/openapi.json"),
    ("POST", "/collective_rpc"), ("POST", "/reset_prefix_cache"),
]  # fmt: skip


@pytest.fixture
def stranger(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    """The server, asked by somebody without the token."""
    monkeypatch.setattr(server, "headers", {})
    return server


def test_agents_and_monitors_need_no_token(stranger: ModelServer) -> None:
    """What the API is for is open: models, answers, streams, health, metrics."""
    assert stranger.get("/health").status == 200
    assert stranger.get("/metrics").status == 200
    assert stranger.get("/version").status == 200
    assert BASE in stranger.cards()
    assert stranger.chat("Show a.py").status == 200
    with stranger.streaming("/v1/chat/completions", chat_body("Show a.py", max_tokens=4)) as stream:
        assert list(stream)


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_everything_else_is_closed(stranger: ModelServer, method: str, path: str) -> None:
    """Without the token every other door answers 403, also those that vLLM leaves open with a key."""
    reply = stranger._exchange(method, path, b"{}" if method == "POST" else None)
    assert (reply.status, reply.json["error"]["type"]) == (403, "PermissionDeniedError")


def test_a_wrong_token_opens_nothing(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another token is none."""
    monkeypatch.setattr(server, "headers", {"x-flywheel-token": "another"})
    assert server.get("/is_sleeping").status == 403
    assert server.load("a@1", "/nowhere").status == 403


def test_the_token_opens_what_the_daemon_does(server: ModelServer) -> None:
    """With it, loading is judged by the server itself: here that nothing lies there."""
    assert server.load("a@1", "/nowhere").status == 404
    assert server.get("/is_sleeping").status == 200
