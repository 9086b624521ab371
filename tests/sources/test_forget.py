# ruff: noqa: D102 - the home's methods say what they do by name
"""Forgetting: words leave every file, never come back, and whoever learned from them is named."""

import json
import os
import shutil
import signal
import sqlite3
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flywheel.core.clocks import ManualClock
from flywheel.core.events import Event
from flywheel.core.examples import DatasetManifest, Example, Split
from flywheel.core.forgetting import Scope
from flywheel.core.lines import Line
from flywheel.core.outcomes import Label, Labelled, Message, Outcome
from flywheel.core.requests import Request
from flywheel.core.steps import Steps
from flywheel.core.suites import Suite
from flywheel.curate.pools import admit
from flywheel.gateway.calls import Call
from flywheel.gateway.databases import CaptureDatabase
from flywheel.sources import forgets
from flywheel.sources.forgets import ForgetRoom, find
from flywheel.store.counters import counters
from flywheel.store.datasets import record_dataset, record_members
from flywheel.store.examples import example_by_id, pool
from flywheel.store.gateway_calls import GatewayCall, attribute
from flywheel.store.ledger import append, events
from flywheel.store.listings import list_rows
from flywheel.store.outcomes import list_outcomes, reconsider, store_outcomes, waiting_outcomes
from flywheel.store.pairs import list_pairs
from flywheel.store.requests import make_request, request_by_id
from flywheel.store.stores import Store, open_store, sqlite_url
from flywheel.store.suites import live_suite, newest_held_out, record_suite

LINE = Line(name="code", why="w", base="b")
CLOCK = ManualClock()


def words(name: str) -> str:
    """Words that stand nowhere else, long enough to fill pages, and not only ASCII."""
    return " ".join(f"{name}-wörd-{number:04d}" for number in range(400))


def outcome(number: int, repo: str = "secret", **values: Any) -> Outcome:
    made: dict[str, Any] = {
        "key": f"k{number}", "source": "agent", "task": f"t{number}", "session": f"s-{repo}-{number // 2}",
        "group": repo, "call_type": "act", "at": CLOCK.now(), "model": "m",
        "messages": (Message(role="user", content=words(f"{repo}-question-{number}")),),
        "response": words(f"{repo}-answer-{number}"),
        "labelled": Labelled(label=Label.POSITIVE, confidence=0.9), "line": "code",
    }  # fmt: skip
    return Outcome(**(made | values))


def captured(number: int, one: Outcome, **values: Any) -> Call:
    asked = {"model": "code", "messages": [{"role": m.role, "content": m.content} for m in one.messages]}
    said = {"choices": [{"index": 0, "message": {"role": "assistant", "content": one.response}}]}
    made = {
        "id": f"c{number}", "at": CLOCK.now().isoformat(), "alias": "code", "model": "code@1", "arm": "active",
        "routing_version": 1, "session": one.session, "session_source": "x-session-id", "task": None, "status": 200,
        "streamed": False, "complete": True, "fallback": False, "request": json.dumps(asked).encode(),
        "response": json.dumps(said, ensure_ascii=False).encode(), "prompt_tokens": 1, "completion_tokens": 1,
        "latency_ms": 1.0, "first_token_ms": None,
    }  # fmt: skip
    return Call(**(made | values))


