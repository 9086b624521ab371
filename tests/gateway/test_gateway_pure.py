"""Arms, sessions, bodies, headers, usages, routing and settings: what is decided without a socket."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from pydantic import ValidationError

from flywheel.core.errors import FlywheelError
from flywheel.core.routing import Alias, Arm, Routing
from flywheel.gateway.arms import choose, point
from flywheel.gateway.bodies import read_body, with_model
from flywheel.gateway.headers import header_text, request_headers, response_headers
from flywheel.gateway.sessions import session_of
from flywheel.gateway.settings import GatewaySettings
from flywheel.gateway.usages import Usage, usage_of

SESSIONS = st.text(max_size=40)
SHARES = st.integers(0, 1000).map(lambda number: number / 1000)


def two_arms(share: float, canary: str = "line@2") -> Alias:
    return Alias(
        arms=(Arm(model="line@1", share=1 - share, role="active"), Arm(model=canary, share=share, role="canary"))
    )


@given(SESSIONS, SHARES)
def test_a_session_keeps_its_arm(session: str, share: float) -> None:
    """The same session under the same routing always gets the same arm."""
    assert choose("line", two_arms(share), session) == choose("line", two_arms(share), session)


@given(SESSIONS, SHARES, SHARES)
def test_raising_the_share_only_moves_sessions_to_the_canary(session: str, first: float, second: float) -> None:
    """A session on the canary stays there at every larger share."""
    low, high = sorted((first, second))
    if choose("line", two_arms(low), session).role == "canary":
        assert choose("line", two_arms(high), session).role == "canary"


@given(SESSIONS)
def test_the_ends_are_exact(session: str) -> None:
    """A share of nothing draws nobody, a share of one draws everybody."""
    assert choose("line", two_arms(0.0), session).role == "active"
    assert choose("line", two_arms(1.0), session).role == "canary"
    assert 0.0 <= point("line", "line@2", session) < 1.0


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_shares_converge(share: float) -> None:
    """Over many sessions the canary gets its share."""
    drawn = sum(choose("line", two_arms(share), f"s{number}").role == "canary" for number in range(20_000))
    assert abs(drawn / 20_000 - share) < 0.015


def test_a_new_canary_draws_other_sessions() -> None:
    """The sessions of one canary say nothing about those of the next."""
    sessions = [f"s{number}" for number in range(4000)]
    first = {s for s in sessions if choose("line", two_arms(0.2), s).role == "canary"}
    second = {s for s in sessions if choose("line", two_arms(0.2, "line@3"), s).role == "canary"}
    assert len(first & second) / len(first) < 0.3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just("model"),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | st.just("model"), inner, max_size=4)
    ),
    max_leaves=12,
)
LAYOUTS = st.sampled_from([{}, {"indent": 1}, {"separators": (" ,\t", " :\n")}, {"ensure_ascii": False}])


@given(st.dictionaries(st.text(max_size=6), JSON, max_size=5), st.text(), st.text(), LAYOUTS, st.integers(0, 5))
def test_only_the_model_changes(others: dict[str, Any], old: str, new: str, layout: dict[str, Any], place: int) -> None:
    """The rewritten bytes parse to the same value but for the model, and no byte outside that value differs."""
    others.pop("model", None)
    items = list(others.items())
    items.insert(min(place, len(items)), ("model", old))
    raw = json.dumps(dict(items), **layout).encode("utf-8", "surrogatepass")
    rewritten = with_model(raw, new)
    assert json.loads(rewritten) == {**others, "model": new}
    value = json.dumps(old, ensure_ascii=layout.get("ensure_ascii", True)).encode("utf-8", "surrogatepass")
    fresh = json.dumps(new).encode()
    body = read_body(raw)
    if body.model not in {None, new}:
        assert body.asking(new) == rewritten  # the short way, where there is one, comes to the same
    assert any(
        rewritten == raw[:start] + fresh + raw[start + len(value) :]
        for start in range(len(raw))
        if raw.startswith(value, start)
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"model":"a"}', b'{"model":"z"}'),
        (b' {\n "model" :\t"a" }\r\n', b' {\n "model" :\t"z" }\r\n'),
        (b'{"x":{"model":"a"},"model":"a"}', b'{"x":{"model":"a"},"model":"z"}'),
        (b'{"model":"a","model":"b"}', b'{"model":"a","model":"z"}'),
        (b'{"model":{"model":"q"},"model":"b"}', b'{"model":{"model":"q"},"model":"z"}'),
        (b'{"mod\\u0065l":"a"}', b'{"mod\\u0065l":"z"}'),
        (b'{"k":"\\"model\\":\\"a\\"","model":"\\u0061\\\\"}', b'{"k":"\\"model\\":\\"a\\"","model":"z"}'),
        (b'{"k":["model",{"model":1}],"model":"a}"}', b'{"k":["model",{"model":1}],"model":"z"}'),
        (b'\xef\xbb\xbf{"model":"a"}', b'\xef\xbb\xbf{"model":"z"}'),
        ('{"ключ":"é","model":"é"}'.encode(), '{"ключ":"é","model":"z"}'.encode()),
    ],
)
def test_the_right_model_is_found(raw: bytes, expected: bytes) -> None:
    """Whitespace, nesting, escapes and repeated keys do not mislead: the value that a parser keeps is replaced."""
    assert read_body(raw).asking("z") == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[1]",
        b'"model"',
        b'{"model":1}',
        b'{"a":1}',
        b"\xff\xfe",
        b"[" * 100_000,
        '{"model":"a"}'.encode("utf-16"),
    ],
)
def test_what_names_no_model_stays_as_it_is(raw: bytes) -> None:
    """Bytes that are no object with a model's name are never touched."""
    body = read_body(raw)
    assert body.model is None
    assert body.asking("z") == raw


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    """Whatever is sent is read or kept, never an error."""
    assert read_body(raw).raw == raw


