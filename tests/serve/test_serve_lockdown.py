"""The middleware for model servers: what is on its list is open, and the rest is the daemon's alone."""

import ast
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.proc.tokens import TOKEN_HEADER, read_token, server_token, token_hash
from flywheel.serve.middleware import flywheel_lockdown
from flywheel.serve.middleware.flywheel_lockdown import HASH_VARIABLE, HEADER, OPEN, OPEN_VARIABLE, LockDown

TOKEN = "the daemon's word"  # noqa: S105
ENVIRONMENT = {HASH_VARIABLE: token_hash(TOKEN)}
AGENTS = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"]
CLOSED = [
    ("POST", "/v1/load_lora_adapter"), ("POST", "/v1/unload_lora_adapter"), ("POST", "/adapters"),
    ("DELETE", "/adapters/x"), ("POST", "/invocations"), ("POST", "/tokenize"), ("POST", "/detokenize"),
    ("POST", "/sleep"), ("POST", "/wake_up"), ("GET", "/is_sleeping"), ("POST", "/collective_rpc"),
    ("POST", "/reset_prefix_cache"), ("GET", "/server_info"), ("POST", "/update_weights"), ("POST", "/start_profile"),
    ("GET", "/openapi.json"), ("GET", "/docs"), ("POST", "/pooling"), ("POST", "/scale_elastic_ep"), ("GET", "/"),
]  # fmt: skip


def play(coroutine):
    """Run what never waits."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def ask(method, path, headers=(), environment=None, **more):
    """Return the status that a request gets; 200 is the server's own."""
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers), **more}
    door = LockDown(app, ENVIRONMENT if environment is None else environment)
    play(door(scope, None, send))
    return sent[0]["status"]


@pytest.mark.parametrize("path", AGENTS)
def test_what_agents_ask_is_open(path):
    """The OpenAI API's work needs no token."""
    assert ask("POST", path) == 200
    assert ask("GET", path) == 403


@pytest.mark.parametrize("path", ["/health", "/version", "/metrics", "/v1/models"])
def test_what_monitors_look_at_is_open(path):
    """Looking is free; HEAD is a look."""
    assert ask("GET", path) == ask("HEAD", path) == 200
    assert ask("POST", path) == 403


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_everything_else_is_the_daemons(method, path):
    """Without the token 403, with a wrong one 403, with the right one the server decides."""
    assert ask(method, path) == 403
    assert ask(method, path, [(HEADER, b"another word")]) == 403
    assert ask(method, path, [(HEADER, TOKEN.encode())]) == 200
    assert ask(method, path, [(HEADER, TOKEN.encode()), (HEADER, b"x")]) == 403


@pytest.mark.parametrize("environment", [{}, {HASH_VARIABLE: ""}, {HASH_VARIABLE: TOKEN}])
def test_without_a_hash_nobody_has_the_token(environment):
    """A server that was told no hash, or no hash that is one, stays closed to all."""
    assert ask("POST", "/tokenize", [(HEADER, TOKEN.encode())], environment) == 403
    assert ask("POST", "/tokenize", [(HEADER, b"")], environment) == 403
    assert ask("GET", "/health", (), environment) == 200


@pytest.mark.parametrize(
    "path",
    ["/v1//models", "//v1/models", "/v1/models/", "/v1/./models", "/v1/chat/completions/../../../sleep", "/V1/models",
     "/v1/responses/", "/v1/responses/../sleep", "/v1/responses/a/b", "/v1/responses//cancel", "/health/x"],
)  # fmt: skip
def test_only_the_very_path_is_open(path):
    """Nothing is guessed about a path: a detour to what is open, or from there, is closed."""
    assert ask("GET", path) == ask("POST", path) == 403


def test_stored_responses_are_open():
    """What an agent was given an id for it may ask for again, and cancel."""
    assert ask("GET", "/v1/responses/resp_1") == 200
    assert ask("POST", "/v1/responses/resp_1/cancel") == 200
    assert ask("DELETE", "/v1/responses/resp_1") == 403


def test_behind_a_root_path_the_same_is_open():
    """A server that lives under a prefix is locked down under it."""
    assert ask("GET", "/models/v1/models", root_path="/models") == 200
    assert ask("POST", "/models/sleep", root_path="/models") == 403


def test_more_can_be_opened_by_name():
    """An operator opens single doors; a list that cannot be read keeps the server from starting."""
    more = {**ENVIRONMENT, OPEN_VARIABLE: "GET /load, POST /rerank,"}
    assert ask("GET", "/load", (), more) == ask("POST", "/rerank", (), more) == 200
    assert ask("POST", "/load", (), more) == 403
    for wrong in ("/load", "get /load", "GET load"):
        with pytest.raises(ValueError, match="is not a method and a path"):
            LockDown(None, {OPEN_VARIABLE: wrong})


def test_sockets_are_closed_and_the_servers_life_goes_on():
    """A web socket is refused before it opens; start and end of the server pass."""
    sent, passed = [], []

    async def app(scope, receive, send):
        passed.append(scope["type"])

    async def send(message):
        sent.append(message)

    door = LockDown(app, ENVIRONMENT)
    play(door({"type": "websocket", "path": "/v1/realtime", "headers": []}, None, send))
    play(door({"type": "lifespan"}, None, send))
    assert (passed, [message["type"] for message in sent]) == (["lifespan"], ["websocket.close"])


@given(st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"]), st.text(max_size=40), st.binary(max_size=40))
def test_whatever_is_asked_only_the_list_or_the_token_opens(method, path, token):
    """For any path and any token: open means listed, or stored under an id."""
    scope = {"method": method, "path": f"/{path}", "headers": [(HEADER, token)]}
    listed = ("GET" if method == "HEAD" else method, f"/{path}") in OPEN
    stored = path.startswith("v1/responses/")
    assert (ask(**scope) == 200) <= (listed or stored or token == TOKEN.encode())


def test_the_refusal_says_what_and_why():
    """The answer is in the shape of the API's errors, so that every client can show it."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/sleep", "headers": []}
    play(LockDown(None, ENVIRONMENT)(scope, None, send))
    error = json.loads(sent[1]["body"])["error"]
    assert (error["code"], error["message"].startswith("POST /sleep is not open here")) == (403, True)
    assert dict(sent[0]["headers"])[b"content-length"] == str(len(sent[1]["body"])).encode()


def test_it_leans_on_nothing_but_the_standard_library():
    """The server's environment holds no flywheel: the file alone, on its path, is enough."""
    path = Path(flywheel_lockdown.__file__)
    tree = ast.parse(path.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
    script = "import sys; sys.path[:0] = [sys.argv[1]]; import flywheel_lockdown; flywheel_lockdown.LockDown(None)"
    subprocess.run([sys.executable, "-I", "-c", script, str(path.parent)], check=True)


def test_the_token_is_made_once_and_read_by_its_owner_alone(tmp_path):
    """Both sides agree on the header; the file is 0600; a second call finds the first one's token."""
    assert read_token(tmp_path) == read_token(tmp_path / "nowhere") == ""
    token = server_token(tmp_path)
    assert token == server_token(tmp_path) == read_token(tmp_path)
    assert len(token) >= 40
    assert stat.S_IMODE((tmp_path / "server.token").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["server.token"]
    assert TOKEN_HEADER.encode() == HEADER
    assert server_token(tmp_path / "server.token" / "no folder") == ""
