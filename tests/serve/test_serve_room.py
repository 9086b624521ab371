"""The reconciler: what should be loaded and pointed at comes about, whatever the servers do in between."""

import asyncio

import pytest
from serve_house import LINE, ScriptedGateway, ScriptedServer, lora

from flywheel.core.attempts import Done, Failed, Retry
from flywheel.core.routing import Routing

pytestmark = pytest.mark.asyncio


async def test_a_line_without_adapters_points_at_the_base(stage):
    """The alias exists from the first cycle on, and the base answers for it."""
    async with stage() as house:
        await house.settle()
        assert house.pointed == {"tiny-base": 1.0}
        routing = Routing.parse(house.routing_file.read_bytes())
        assert (routing.version, routing.upstreams, routing.base_model) == (1, (house.servers[0].url,), "tiny-base")
        assert len(house.events("serve.aliases_flipped")) == 1


async def test_a_registered_adapter_is_loaded_warmed_up_and_not_routed(stage):
    """The gate finds a candidate loaded under its name and absolute path; the agent does not meet it."""
    async with stage() as house:
        name = house.publish(1)
        await house.settle()
        (server,) = house.servers
        assert server.loads == [(name, str(house.home / "adapters" / LINE / "1"))]
        assert server.asked == [name]
        assert house.loaded() == [(server.url, name)]
        assert house.pointed == {"tiny-base": 1.0}
        assert [event.subject for event in house.events("serve.adapter_loaded")] == [name]


async def test_canary_and_active_share_the_alias(stage):
    """A canary gets its share, the active one the rest; promotion and rollback are flips."""
    async with stage() as house:
        first, second = house.active(1), house.publish(2)
        await house.settle()
        assert house.pointed == {first: 1.0}
        house.move(second, "canary")
        await house.settle()
        assert house.pointed == {second: 0.2, first: 0.8}
        house.move(second, "rolled back")
        assert await house.proposed() == ["flip_aliases routing"]
        await house.cycle()
        assert house.pointed == {first: 1.0}
        flip = house.events("serve.aliases_flipped")[-1]
        assert flip.body["changed"] == {LINE: {"from": f"{second} 20 %, {first} 80 %", "to": f"{first} 100 %"}}
        assert flip.line == LINE


async def test_an_alias_is_pointed_only_at_what_every_server_holds(stage):
    """Two servers: until both hold the adapter, the base answers."""
    async with stage(2) as house:
        name = house.active(1)
        house.servers[1].load_status = 503
        await house.cycle()
        await house.cycle()
        assert house.pointed == {"tiny-base": 1.0}
        house.servers[1].load_status = 200
        await house.settle()
        assert house.pointed == {name: 1.0}


async def test_after_a_restart_everything_is_loaded_before_the_alias_points_there(stage):
    """A server that forgot its adapters is pointed at with the base, loaded again, and only then with the adapter."""
    async with stage() as house:
        name = house.active(1)
        await house.settle()
        (server,) = house.servers
        await server.stop()
        await server.start()
        assert await house.proposed() == ["flip_aliases routing", f"load_adapter {name}"]
        await house.cycle()
        assert house.pointed == {"tiny-base": 1.0}
        await house.settle()
        assert house.pointed == {name: 1.0}
        assert server.asked == [name, name]


async def test_while_the_active_one_is_away_the_one_before_answers(stage):
    """What is loaded stands in before the base does."""
    async with stage() as house:
        first = house.active(1)
        second = house.active(2)
        await house.settle()
        assert house.pointed == {second: 1.0}
        del house.servers[0].adapters[second]
        house.servers[0].load_status = 500
        await house.cycle()
        assert house.pointed == {first: 1.0}


async def test_a_server_that_is_down_is_one_event_and_its_return_another(stage):
    """Failure and recovery are told once each, and nothing raises in between."""
    async with stage() as house:
        name = house.active(1)
        await house.settle()
        (server,) = house.servers
        await server.stop()
        for _ in range(3):
            await house.cycle()
        assert "cannot be reached" in await house.waits()
        assert house.pointed == {"tiny-base": 1.0}
        await server.start()
        await house.settle()
        assert house.pointed == {name: 1.0}
        told = house.events("serve.server_failed", "serve.server_recovered")
        assert [event.kind for event in told] == ["serve.server_failed", "serve.server_recovered"]
        assert told[1].cause == told[0].seq