def test_a_header_names_the_session() -> None:
    """The first header that is there and not blank names the session."""
    fields = {"messages": [{"role": "user", "content": "hi"}]}
    headers = CIMultiDict({"X-Session-Id": " ", "x-session-affinity": "b", "x-task-id": "c"})
    assert session_of(headers, fields, b"") == ("b", "x-session-affinity")


def test_a_conversation_keeps_its_key_as_it_grows() -> None:
    """Later turns, cache marks and the two ways to write a text do not change the key; another beginning does."""
    system = {"role": "system", "content": "be brief"}
    first = {"role": "user", "content": "one"}
    begun = session_of({}, {"messages": [system, first]}, b"")
    marked = {"role": "user", "content": [{"type": "text", "text": "one", "cache_control": {"type": "ephemeral"}}]}
    grown = [system, marked, {"role": "assistant", "content": "two"}, {"role": "user", "content": "three"}]
    assert begun.source == "conversation"
    assert session_of({}, {"messages": grown}, b"") == begun
    assert session_of({}, {"messages": [system, {"role": "user", "content": "other"}]}, b"") != begun


@given(JSON, JSON)
def test_any_messages_have_a_session(messages: Any, prompt: Any) -> None:
    """No shape of messages or prompt is an error."""
    assert session_of({}, {"messages": messages}, b"").key
    assert session_of({}, {"messages": [messages]}, b"").key
    assert session_of({}, {"prompt": prompt}, b"").source == "prompt"


def test_headers_of_one_connection_do_not_travel() -> None:
    """Hop-by-hop headers stay, also those that the connection header names; the others and repeated ones go on."""
    headers = CIMultiDict([
        ("Connection", "keep-alive, X-Private"), ("X-Private", "1"), ("Host", "h"), ("Content-Length", "3"),
        ("TE", "trailers"), ("Authorization", "Bearer k"), ("X-A", "1"), ("X-A", "2"), ("Content-Encoding", "gzip"),
        ("Accept-Encoding", "br"),
    ])  # fmt: skip
    onward = request_headers(headers, plain=True)
    assert sorted(onward.items()) == [
        ("Authorization", "Bearer k"),
        ("X-A", "1"),
        ("X-A", "2"),
        ("accept-encoding", "identity"),
    ]
    assert request_headers(headers, plain=False)["accept-encoding"] == "br"
    answered = response_headers(
        CIMultiDict({"Transfer-Encoding": "chunked", "Set-Cookie": "a"}), {"x-flywheel-call": "1"}
    )
    assert dict(answered) == {"Set-Cookie": "a", "x-flywheel-call": "1"}


