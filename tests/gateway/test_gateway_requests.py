"""One request at a time: what reaches the upstream, what comes back, and what happens when something is missing."""

import asyncio
import gzip
import io
import json
from contextlib import AsyncExitStack

import pytest
from gateway_house import House
from yarl import URL

BASE, OLD, NEW = "tiny-base", "tool-calling@1", "tool-calling@2"
pytestmark = pytest.mark.asyncio


async def test_an_alias_is_answered_by_its_arm(house: House) -> None:
    """The upstream sees the arm's model and otherwise the client's own bytes; the headers say what happened."""
    await house.start()
    await house.apply(house.routing())
    body = b'{ "temperature" : 0.10, "messages":[{"role":"user","content":"\\u00e9 model"}],  "model" :"tool-calling" }'
    async with house.client.post("/v1/chat/completions", data=body) as response:
        answer = await response.json()
    assert house.upstream.seen[-1].body == body.replace(b'"tool-calling"', b'"tool-calling@1"')
    assert answer["model"] == OLD
    assert response.headers["x-flywheel-model"] == OLD
    assert response.headers["x-flywheel-arm"] == "active"
    assert len(response.headers["x-flywheel-call"]) == 32


async def test_sessions_stick_and_share(house: House) -> None:
    """A session stays on its arm, and both arms get sessions."""
    await house.start()
    await house.apply(house.routing(0.5))
    arms: dict[str, set[str]] = {}
    for number in range(90):
        response, _ = await house.chat(headers={"x-session-id": f"s{number % 30}"})
        arms.setdefault(f"s{number % 30}", set()).add(response.headers["x-flywheel-arm"])
    assert all(len(seen) == 1 for seen in arms.values())
    assert {arm for seen in arms.values() for arm in seen} == {"active", "canary"}


async def test_without_a_routing_requests_pass(house: House) -> None:
    """Before the daemon has spoken the settings' upstream answers, and no arm is claimed."""
    await house.start()
    response, _ = await house.chat(BASE)
    assert response.status == 200
    assert "x-flywheel-arm" not in response.headers
    assert response.headers["x-flywheel-model"] == BASE


async def test_an_unknown_model_is_the_upstreams_to_refuse(house: House) -> None:
    """Neither an unknown name nor a release asked for by its own name is replaced by the base."""
    await house.start(models=(BASE, OLD))
    await house.apply(house.routing(1.0))
    for name in ("nobody", NEW):
        response, body = await house.chat(name)
        assert response.status == 404
        assert f"The model `{name}` does not exist." in body.decode()


async def test_a_missing_adapter_falls_back_to_the_base(house: House) -> None:
    """When the server does not know the arm's adapter, the base answers and the capture says so."""
    await house.start(models=(BASE,))
    await house.apply(house.routing())
    response, body = await house.chat()
    assert response.status == 200
    assert json.loads(body)["model"] == BASE
    assert response.headers["x-flywheel-model"] == BASE
    (row,) = await house.rows(1)
    assert (row["alias"], row["model"], row["arm"], row["fallback"]) == ("tool-calling", BASE, "active", 1)
    assert [seen.fields["model"] for seen in house.upstream.seen] == [OLD, BASE]


async def test_a_missing_base_is_told(house: House) -> None:
    """The fallback is tried once; then the upstream's own refusal is passed on."""
    await house.start(models=())
    await house.apply(house.routing())
    response, body = await house.chat()
    assert response.status == 404
    assert BASE in body.decode()
    assert len(house.upstream.seen) == 2


async def test_malformed_json_is_the_upstreams_to_refuse(house: House) -> None:
    """Bytes that are not JSON reach the upstream as they are, and its answer comes back."""
    await house.start()
    async with house.client.post("/v1/completions", data=b'{"model": "tool-calling"') as response:
        assert response.status == 400
    assert house.upstream.seen[-1].body == b'{"model": "tool-calling"'