async def test_a_slow_server_is_taken_at_its_last_word(stage):
    """A server that does not answer in time keeps its alias: slow is not gone."""
    async with stage() as house:
        name = house.active(1)
        await house.settle()
        house.servers[0].seconds = 5
        await house.cycle()
        assert house.pointed == {name: 1.0}
        assert "did not answer in 0.3 seconds" in await house.waits()


@pytest.mark.parametrize("listing", ["<html>", "[]", '{"data": [{"x": 1}]}', '{"data": "no"}', '{"data": [{"id": 3}]}'])
async def test_a_server_that_talks_nonsense_is_a_wait_not_a_fault(stage, listing):
    """Whatever is behind the address, the room says what is wrong with it."""
    async with stage() as house:
        house.active(1)
        house.servers[0].listing = listing
        await house.cycle()
        assert "models in a shape nobody knows" in await house.waits()
        assert len(house.events("serve.server_failed")) == 1


async def test_a_server_with_another_base_gets_no_adapters(stage):
    """A server that serves no line's base is wrong, and the sentence names what it serves."""
    async with stage() as house:
        house.active(1)
        house.servers[0].base = "llama"
        await house.cycle()
        assert "serves llama, and no line's base" in await house.waits()
        assert house.servers[0].loads == []


async def test_a_server_without_runtime_loading_is_not_the_adapters_fault(stage):
    """The 404 of a missing door refuses nobody; the reason says how to start the server."""
    async with stage(0) as house:
        server = ScriptedServer()
        server.runtime = False
        await server.start()
        house.servers.append(server)
        house.publish(1)
        attempts = await house.cycle()
        assert isinstance(attempts[-1], Retry)
        assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" in attempts[-1].reason
        assert house.events("serve.adapter_refused") == []


async def test_nothing_is_loaded_beside_a_base_that_is_not_the_pinned_one(stage):
    """That is no fault of the adapter: it waits, with what changed, and is loaded when the base is restored."""
    async with stage() as house:
        house.changed = "the tokenizer of base 'tiny' changed"
        name = house.publish(1)
        reasons = [attempt.reason for attempt in await house.cycle() if isinstance(attempt, Retry)]
        assert reasons == [f"{house.changed} since it was pinned, and {name} belongs to what it was"]
        assert house.servers[0].loads == []
        house.changed = ""
        await house.settle()
        assert [loaded for loaded, _ in house.servers[0].loads] == [name]
        assert house.events("serve.adapter_refused") == []


async def test_an_adapter_that_fails_its_checks_never_reaches_a_server(stage):
    """A refusal is one event, with the reason; other adapters go on."""
    async with stage() as house:
        bad, good = house.publish(1, lora(rank=4)), house.publish(2)
        for _ in range(3):
            attempts = await house.cycle()
        assert any(isinstance(attempt, Failed) for attempt in attempts)
        assert [name for name, _ in house.servers[0].loads] == [good]
        (event,) = house.events("serve.adapter_refused")
        assert event.subject == bad
        assert "base and rank ask for" in event.body["reason"]


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_what_the_server_itself_refuses_is_refused(stage, status):
    """Where the base still answers, the adapter is to blame, and the alias stays where it was."""
    async with stage() as house:
        name = house.active(1)
        house.servers[0].load_status = status
        await house.cycle()
        await house.cycle()
        (event,) = house.events("serve.adapter_refused")
        assert (event.subject, f"with {status}" in event.body["reason"]) == (name, True)
        assert house.pointed == {"tiny-base": 1.0}
        assert house.loaded() == []