class Home:
    """A home with a store, a capture, a frozen dataset and a suite; half of it from a repo called `secret`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = self.open()
        self.capture = CaptureDatabase(path / "capture.db", 1 << 30)

    def open(self, steps: Steps | None = None) -> Store:
        return open_store(sqlite_url(self.path / "flywheel.db"), steps)

    def fill(self) -> None:
        outcomes = [outcome(number, "secret" if number < 6 else "public") for number in range(12)]
        bad = outcomes[1].model_copy(update={"key": "bad", "response": words("secret-bad"),
                                             "labelled": Labelled(label=Label.NEGATIVE, confidence=0.9)})  # fmt: skip
        self.bring(*outcomes, bad)
        unknown = {"labelled": Labelled(label=Label.UNKNOWN, confidence=0)}
        self.bring(*(one.model_copy(update=unknown) for one in outcomes))
        self.bring(*outcomes)  # bodies were rewritten: pages with the old ones lie free in the file
        self.capture.write([captured(number, one) for number, one in enumerate(outcomes)])
        self.capture.close()
        with self.store.write() as session:
            attribute(session, [GatewayCall(call=f"c{n}", line="code", name="code@1", arm="active", task="",
                                            session=one.session, at=CLOCK.now())
                                for n, one in enumerate(outcomes)])  # fmt: skip
        self.freeze()

    def bring(self, *outcomes: Outcome) -> int:
        with self.store.write() as session:
            stored = store_outcomes(session, outcomes)
            admit(session, LINE, waiting_outcomes(session, "code", 100), 0)
        return stored.new

    def freeze(self) -> None:
        examples = self.examples()
        parts = {"train": examples[:4] + examples[6:10], "test": examples[4:5] + examples[10:]}
        splits = {part: Split(rows=len(ids), sha256="0" * 64) for part, ids in parts.items()}
        manifest = DatasetManifest(hash="d" * 64, line="code", number=1, parent=None, splits=splits, examples=11,
                                   fresh=11, replayed=0, created_at=CLOCK.now())  # fmt: skip
        with self.store.write() as session:
            seq = append(session, Event(kind="curate.dataset_frozen", at=CLOCK.now(), line="code", subject="d" * 64))
            record_dataset(session, manifest, 100, seq)
            record_members(session, "d" * 64, parts)
            suite = Suite(hash="e" * 64, line="code", dataset="d" * 64, problems=1, groups=1, seq=seq)
            record_suite(session, suite, [])
        for folder in ("datasets/" + "d" * 64, "suites/" + "e" * 64):
            (self.path / folder).mkdir(parents=True)
            (self.path / folder / "train.jsonl").write_text(words("secret-answer-0"))

    def ask(self, kind: str, name: str, **values: Any) -> str:
        scope = Scope(kind=kind, name=name, **values)  # type: ignore[arg-type]
        with self.store.write() as session:
            number = len(list_rows(session, "requests", limit=1000))
            request = Request(id=f"r{number}", kind="forget", line="", subject=f"{kind} 1234", at=CLOCK.now(),
                              body={"scope": scope.model_dump()})  # fmt: skip
            make_request(session, request)
        return request.id

    async def cycle(self) -> list[Any]:
        room = ForgetRoom(self.store, CLOCK, self.path)
        return [await room.perform(one.intent, one.cause) for one in (await room.propose()).proposals]

    async def forget(self, kind: str, name: str, **values: Any) -> Request:
        asked = self.ask(kind, name, **values)
        await self.cycle()
        with self.store.read() as session:
            found = request_by_id(session, asked)
        assert found is not None
        return found

    def examples(self) -> list[str]:
        with self.store.read() as session:
            return [one.id for one in pool(session, "code")]

    def holding(self, needle: str) -> set[str]:
        """Every file of store and capture that holds the words, as they are or as JSON writes them."""
        forms = {needle.encode(), json.dumps(needle)[1:-1].encode()}
        files = [path for path in self.path.iterdir() if path.is_file()]
        return {path.name for path in files if any(form in path.read_bytes() for form in forms)}

    def told(self) -> list[Event]:
        with self.store.read() as session:
            return events(session, kinds=["operator.records_forgotten"])


@pytest.fixture
def home(tmp_path: Path):
    made = Home(tmp_path)
    made.fill()
    yield made
    made.capture.close()
    made.store.close()


SECRETS = [f"secret-{what}-{number}-wörd-{place:04d}" for what in ("question", "answer") for number in range(6)
           for place in range(0, 400, 7)] + ["secret-bad-wörd-0003"]  # fmt: skip


def check_gone(home: Home) -> None:
    left = {needle: files for needle in SECRETS if (files := home.holding(needle))}
    assert left == {}
    assert home.holding("public-answer-7-wörd-0003") == {"flywheel.db", "capture.db"}
    with home.store.read() as session:
        assert {one.outcome.group for one in list_outcomes(session, limit=100)} == {"public"}
        assert list_pairs(session) == []
        counts = counters(session, "line:code")
    assert len(home.examples()) == 6
    assert (counts["examples"], counts["outcomes_positive"], counts["outcomes_negative"]) == (6, 6, 0)
    assert counts.get("pairs", 0) == 0


@pytest.mark.asyncio
async def test_a_repo_leaves_every_byte(home):
    """No page of store, log or capture holds a word of it; the rest is untouched; the ledger tells of it in numbers."""
    assert home.holding(SECRETS[0])
    asked = await home.forget("repo", "secret")
    check_gone(home)
    assert asked.state == "satisfied"
    assert "7 outcomes, 6 examples, 1 pair and 6 captured calls" in asked.answer
    (told,) = home.told()
    assert [held["hash"] for held in told.body["datasets"]] == ["d" * 64]
    assert told.body["suites"] == ["e" * 64]
    assert home.holding("secret") == set()
    assert (home.path / "datasets" / ("d" * 64) / "train.jsonl").exists()


@pytest.mark.asyncio
async def test_what_was_forgotten_does_not_come_back(home):
    """Read again, copied under another source, or new from the same repo: it stays out; other repos do not."""
    await home.forget("repo", "secret")
    again = [outcome(number) for number in range(6)]
    assert home.bring(*again) == 0
    assert home.bring(*(one.model_copy(update={"key": f"copy-{one.key}", "group": "elsewhere"}) for one in again)) == 0
    assert home.bring(outcome(50)) == 0
    assert home.bring(outcome(51, "public")) == 1


@pytest.mark.asyncio
async def test_until_now_lets_the_next_one_in(home):
    """With --until-now only what was there stays out."""
    await home.forget("repo", "secret", until_now=True)
    check_gone(home)
    assert home.bring(outcome(3)) == 0
    assert home.bring(outcome(50)) == 1


@pytest.mark.asyncio
async def test_forgetting_twice_is_forgetting_once(home):
    """A second request finds nothing and says so; each request has one event."""
    await home.forget("session", "s-secret-0")
    again = await home.forget("session", "s-secret-0")
    assert "forgot 0 outcomes" in again.answer
    assert len(home.told()) == 2
    assert await home.cycle() == []
    assert home.holding("secret-answer-0-wörd-0001") == set()
    assert home.holding("secret-answer-5-wörd-0001") == {"flywheel.db", "capture.db"}


@pytest.mark.asyncio
async def test_an_example_takes_what_repeats_it_along(home):
    """One answer goes: its outcome, the later ones of its session that quote it, their calls; and nothing else."""
    first = outcome(0)
    quoting = outcome(90, session=first.session, response=words("later"),
                      messages=(*first.messages, Message(role="assistant", content=first.response),
                                Message(role="user", content="and now?")))  # fmt: skip
    home.bring(quoting)
    home.capture.write([captured(90, quoting, session="unnamed", session_source="conversation")])
    with home.store.read() as session:
        name = next(one.id for one in pool(session, "code")
                    if example_by_id(session, one.id).answer == first.response)  # fmt: skip
    found = await home.forget("example", name)
    assert "forgot 2 outcomes, 2 examples" in found.answer
    assert home.holding("secret-answer-0-wörd-0399") == set()
    assert home.holding("later-wörd-0399") == set()
    assert home.holding("secret-answer-1-wörd-0399") == {"flywheel.db", "capture.db"}
    assert home.bring(first.model_copy(update={"key": "another"})) == 0


@pytest.mark.asyncio
async def test_the_row_of_a_frozen_example_stays_bare(home):
    """A dataset's list of examples stays whole: the example is there, withdrawn and without words."""
    taught = home.examples()[0]
    await home.forget("repo", "secret")
    with home.store.read() as session:
        bare = example_by_id(session, taught)
    assert isinstance(bare, Example)
    assert (bare.messages, bare.task, bare.session, bare.group, bare.outcome) == ((), "", "", "", "")