async def test_secrets_pass_and_are_not_kept(house: House) -> None:
    """The upstream gets the authorization; the capture's file never does. Cookies of one answer go to nobody else."""
    await house.start()
    await house.chat(BASE, headers={"authorization": "Bearer sk-very-secret", "x-api-key": "sk-other"})
    assert house.upstream.seen[-1].headers["Authorization"] == "Bearer sk-very-secret"
    await house.rows(1)
    kept = b"".join(path.read_bytes() for path in house.home.iterdir())
    assert b"sk-very-secret" not in kept
    assert b"sk-other" not in kept


async def test_a_body_over_the_limit_is_refused(house: House) -> None:
    """The refusal is a 413 in the agents' own shape; a body at the limit passes."""
    await house.start(body_limit=2_000_000)
    async with house.client.post("/v1/chat/completions", data=io.BytesIO(b"x" * 2_000_001)) as response:
        assert response.status == 413
        assert (await response.json())["error"]["code"] == 413
    response, _ = await house.chat(BASE, padding="x" * 1_900_000)
    assert response.status == 200
    assert len(house.upstream.seen[-1].body) > 1_900_000


async def test_a_compressed_request_is_understood(house: House) -> None:
    """A gzipped body finds its arm, and the upstream is not told that it is still gzipped."""
    await house.start()
    await house.apply(house.routing())
    data = gzip.compress(b'{"messages":[],"model":"tool-calling"}')
    async with house.client.post("/v1/chat/completions", data=data, headers={"content-encoding": "gzip"}) as response:
        assert response.status == 200
    assert house.upstream.seen[-1].fields["model"] == OLD
    assert "Content-Encoding" not in house.upstream.seen[-1].headers


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
async def test_other_paths_pass_unchanged(house: House, method: str) -> None:
    """Path, query, headers and bytes of anything else under /v1 are the client's own, and so is the answer."""
    await house.start()
    path = "/v1/responses/a%2Fb?x=1&y=%20"
    async with house.client.request(method, path, data=b"\x00\x01", headers={"x-mine": "1"}) as response:
        assert response.headers["x-upstream-said"] == "echo"
        assert await response.read() == b"\x00\x01"
    seen = house.upstream.seen[-1]
    assert (seen.method, seen.path, seen.headers["x-mine"]) == (method, path, "1")


async def test_a_head_request_passes(house: House) -> None:
    """HEAD has the upstream's headers and no body."""
    await house.start()
    async with house.client.head("/v1/files/1") as response:
        assert response.headers["x-upstream-said"] == "echo"
        assert await response.read() == b""


@pytest.mark.parametrize(
    "path", ["/v1/load_lora_adapter", "/v1/unload%5Flora_adapter/", "/v1/%2e%2e/sleep", "/tokenize"]
)
async def test_agents_do_not_manage_the_server(house: House, path: str) -> None:
    """Loading adapters and paths outside /v1 are not to be had at this door."""
    await house.start()
    url = URL(house.origin + path, encoded=True)
    async with house.client.post(url, data=b"{}") as response:
        assert response.status == 404
        assert "gateway" in (await response.json())["error"]["message"]
    assert house.upstream.seen == []


async def test_an_unreachable_upstream_is_told(house: House) -> None:
    """Nobody listening gives a 502 in the agents' own shape, for completions and for the rest, and is captured."""
    await house.start(upstreams_at=("http://127.0.0.1:9",))
    response, body = await house.chat(BASE)
    assert response.status == 502
    assert json.loads(body)["error"]["type"] == "upstream_unreachable"
    async with house.client.get("/v1/files") as other:
        assert other.status == 502
    (row,) = await house.rows(1)
    assert (row["status"], row["complete"]) == (502, 0)


async def test_the_next_upstream_is_tried(house: House) -> None:
    """While one of the upstreams is away the other answers every session."""
    await house.start()
    await house.apply(house.routing(origins=("http://127.0.0.1:9", house.upstream.origin)))
    for number in range(8):
        response, _ = await house.chat(headers={"x-session-id": str(number)})
        assert response.status == 200
    async with house.client.get("/v1/files") as other:
        assert other.status == 200


