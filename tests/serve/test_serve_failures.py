"""What goes wrong with servers and adapters: each trouble ends in a sentence, and the agent's aliases stay right."""

import asyncio
import json

import numpy as np
import pytest
from serve_house import HIDDEN, LINE, RANK, ScriptedGateway, ScriptedServer, lora, manifest_of, write_adapter

from flywheel.core.attempts import Done
from flywheel.core.events import Event
from flywheel.core.routing import Routing
from flywheel.proc.files import file_hash
from flywheel.serve.capacities import Need, need, shortage
from flywheel.store import releases as release_rows
from flywheel.store.ledger import append
from flywheel.store.runs import adapter_by_name, record_adapter

pytestmark = pytest.mark.asyncio


def registered(house, session, name):
    """Write an event that a release's state can hang on; return its number."""
    return append(session, Event(kind="rollout.adapter_registered", at=house.clock.now(), line=LINE, subject=name))


def spoilt(house, number, manifest=None, tensors=None, after=None, **config):
    """Register an adapter with something wrong about it; return its name."""
    folder = house.home / "adapters" / LINE / str(number)
    files = write_adapter(folder, tensors, **config)
    found = manifest_of(files, number, **(manifest or {}))
    with house.store.write() as session:
        seq = registered(house, session, found.name)
        record_adapter(session, found, str(folder), seq)
        release_rows.register(session, adapter_by_name(session, found.name), house.clock.now(), seq)
    if after is not None:
        after(folder)
    return found.name


def nan():
    """Two sound halves but for one number."""
    tensors = lora()
    name = next(iter(tensors))
    array = tensors[name][1].copy()
    array[RANK - 1, HIDDEN - 1] = float("nan")
    return {**tensors, name: ("F32", array)}


def torn(folder):
    """Cut the weights' last bytes off, as a crash of a copy does."""
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])


def torn_and_vouched_for():
    """Cut weights whose manifest was written after the cut."""
    return {
        name: (kind, array[:1]) if name.endswith("A.weight") else (kind, array)
        for name, (kind, array) in lora().items()
    }