@pytest.mark.asyncio
async def test_what_another_repo_says_as_well_stays_there(home):
    """An example that other evidence carries stays, resting on that; it is considered once more."""
    home.bring(outcome(2).model_copy(update={"key": "other", "group": "public", "session": "s-p", "task": "p"}))
    await home.forget("repo", "secret")
    assert len(home.examples()) == 7
    with home.store.read() as session:
        (waiting,) = waiting_outcomes(session, "code", 10)
    assert waiting.outcome.key == "other"


@pytest.mark.asyncio
async def test_purging_deletes_files_and_nobody_uses_the_dataset_again(home):
    """With --purge-datasets the folders go, the suite examines nobody, and no suite is built from that dataset."""
    by_hand = [home.path / "trials" / (letter * 64) / "out" for letter in "ef"]
    for folder in by_hand:
        folder.mkdir(parents=True)
    asked = await home.forget("repo", "secret", purge=True)
    assert not list((home.path / "datasets").iterdir())
    assert not list((home.path / "suites").iterdir())
    assert [folder.is_dir() for folder in by_hand] == [False, True]
    assert "deleted the files of dddddddd, eeeeeeee" in asked.answer
    with home.store.read() as session:
        assert live_suite(session, "code") is None
        assert newest_held_out(session, "code") is None


@pytest.mark.asyncio
async def test_a_dataset_that_a_crash_left_without_its_record_goes(home):
    """Nobody knows what it holds: it may be what is to be forgotten. What is recorded, or not ours, stays."""
    folders = ["a" * 64, f".{'b' * 64}.new", "d" * 64, "somebody's"]
    for name in folders:
        (home.path / "datasets" / name).mkdir(exist_ok=True)
    await home.forget("session", "s-secret-0")
    assert {path.name for path in (home.path / "datasets").iterdir()} == {"d" * 64, "somebody's"}


