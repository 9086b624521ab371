"""Deleting adapters' folders: only where their life is over, never one that any server holds, whole or not at all."""

import shutil

import pytest
from serve_house import LINE

from flywheel.core.attempts import Done, Retry
from flywheel.core.errors import ConflictError
from flywheel.core.events import Event
from flywheel.core.jobs import Job, JobState
from flywheel.core.releases import ReleaseState
from flywheel.core.requests import Request
from flywheel.core.serving import Loaded, ModelServer
from flywheel.serve import prunings
from flywheel.serve.prunings import PruneRoom, in_words
from flywheel.serve.sites import Site
from flywheel.store.jobs import enqueue
from flywheel.store.ledger import append
from flywheel.store.loaded import mark_loaded
from flywheel.store.releases import move, release_by_name
from flywheel.store.requests import make_request, request_by_id
from flywheel.store.runs import adapter_by_name, next_number

pytestmark = pytest.mark.asyncio


class Pruning:
    """A house whose person asks for folders to be deleted."""

    def __init__(self, house):
        self.house = house
        self.fused = ()
        self.asked = 0

    def room(self):
        """Return a room as a daemon that has just started would make it."""
        servers = tuple(ModelServer(url=server.url) for server in self.house.servers)
        site = Site(adapters=self.house.home / "adapters", servers=servers, routing_file=self.house.routing_file,
                    look_seconds=0.3)  # fmt: skip
        return PruneRoom(self.house.store, self.house.clock, site, self.fused)

    def ask(self, *names):
        """Ask as the command line does; return the request's id."""
        self.asked += 1
        key = f"r{self.asked}"
        with self.house.store.write() as session:
            seq = append(session, Event(kind="operator.request_made", at=self.house.clock.now(), subject="adapters"))
            request = Request(id=key, kind="prune", line="", subject="adapters", at=self.house.clock.now(), cause=seq,
                              by="ada", body={"names": list(names)})  # fmt: skip
            make_request(session, request)
        return key

    async def cycle(self):
        """Propose and perform once."""
        room = self.room()
        return [await room.perform(one.intent, one.cause) for one in (await room.propose()).proposals]

    def answer(self, key):
        """Return a request's state and answer."""
        with self.house.store.read() as session:
            request = request_by_id(session, key)
        return request.state, request.answer

    def over(self, number, state="retired"):
        """Publish an adapter whose life is over; return its name."""
        name = self.house.publish(number)
        self.house.move(name, state)
        return name

    def folder(self, number):
        """Return where an adapter lies."""
        return self.house.home / "adapters" / LINE / str(number)

    def state_of(self, name):
        """Return a release's state in words."""
        with self.house.store.read() as session:
            return release_by_name(session, name).state.value


@pytest.fixture
def pruning(house):
    return Pruning(house)


async def test_only_what_is_over_goes(pruning, stage):
    """The retired and the rejected go; what is active, on trial or taken back stays, whoever names it."""
    async with stage():
        house = pruning.house
        kept = [house.active(1), house.publish(2), house.publish(3)]
        house.move(kept[2], "canary", "rolled back")
        gone = [pruning.over(4), pruning.over(5, "rejected")]
        key = pruning.ask(*kept, *gone, "tool-calling@99", "../../etc")
        (done,) = await pruning.cycle()
        assert isinstance(done, Done)
        assert [pruning.folder(number).exists() for number in range(1, 6)] == [True, True, True, False, False]
        assert pruning.answer(key) == ("satisfied", "deleted the folders of tool-calling@4, tool-calling@5")
        assert [(e.subject, e.body["was"]) for e in house.events("serve.adapter_pruned")] == [
            ("tool-calling@4", "retired"), ("tool-calling@5", "rejected"),
        ]  # fmt: skip
        assert await pruning.cycle() == []


async def test_what_a_server_lists_stays(pruning, stage):
    """By its name, or by its folder under any name: what any of several servers lists is not touched."""
    async with stage(servers=2):
        names = [pruning.over(number) for number in (1, 2, 3)]
        first, second = pruning.house.servers
        first.adapters[names[0]] = "/elsewhere"
        second.adapters["by-hand"] = str(pruning.folder(2))
        key = pruning.ask(*names)
        await pruning.cycle()
        assert [pruning.folder(number).exists() for number in (1, 2, 3)] == [True, True, False]
        assert pruning.answer(key)[1] == (
            "deleted the folders of tool-calling@3; tool-calling@1 stays: a server lists it; "
            "tool-calling@2 stays: a server lists it"
        )
        first.adapters.clear()
        second.adapters.clear()
        pruning.ask(*names)
        await pruning.cycle()
        assert not pruning.folder(1).exists()
        assert not pruning.folder(2).exists()