KINDS = {
    "NaN": ({"tensors": nan()}, "numbers that are not finite"),
    "infinite": ({"tensors": {name: (k, np.full_like(a, np.inf)) for name, (k, a) in lora().items()}}, "not finite"),
    "halved": ({"tensors": lora(width_in=HIDDEN // 2)}, "base and rank ask for"),
    "torn rows": ({"tensors": torn_and_vouched_for()}, "base and rank ask for"),
    "another module": ({"tensors": lora("model.layers.9.self_attn.q_proj")}, "the base has no module"),
    "half a LoRA": ({"tensors": dict(list(lora().items())[:1])}, "only half of its LoRA"),
    "foreign base": ({"manifest": {"base_name": "other"}}, "trained on base 'other'"),
    "foreign bytes": ({"manifest": {"base_fingerprint": "zz"}}, "other bytes of base 'tiny'"),
    "torn": ({"after": torn}, "is not the file its manifest names"),
    "gone": ({"after": lambda folder: (folder / "adapter_model.safetensors").unlink()}, "is missing"),
    "a pickle beside it": ({"after": lambda folder: (folder / "x.bin").write_bytes(b"x")}, "not in its manifest"),
    "DoRA": ({"use_dora": True}, "no plain LoRA"),
    "rank beyond the server's": ({"manifest": {"rank": 32}, "tensors": lora(rank=32), "r": 32}, "at most 16"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
async def test_no_request_about_a_bad_adapter_reaches_a_server(stage, kind):
    """Of an adapter that is not sound the server hears nothing at all: no load, no question, no unload."""
    given, words = KINDS[kind]
    async with stage() as house:
        name = spoilt(house, 1, **given)
        for _ in range(3):
            await house.cycle()
        (event,) = house.events("serve.adapter_refused")
        assert event.subject == name
        assert words in event.body["reason"]
        assert not any(name in told for told in house.servers[0].heard)
        assert {told.split()[1] for told in house.servers[0].heard} == {"/v1/models"}
        assert house.pointed == {"tiny-base": 1.0}


async def test_a_bad_canary_leaves_the_others_alone(stage):
    """An active adapter goes on answering beside one that is refused."""
    async with stage() as house:
        good = house.active(1)
        bad = spoilt(house, 2, tensors=nan())
        house.move(bad, "canary")
        await house.settle()
        assert house.pointed == {good: 1.0}


async def test_many_servers_are_filled_and_asked_each_for_itself(stage):
    """Five servers hold the same; the gateway is told all of them."""
    async with stage(5) as house:
        name = house.active(1)
        await house.settle()
        assert [list(server.adapters) for server in house.servers] == [[name]] * 5
        assert len(house.events("serve.adapter_loaded")) == 5
        assert house.pointed == {name: 1.0}
        routing = Routing.parse(house.routing_file.read_bytes())
        assert routing.upstreams == tuple(server.url for server in house.servers)


async def test_one_of_many_that_is_down_has_no_say(stage):
    """The adapter stays in front of the agent; when the server returns without it, the base stands in meanwhile."""
    async with stage(3) as house:
        name = house.active(1)
        await house.settle()
        await house.servers[1].stop()
        await house.settle()
        assert house.pointed == {name: 1.0}
        assert "cannot be reached" in await house.waits()
        await house.servers[1].start()
        await house.cycle()
        assert house.pointed == {"tiny-base": 1.0}
        await house.settle()
        assert house.pointed == {name: 1.0}
        assert list(house.servers[1].adapters) == [name]


async def test_one_of_many_that_refuses_keeps_the_adapter_from_all(stage):
    """An adapter that only some servers take is on trial nowhere: sessions would meet it by chance."""
    async with stage(2) as house:
        first = house.active(1)
        await house.settle()
        house.servers[1].load_status = 500
        second = house.publish(2)
        house.move(second, "canary")
        for _ in range(3):
            await house.cycle()
        (event,) = house.events("serve.adapter_refused")
        assert (event.subject, event.body["server"]) == (second, house.servers[1].url)
        assert house.pointed == {first: 1.0}


async def test_one_of_many_with_another_base_is_left_out(stage):
    """A server of another base gets neither adapters nor the agent's calls, and the others go on."""
    async with stage(2) as house:
        house.servers[1].base = "llama"
        name = house.active(1)
        await house.settle()
        assert house.pointed == {name: 1.0}
        assert house.servers[1].loads == []
        assert Routing.parse(house.routing_file.read_bytes()).upstreams == (house.servers[0].url,)
        assert "serves llama" in await house.waits()


async def test_every_server_restarting_at_once_ends_with_all_aliases_right(stage):
    """After a power cut everything is loaded again, once a server, and then the aliases return."""
    async with stage(3) as house:
        first, second = house.active(1), house.publish(2)
        house.move(second, "canary")
        await house.settle()
        for server in house.servers:
            await server.stop()
        await house.cycle()
        for server in house.servers:
            await server.start()
            server.loads.clear()
        await house.settle()
        assert house.pointed == {second: 0.2, first: 0.8}
        assert [sorted(name for name, _ in server.loads) for server in house.servers] == [[first, second]] * 3


async def test_a_load_that_was_given_up_and_came_about_is_no_refusal(stage):
    """The server was slow, we asked again, it says that the name is loaded: it is, by us, and is warmed up."""
    async with stage() as house:
        name = house.publish(1)
        house.servers[0].late_load = True
        attempts = await house.cycle()
        assert isinstance(attempts[-1], Done)
        assert house.events("serve.adapter_refused") == []
        assert house.loaded() == [(house.servers[0].url, name)]


async def test_a_name_that_somebody_takes_in_between_is_left_alone(stage):
    """Between our look and our load somebody loaded other weights under the name: they are not asked or recorded."""
    async with stage() as house:
        name = house.publish(1)
        house.servers[0].late_load = "/somebody/elses"
        attempts = await house.cycle()
        assert "from another place" in attempts[-1].sentence
        assert (house.servers[0].asked, house.loaded()) == ([], [])
        assert house.events("serve.adapter_refused") == []
        house.servers[0].late_load = None
        house.clock.advance(60)
        await house.settle()
        assert house.servers[0].adapters == {name: str(house.home / "adapters" / LINE / "1")}


async def test_a_full_server_waits_for_room_and_says_what_would_help(stage):
    """Somebody else's adapters fill the server: ours wait, nothing is pushed out, and room is used when it comes."""
    async with stage() as house:
        house.capacity = 1
        house.servers[0].adapters = {"theirs": "/x"}
        name = house.active(1)
        await house.settle()
        assert "holds 1 of 1 adapters" in await house.waits()
        assert house.pointed == {"tiny-base": 1.0}
        house.servers[0].adapters.clear()
        await house.settle()
        assert house.pointed == {name: 1.0}


async def test_too_few_slots_are_told_and_stop_nothing(stage):
    """More adapters at work than a server computes with at once: they answer, and the line says that calls wait."""
    async with stage() as house:
        house.slots = 1
        first, second = house.active(1), house.publish(2)
        house.move(second, "canary")
        await house.settle()
        assert house.pointed == {second: 0.2, first: 0.8}
        assert "2 adapters answer and" in await house.waits()
        assert "max_loras and --max-loras are 2" in await house.waits()


async def test_room_is_planned_from_what_is_at_work_and_what_is_kept():
    """What waits for its gate and what one can go back to are held; only what answers or listens computes."""
    from flywheel.core.releases import Release, ReleaseState
    from flywheel.core.serving import ModelServer

    states = [ReleaseState.ACTIVE, ReleaseState.SHADOW, ReleaseState.REGISTERED, ReleaseState.SUPERSEDED]
    wanted = [Release(line=LINE, number=n, adapter="h", state=state) for n, state in enumerate(states)]
    assert need(wanted, others=2) == Need(at_once=2, held=6)
    assert shortage(ModelServer(url="http://x", max_loras=2), need(wanted)) == ""


async def test_a_shadow_is_loaded_and_listens_and_answers_nobody(stage):
    """A release in the shadow is the mirror of its alias, with its share, and none of its arms."""
    async with stage() as house:
        first, second = house.active(1), house.publish(2)
        await house.settle()
        with house.store.write() as session:
            seq = registered(house, session, second)
            release_rows.start_shadow(session, second, 0.5, house.clock.now(), seq)
        await house.settle()
        assert house.pointed == {first: 1.0}
        mirror = Routing.parse(house.routing_file.read_bytes()).aliases[LINE].mirror
        assert (mirror.model, mirror.share) == (second, 0.5)
        assert f"{second} listening to 50 %" in house.events("serve.aliases_flipped")[-1].body["why"]
        house.servers[0].adapters.pop(second)
        house.servers[0].load_status = 503
        await house.cycle()
        assert Routing.parse(house.routing_file.read_bytes()).aliases[LINE].mirror is None


async def test_a_mirror_is_not_unloaded_while_it_is_told(stage):
    """Requests go to a mirror, too: its name leaves a server only after the gateway has been told and they ended."""
    async with stage() as house, ScriptedGateway(house.routing_file).running() as gateway:
        house.gateway = gateway.url
        house.active(1)
        second = house.publish(2)
        with house.store.write() as session:
            seq = registered(house, session, second)
            release_rows.start_shadow(session, second, 1.0, house.clock.now(), seq)
        await house.settle()
        house.move(second, "rolled back")
        gateway.in_flight = {second: 1}
        for _ in range(3):
            await house.cycle()
        assert second in house.servers[0].adapters
        assert "1 request on the way" in await house.waits()
        gateway.in_flight = {}
        await house.settle()
        assert second not in house.servers[0].adapters


async def test_a_locked_server_without_our_token_is_a_wait(stage):
    """A server that does not know the token refuses nobody; the reason says which line is missing."""
    async with stage() as house:
        house.servers[0].token = word = "another"  # noqa: S105
        house.publish(1)
        attempts = await house.cycle()
        assert "does not know this daemon's token" in attempts[-1].reason
        assert house.events("serve.adapter_refused") == []
        house.token = word
        await house.settle()
        assert house.servers[0].adapters


async def test_a_server_that_dies_while_it_loads_blames_nobody(stage):
    """The connection breaks in the middle of a load: the adapter waits for a server that lives."""
    async with stage() as house:
        name = house.publish(1)
        house.servers[0].dies_loading = True
        await house.cycle()
        assert house.events("serve.adapter_refused") == []
        assert [event.kind for event in house.events("serve.server_failed")] == ["serve.server_failed"]
        house.servers[0].dies_loading = False
        await house.settle()
        assert list(house.servers[0].adapters) == [name]


async def test_two_rooms_at_once_end_where_one_would(stage):
    """A daemon that is replaced while it works, and its successor, load each name once and record it once."""
    async with stage() as house:
        house.active(1)
        one, other = house.room(), house.room()
        plans = [await one.propose(), await other.propose()]
        await asyncio.gather(
            *(
                room.perform(p.intent, p.cause)
                for room, plan in zip((one, other), plans, strict=True)
                for p in plan.proposals
            )
        )
        await house.settle()
        assert house.events("serve.adapter_refused") == []
        assert house.pointed == {"tool-calling@1": 1.0}
        assert json.loads(house.routing_file.read_bytes())["version"] == house.published().routing.version
        assert file_hash(house.home / "adapters" / LINE / "1" / "adapter_config.json")


async def test_a_restart_in_the_middle_of_a_canary_keeps_its_share(stage):
    """The server comes back: base first, then canary and active with the shares they had."""
    async with stage() as house:
        first, second = house.active(1), house.publish(2)
        house.move(second, "canary")
        await house.settle()
        server: ScriptedServer = house.servers[0]
        await server.stop()
        await server.start()
        await house.cycle()
        assert house.pointed == {"tiny-base": 1.0}
        await house.settle()
        assert house.pointed == {second: 0.2, first: 0.8}