async def test_an_adapter_that_cannot_answer_is_taken_from_the_server(stage):
    """A warm-up that fails while the base answers ends in a refusal, and the name is free again."""
    async with stage() as house:
        house.publish(1)
        house.servers[0].ask_status = 500
        await house.cycle()
        assert len(house.events("serve.adapter_refused")) == 1
        assert house.servers[0].adapters == {}


async def test_a_broken_server_refuses_nobody(stage):
    """When not even the base answers, the adapter waits for a healthy server."""
    async with stage() as house:
        house.publish(1)
        house.servers[0].ask_status = house.servers[0].base_status = 500
        attempts = await house.cycle()
        assert isinstance(attempts[-1], Retry)
        assert "not even its base" in attempts[-1].reason
        assert house.events("serve.adapter_refused") == []


async def test_a_rejected_adapter_is_unloaded_after_the_grace_period(stage):
    """Without a gateway to ask, a name stays for the grace period after the last flip."""
    async with stage() as house:
        name = house.publish(1)
        await house.settle()
        house.move(name, "rejected")
        assert await house.proposed() == []
        assert "requests may be on their way until 00:00:30" in await house.waits()
        house.clock.advance(30)
        await house.settle()
        assert house.servers[0].adapters == {}
        assert house.loaded() == []
        assert (house.home / "adapters" / LINE / "1").is_dir()
        (event,) = house.events("serve.adapter_unloaded")
        assert event.subject == name


async def test_requests_on_the_way_end_before_an_adapter_is_unloaded(stage):
    """With a gateway to ask, its version and its count decide, not the clock."""
    async with stage() as house, ScriptedGateway(house.routing_file).running() as gateway:
        house.gateway = gateway.url
        name = house.active(1)
        await house.settle()
        house.move(name, "rolled back")
        gateway.in_flight, gateway.version = {name: 2}, 1
        await house.cycle()
        assert "the gateway has not taken version" in await house.waits()
        gateway.version = None
        assert "2 requests on the way" in await house.waits()
        assert name in house.servers[0].adapters
        gateway.in_flight = {}
        await house.settle()
        assert house.servers[0].adapters == {}


async def test_the_one_before_stays_loaded_and_the_one_before_that_leaves(stage):
    """A rollback finds its target loaded."""
    async with stage() as house:
        for number in (1, 2, 3):
            house.active(number)
            await house.settle()
            house.clock.advance(60)
        await house.settle()
        assert sorted(house.servers[0].adapters) == ["tool-calling@2", "tool-calling@3"]
        house.move("tool-calling@3", "rolled back")
        house.move("tool-calling@2", "active")
        await house.cycle()
        assert house.pointed == {"tool-calling@2": 1.0}


async def test_names_that_are_not_ours_are_left_alone_and_take_their_room(stage):
    """Somebody else's adapters stay and count; ours never exceed what the server holds."""
    async with stage() as house:
        house.capacity = 2
        house.servers[0].adapters = {"somebody": "/x", "ghost@7": "/y"}
        house.publish(1)
        await house.settle()
        assert house.servers[0].loads == []
        assert "tool-calling@1 is not loaded: " in await house.waits()
        assert "holds 2 of 2 adapters" in await house.waits()
        del house.servers[0].adapters["ghost@7"]
        await house.settle()
        assert sorted(house.servers[0].adapters) == ["somebody", "tool-calling@1"]


async def test_the_oldest_superseded_makes_room_for_a_candidate(stage):
    """Where room runs out, the release to go back to leaves first, and only then the new one is loaded."""
    async with stage() as house:
        house.capacity = 2
        house.active(1)
        house.active(2)
        await house.settle()
        house.clock.advance(60)
        new = house.publish(3)
        assert await house.proposed() == ["unload_adapter tool-calling@1"]
        assert f"{new} is not loaded yet" in await house.waits()
        most = 0
        for _ in range(4):
            await house.cycle()
            most = max(most, len(house.servers[0].adapters))
        assert sorted(house.servers[0].adapters) == ["tool-calling@2", new]
        assert most == 2