async def test_while_a_server_is_away_nothing_goes(pruning, stage):
    """Nobody knows what a server holds that does not answer: the request waits, and is done when it does."""
    async with stage(servers=2):
        name = pruning.over(1)
        key = pruning.ask(name)
        await pruning.house.servers[1].stop()
        (attempt,) = await pruning.cycle()
        assert isinstance(attempt, Retry)
        assert "nothing is deleted" in attempt.reason
        assert pruning.folder(1).exists()
        assert pruning.answer(key)[0] == "open"
        await pruning.house.servers[1].start()
        await pruning.cycle()
        assert not pruning.folder(1).exists()


async def test_what_the_store_knows_to_be_in_use_stays(pruning, stage):
    """Loaded at its last word, worked with, asked about, under a fused base: each is a reason that is told."""
    async with stage():
        house = pruning.house
        names = [pruning.over(number) for number in (1, 2, 3, 4)]
        job = Job(id="fuse-1", kind="fuse", line=LINE, subject=names[1], state=JobState.QUEUED, folder="x")
        asked = Request(id="p", kind="promote", line=LINE, subject=names[2], at=house.clock.now())
        with house.store.write() as session:
            mark_loaded(session, Loaded(server="http://gone", name=names[0], path="x", warmed_at=house.clock.now()))
            enqueue(session, job)
            make_request(session, asked)
        pruning.fused = (names[3],)
        key = pruning.ask(*names)
        await pruning.cycle()
        answer = pruning.answer(key)[1]
        for reason in ("loaded on http://gone", "fuse works with it", "a request about it", "a base was made with it"):
            assert reason in answer
        assert all(pruning.folder(number).exists() for number in (1, 2, 3, 4))


async def test_what_was_deleted_never_comes_back(pruning, stage):
    """A rejected adapter whose folder went is retired for good; its number is not used again, its record stays."""
    async with stage():
        house = pruning.house
        name = pruning.over(3, "rejected")
        pruning.ask(name)
        await pruning.cycle()
        assert pruning.state_of(name) == "retired"
        with house.store.read() as session:
            assert adapter_by_name(session, name).pruned_at == house.clock.now()
            assert next_number(session, LINE) == 4
        with house.store.write() as session, pytest.raises(ConflictError):
            move(session, name, ReleaseState.CANARY, house.clock.now(), 1)


@pytest.mark.parametrize("step", ["_delete", "answer_request", "rmtree"])
async def test_a_crash_anywhere_is_finished_by_the_next_cycle(pruning, stage, monkeypatch, step):
    """However far it came, the folder is whole or gone at the end, the event is there once, the person is answered."""
    async with stage():
        name = pruning.over(1)
        key = pruning.ask(name)

        def broken(*_, **__):
            raise RuntimeError("power cut")

        with monkeypatch.context() as patch:
            patch.setattr(shutil if step == "rmtree" else prunings, step, broken)
            with pytest.raises(RuntimeError, match="power cut"):
                await pruning.cycle()
        assert pruning.answer(key)[0] == "open"
        (done,) = await pruning.cycle()
        assert isinstance(done, Done)
        assert list(pruning.folder(1).parent.iterdir()) == []
        assert [event.subject for event in pruning.house.events("serve.adapter_pruned")] == [name]
        assert pruning.answer(key) == ("satisfied", f"deleted the folders of {name}")


async def test_nothing_outside_the_adapters_is_touched(pruning, stage, tmp_path):
    """A path in the store that leads elsewhere is written off and left alone."""
    async with stage():
        name = pruning.over(1)
        outside = tmp_path / "mine"
        shutil.move(pruning.folder(1), outside)
        pruning.folder(1).symlink_to(outside)
        pruning.ask(name)
        await pruning.cycle()
        assert (outside / "adapter_config.json").exists()


async def test_without_a_request_nothing_is_looked_at(pruning):
    """No server is asked, and nothing proposed, as long as nobody asks."""
    assert (await pruning.room().propose()).proposals == ()


async def test_sizes_are_told_as_people_say_them():
    """From bytes to GiB."""
    assert [in_words(size) for size in (0, 1023, 2048, 3 << 20, 5 << 30)] == [
        "0 bytes", "1023 bytes", "2 KiB", "3 MiB", "5.0 GiB",
    ]  # fmt: skip