async def test_a_request_lost_before_its_answer_is_sent_again(house: House) -> None:
    """A connection that closes under a request is not the agent's trouble: it is asked once more."""
    await house.start()
    house.upstream.drops_requests = 1
    response, _ = await house.chat(BASE)
    assert response.status == 200
    house.upstream.drops_requests = 9
    response, _ = await house.chat(BASE)
    assert response.status == 502
    assert house.upstream.drops_requests == 7


async def test_a_session_stays_at_its_server(house: House) -> None:
    """With two servers each conversation keeps to one, where its prefix is cached, and both are used."""
    await house.start(upstreams=2)
    for number in range(40):
        await house.chat(BASE, headers={"x-session-id": f"s{number % 20}"})
    homes = [{seen.headers["x-session-id"] for seen in upstream.seen} for upstream in house.upstreams]
    assert homes[0]
    assert homes[1]
    assert not homes[0] & homes[1]


async def test_the_model_list_knows_the_aliases(house: House) -> None:
    """Aliases stand beside the upstream's models, with the base's context length."""
    await house.start()
    await house.apply(house.routing())
    async with house.client.get("/v1/models") as response:
        models = {model["id"]: model for model in (await response.json())["data"]}
    assert set(models) == {BASE, OLD, NEW, "tool-calling"}
    assert models["tool-calling"]["owned_by"] == "flywheel"
    assert models["tool-calling"]["max_model_len"] == 1024


async def test_the_model_list_survives_the_upstream(house: House) -> None:
    """With the upstream down the aliases are still listed, and the gateway is healthy."""
    await house.start()
    await house.apply(house.routing(origins=("http://127.0.0.1:9",)))
    async with house.client.get("/v1/models") as response:
        assert [model["id"] for model in (await response.json())["data"]] == ["tool-calling"]
    async with house.client.get("/health") as response:
        assert await response.json() == {"status": "ok", "routing_version": 1}


async def test_the_routing_page_counts_what_is_on_its_way(house: House) -> None:
    """The daemon reads version, aliases and the requests in flight of each model."""
    await house.start()
    await house.apply(house.routing())
    house.upstream.chunk_seconds = 0.3
    asking = [asyncio.create_task(house.chat()) for _ in range(3)]
    await house.until(lambda: len(house.upstream.seen) == 3)
    async with house.client.get("/flywheel/routing") as response:
        page = await response.json()
    assert page["version"] == 1
    assert page["aliases"]["tool-calling"]["arms"][0]["model"] == OLD
    assert page["in_flight"] == {OLD: 3}
    assert page["capture"]["enabled"]
    await asyncio.gather(*asking)
    assert house.station.in_flight.models() == {}
    assert house.station.in_flight.total == 0


async def test_a_surprise_stays_with_its_request(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the gateway's own is a shaped 500, and the next request is served."""
    await house.start()
    with monkeypatch.context() as patch:
        patch.setattr(house.station.upstreams, "open", None)
        response, body = await house.chat(BASE)
        assert response.status == 500
        assert json.loads(body)["error"]["type"] == "gateway_error"
    response, _ = await house.chat(BASE)
    assert response.status == 200


async def test_an_upstream_that_closes_idle_connections_loses_nothing(house: House) -> None:
    """Restarting the upstream between two requests does not show."""
    async with AsyncExitStack() as stack:
        await house.start()
        other = type(house.upstream)({BASE})
        await stack.enter_async_context(other.running())
        port = int(other.origin.rpartition(":")[2])
        await house.apply(house.routing(origins=(other.origin,)))
        assert (await house.chat(BASE))[0].status == 200
        await stack.aclose()
        async with other.running(port):
            assert (await house.chat(BASE))[0].status == 200