@given(st.text())
def test_any_name_fits_a_header(name: str) -> None:
    """A model's name can never break a header."""
    text = header_text(name)
    assert text.isascii()
    assert text.isprintable()


def test_usage_is_read_from_both_kinds_of_response() -> None:
    """A whole response and a stream's last events tell the tokens; anything else tells none."""
    whole = b'{"usage":{"prompt_tokens":3,"completion_tokens":4}}'
    stream = b'data: {"usage":null}\n\ndata: ' + whole + b"\n\ndata: [DONE]\n\n"
    assert usage_of(whole) == usage_of(stream) == Usage(3, 4)
    assert usage_of(stream.replace(b"\n\n", b"\r\n\r\n")) == Usage(3, 4)
    for nothing in (b"", b"data: [DONE]", b'{"usage": "x"}', b'{"usage"', b'{"usage":{"prompt_tokens":-1}}'):
        assert usage_of(nothing) == Usage()


def test_a_routing_survives_its_file() -> None:
    """What is dumped is parsed back as the same value."""
    routing = Routing(version=3, upstreams=("http://127.0.0.1:1/",), base_model="b", aliases={"line": two_arms(0.2)})
    assert Routing.parse(routing.dump()) == routing
    assert routing.upstreams == ("http://127.0.0.1:1",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"upstreams": []}, "at least 1"),
        ({"upstreams": ["127.0.0.1:8000"]}, "http://127.0.0.1:8000"),
        ({"upstreams": ["http://h/v1"]}, "without /v1"),
        ({"base_model": ""}, "fall back"),
        ({"extra": 1}, "Extra inputs"),
        ({"aliases": {"l": {"arms": [{"model": "a", "share": 0.5, "role": "active"}]}}}, "sum to 1"),
        ({"aliases": {"l": {"arms": [{"model": "a", "share": 1, "role": "canary"}]}}}, "exactly one active"),
        ({"aliases": {"l": {"arms": [{"model": "a", "share": 1, "role": "shadow"}]}}}, "active"),
        ({"aliases": {"l": {"arms": [{"model": "a\r\nb", "share": 1, "role": "active"}]}}}, "pattern"),
        ({"version": -1}, "greater than"),
    ],
)
def test_a_wrong_routing_is_refused(change: dict[str, Any], said: str) -> None:
    """Every mistake is refused with words that say what is wrong."""
    good = {"version": 1, "upstreams": ["http://h:1"], "base_model": "b"}
    good["aliases"] = {"l": {"arms": [{"model": "a", "share": 1.0, "role": "active"}]}}
    with pytest.raises(ValueError, match=said):
        Routing.parse(json.dumps({**good, **change}).encode())


def test_whoever_listens_nowhere_is_told(tmp_path: Path) -> None:
    """Neither a port nor a socket is refused in words that say what to do; each alone is enough."""
    with pytest.raises(FlywheelError, match="give it a host or a socket"):
        GatewaySettings(home=tmp_path, host="")
    assert not GatewaySettings(home=tmp_path, host="", socket=tmp_path / "s").is_exposed
    for host, exposed in {"127.0.0.1": False, "localhost": False, "::1": False, "0.0.0.0": True, "h": True}.items():  # noqa: S104
        assert GatewaySettings(home=tmp_path, host=host).is_exposed is exposed


def test_settings_have_defaults_and_refuse_typos(tmp_path: Path) -> None:
    """The home alone is enough; an unknown key is an error."""
    settings = GatewaySettings(home=tmp_path, host="::1")
    assert settings.port == 8711
    assert settings.first_routing().aliases == {}
    with pytest.raises(ValidationError):
        GatewaySettings.model_validate({"home": tmp_path, "prot": 1})