async def test_a_name_loaded_from_elsewhere_is_replaced_once_nothing_points_at_it(stage):
    """The weights behind a name are ours or the name is not used."""
    async with stage() as house:
        name = house.active(1)
        house.servers[0].adapters[name] = "/somewhere/else"
        await house.cycle()
        assert house.pointed == {"tiny-base": 1.0}
        assert "loaded from another place" in await house.waits()
        house.clock.advance(60)
        await house.settle()
        assert house.servers[0].adapters[name] == str(house.home / "adapters" / LINE / "1")
        assert house.pointed == {name: 1.0}


async def test_a_crash_between_loading_and_recording_is_mended(stage):
    """An adapter that is listed but was never recorded is warmed up and recorded, not loaded twice."""
    async with stage() as house:
        name = house.publish(1)
        (server,) = house.servers
        server.adapters[name] = str(house.home / "adapters" / LINE / "1")
        await house.settle()
        assert server.loads == []
        assert server.asked == [name]
        assert house.loaded() == [(server.url, name)]


async def test_a_crash_between_deciding_and_writing_the_file_is_mended(stage):
    """The store decides; a file that is missing, older or torn is written again, without a new version."""
    async with stage() as house:
        await house.settle()
        whole = house.routing_file.read_bytes()
        for damage in (house.routing_file.unlink, lambda: house.routing_file.write_bytes(whole[:20])):
            damage()
            await house.settle()
            assert house.routing_file.read_bytes() == whole
        assert len(house.events("serve.aliases_flipped")) == 1
        assert house.published().routing.version == 1


async def test_doing_an_intent_twice_is_doing_it_once(stage):
    """Each intent repeated right after itself changes no server and writes no event."""
    async with stage() as house:
        house.active(1)
        house.publish(2)
        for _ in range(4):
            room = house.room()
            for proposal in (await room.propose()).proposals:
                await room.perform(proposal.intent, proposal.cause)
                before = (len(house.events()), dict(house.servers[0].adapters), house.routing_file.read_bytes())
                again = await room.perform(proposal.intent, proposal.cause)
                assert isinstance(again, Done)
                after = (len(house.events()), dict(house.servers[0].adapters), house.routing_file.read_bytes())
                assert after == before


async def test_a_file_that_cannot_be_written_is_tried_again(stage):
    """A full or missing disk is a retry; the decision is kept and told later."""
    async with stage() as house:
        house.routing_file = house.home / "blocked" / "routing.json"
        (house.home / "blocked").write_text("a file where a folder should be")
        attempts = await house.cycle()
        assert isinstance(attempts[0], Retry)
        (house.home / "blocked").unlink()
        await house.settle()
        assert house.pointed == {"tiny-base": 1.0}


async def test_a_base_that_is_not_in_the_settings_is_a_wait(stage):
    """A line whose base nobody declared gets no alias, and says so."""
    async with stage() as house:
        house.bases.clear()
        await house.settle()
        assert await house.waits() == "base 'tiny' is not in the settings"
        assert not house.routing_file.exists()


async def test_without_servers_nothing_is_done(stage):
    """No server, no routing, one sentence."""
    async with stage(0) as house:
        house.publish(1)
        await house.settle()
        assert await house.waits() == "no model server is in the settings"


async def test_the_gateway_is_not_asked_while_nobody_leaves(stage):
    """An idle look costs one question a server and none to the gateway."""
    async with stage() as house:
        house.gateway = "http://127.0.0.1:9"
        house.active(1)
        await house.settle()
        room = house.room()
        asked = []
        room._readings._gateway = lambda: asked.append(1)
        assert (await asyncio.wait_for(room.propose(), 2)).proposals == ()
        assert asked == []


@pytest.mark.asyncio
async def test_it_looks_often_only_at_what_is_on_its_way(stage):
    """A server that is away for days is looked at now and then; what drains is looked at again at once."""
    async with stage() as house:
        name = house.publish(1)
        await house.settle()
        house.move(name, "rejected")
        assert (await house.room().propose()).again_in == 1.0
        await house.servers[0].stop()
        await house.cycle()
        assert "cannot be reached" in await house.waits()
        assert (await house.room().propose()).again_in == 5.0