@pytest.mark.asyncio
async def test_looking_changes_nothing(home):
    """What a dry run finds is what forgetting then finds, and it leaves everything as it was."""
    before = {path.name: path.read_bytes() for path in home.path.iterdir() if path.suffix == ".db"}
    with home.store.read() as session:
        found = find(session, home.path, Scope(kind="repo", name="secret"))
    assert before == {path.name: path.read_bytes() for path in home.path.iterdir() if path.suffix == ".db"}
    assert (found.outcomes, found.examples, found.pairs, found.calls) == (7, 6, 1, 6)
    assert found.sentence in (await home.forget("repo", "secret")).answer


@pytest.mark.asyncio
async def test_a_session_that_goes_on_is_swept_again(home):
    """Later calls of a forgotten session carry its whole conversation: they leave the capture as they come."""
    await home.forget("session", "s-secret-0")
    home.capture.write([captured(77, outcome(0), session="s-secret-0"), captured(78, outcome(7, "public"))])
    home.capture.close()
    with home.store.write() as session:
        attribute(session, [GatewayCall(call="c77", line="code", name="code@1", arm="active", task="",
                                        session="s-secret-0", at=CLOCK.now())])  # fmt: skip
    (swept,) = await home.cycle()
    assert swept.changed
    assert home.holding("secret-answer-0-wörd-0001") == set()
    assert await home.cycle() == []


@pytest.mark.asyncio
async def test_a_gateway_that_writes_meanwhile_loses_nothing(home):
    """The gateway's connection stays open; what it writes before and after is there."""
    home.capture.write([captured(60, outcome(60, "public"))])
    await home.forget("repo", "secret")
    home.capture.write([captured(61, outcome(61, "public"))])
    with sqlite3.connect(home.path / "capture.db") as connection:
        kept = {row[0] for row in connection.execute("SELECT id FROM calls")}
    connection.close()
    assert kept == {"c60", "c61", *(f"c{number}" for number in range(6, 12))}


@pytest.mark.asyncio
async def test_a_store_in_use_is_tried_again(home, monkeypatch):
    """While somebody reads, old pages cannot be let go of: the request stays open and is finished later."""
    reader = sqlite3.connect(home.path / "capture.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM calls").fetchone()
    monkeypatch.setattr("flywheel.store.wiping._LOCK_SECONDS", 0.2)
    home.ask("repo", "secret")
    (held,) = await home.cycle()
    assert type(held).__name__ == "Retry"
    assert home.told() == []
    reader.close()
    await home.cycle()
    assert len(home.told()) == 1
    check_gone(home)


STOPS = ("delete_calls", "scrub", "scrub_file", "_remove")


class Kill:
    """Kills this very process at the given one of the boundaries it is told of."""

    def __init__(self, number: int) -> None:
        self.left = number

    def reached(self, *_: object) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, deed: Callable[..., Any]) -> Callable[..., Any]:
        def done(*arguments: Any) -> Any:
            self.reached()
            result = deed(*arguments)
            self.reached()
            return result

        return done


def dies_at(home: Home, number: int, patch: pytest.MonkeyPatch) -> bool:
    """Forget in a child that is killed at the given boundary; False when it came to its end before."""
    child = os.fork()
    if child == 0:
        try:
            kill = Kill(number)
            for name in STOPS:
                patch.setattr(forgets, name, kill.around(getattr(forgets, name)))
            room = ForgetRoom(home.open(Steps(kill.reached)), CLOCK, home.path)
            for proposal in room._plan().proposals:
                room._forget(proposal.intent, None)
        except BaseException:  # noqa: BLE001 - the child must not go on as a second test run
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or status == 0
    return os.WIFSIGNALED(status)


@pytest.mark.asyncio
async def test_killed_at_every_step_it_is_finished(home, tmp_path, monkeypatch):
    """Killed before or after every change it makes, it goes on where it was, and is told once."""
    home.ask("repo", "secret", purge=True)
    home.store.close()
    number, killed = 0, True
    while killed:
        number += 1
        again = Home.__new__(Home)
        again.path = tmp_path / f"home-{number}"
        shutil.copytree(home.path, again.path, ignore=shutil.ignore_patterns("home-*"))
        killed = dies_at(again, number, monkeypatch)
        with again.open() as again.store:
            await again.cycle()
            check_gone(again)
            assert len(again.told()) == 1
            assert not list((again.path / "datasets").iterdir())
    assert number > 10
    home.store = home.open()


@pytest.mark.asyncio
async def test_reconsidering_what_has_no_line_waits_for_nobody(home):
    """An outcome without a line is in nobody's queue."""
    home.bring(outcome(200, "public", line=None))
    with home.store.write() as session:
        reconsider(session, "k200")
        assert waiting_outcomes(session, "code", 10) == []
