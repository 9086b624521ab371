"""Notifications: told from the ledger, in order, at least once, signed, and never in the way of the cycle."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.clocks import ManualClock
from flywheel.core.errors import SettingsError
from flywheel.core.events import EVENTS, Event
from flywheel.daemon.notification_bodies import body_of, delivery_id, signature
from flywheel.daemon.notification_couriers import LONGEST_REST, PREFIX, Courier, Couriers, rest_after, standing_of
from flywheel.daemon.notification_kinds import KINDS, USUAL, Notice, events_of, notice_of
from flywheel.daemon.notification_settings import NotifySettings
from flywheel.daemon.notification_ways import UndeliveredError, deliver, where
from flywheel.daemon.settings import Settings, load_settings
from flywheel.store.counters import cursor
from flywheel.store.ledger import append, events
from flywheel.store.stores import Store

CLOCK = ManualClock()


class Hook:
    """A webhook: it keeps what it hears and answers what it is told."""

    def __init__(self) -> None:
        self.url = ""
        self.heard: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.bodies: list[bytes] = []
        self.answers: list[web.Response] = []
        self.hangs = False

    async def hear(self, request: web.Request) -> web.Response:
        """Keep one body."""
        if self.hangs:
            await asyncio.sleep(30)
        body = await request.read()
        self.bodies.append(body)
        self.headers.append(request.headers)
        self.heard.append(json.loads(body))
        return self.answers.pop(0) if self.answers else web.Response()


@asynccontextmanager
async def hooked() -> AsyncIterator[Hook]:
    """Give a webhook on the loopback."""
    hook, app = Hook(), web.Application()
    app.router.add_post("/secret-path", hook.hear)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    hook.url = f"http://127.0.0.1:{port}/secret-path"
    try:
        yield hook
    finally:
        await runner.cleanup()


def told(store: Store, kind: str, line: str = "l", subject: str = "l@1", **body: Any) -> int:
    """Write an event."""
    with store.write() as session:
        return append(session, Event(kind=kind, at=CLOCK.now(), line=line, subject=subject, body=body))


def target(url: str | None = None, **given: Any) -> NotifySettings:
    return NotifySettings(name="ops", url=url, **given)


async def begun(store: Store, clock: ManualClock, one: NotifySettings) -> Courier:
    """Return a courier whose address has begun to hear."""
    couriers = Couriers(store, clock)
    await couriers.use([one])
    await couriers.close()
    return Courier(store, clock, one)


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not check():  # noqa: ASYNC110 - what is waited for is another task's
            await asyncio.sleep(0.01)


def standing(store: Store) -> Any:
    with store.read() as session:
        return standing_of(cursor(session, PREFIX + "ops"))


NOTICE = Notice(kind="promoted", event="rollout.adapter_promoted", seq=7, at=CLOCK.now(), subject="l@1", sentence="s")


def test_every_kind_is_told_from_events_that_exist_and_no_event_twice() -> None:
    """The registry is closed: its events are those of the ledger, each of one kind; what is usual is known."""
    named = [event for events, _ in KINDS.values() for event in events]
    assert set(named) <= EVENTS.keys()
    assert len(named) == len(set(named))
    assert set(USUAL) <= KINDS.keys()
    for event in events_of(KINDS):
        assert event in notice_of(Event(kind=event, at=CLOCK.now())).event


@given(st.dictionaries(st.text(min_size=1), st.one_of(st.none(), st.integers(), st.text(), st.lists(st.text()))))
def test_no_event_breaks_a_body(body: dict[str, Any]) -> None:
    """Whatever an event holds, its body is one JSON document without lists or tables of the event."""
    notice = notice_of(Event(kind="rollout.adapter_promoted", at=CLOCK.now(), subject="l@1", body=body, seq=3))
    said = json.loads(body_of(notice, "ops"))
    assert said["text"].startswith("flywheel: ")
    assert not any(isinstance(value, list | dict) for value in said["details"].values())


@given(st.integers(min_value=1, max_value=10_000), st.floats(min_value=0, max_value=3600))
def test_rests_grow_and_are_bounded(failures: int, asked: float) -> None:
    """A rest never shrinks with more failures, never exceeds its bound, and is never shorter than asked for."""
    assert rest_after(failures) <= rest_after(failures + 1) <= LONGEST_REST
    assert rest_after(failures, asked) >= asked


@pytest.mark.asyncio
async def test_what_happens_is_told_in_order_and_once(store: Store) -> None:
    """An address hears of its kinds and lines from its beginning on, in the order of the ledger, each once."""
    told(store, "rollout.adapter_promoted", why="before it began")
    async with hooked() as hook:
        courier = await begun(store, CLOCK, target(hook.url, lines=["l"]))
        told(store, "rollout.adapter_promoted", why="good enough")
        told(store, "train.run_started")
        told(store, "rollout.adapter_promoted", line="other", subject="other@1")
        told(store, "daemon.cycles_failed", line="", subject="", sentence="cycles fail")
        assert [await courier.step() for _ in range(3)] == [0.0, 0.0, 5.0]
        assert [one["kind"] for one in hook.heard] == ["promoted", "stuck"]
        assert hook.heard[0]["sentence"] == "l@1: an adapter became the active one (good enough)"
        assert hook.heard[1]["sentence"] == "cycles fail"
        assert hook.heard[0]["explain"] == f"flywheel explain {hook.heard[0]['seq']}"
        again = Courier(store, CLOCK, courier.target)
        assert await again.step() == 5.0
        assert len(hook.heard) == 2
    assert standing(store).delivered == 2


@pytest.mark.asyncio
async def test_what_is_refused_is_told_again_under_the_same_name(store: Store) -> None:
    """A refused notice is tried again, later each time and no sooner than asked, and keeps its delivery id."""
    async with hooked() as hook:
        courier = await begun(store, CLOCK, target(hook.url))
        told(store, "rollout.adapter_promoted")
        hook.answers = [
            web.Response(status=500, text="broken"),
            web.Response(status=429, headers={"retry-after": "120"}),
            web.Response(status=302, headers={"location": "/elsewhere"}),
        ]
        assert [await courier.step() for _ in range(4)] == [5.0, 120.0, 20.0, 0.0]
        assert len({one["id"] for one in hook.heard}) == 1
        assert [header["x-flywheel-delivery"] for header in hook.headers] == [hook.heard[0]["id"]] * 4
    assert (standing(store).failures, standing(store).delivered) == (0, 1)


@pytest.mark.asyncio
async def test_a_crash_after_the_taking_repeats_and_never_loses(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the address's yes and the cursor's move, the same notice comes again: at least once."""
    async with hooked() as hook:
        courier = await begun(store, CLOCK, target(hook.url))
        told(store, "rollout.adapter_promoted")

        def killed(_: Notice) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(courier, "_taken", killed)
        with pytest.raises(KeyboardInterrupt):
            await courier.step()
        assert await Courier(store, CLOCK, courier.target).step() == 0.0
        assert [one["id"] for one in hook.heard] == [hook.heard[0]["id"]] * 2


@pytest.mark.asyncio
async def test_tries_are_bounded(store: Store) -> None:
    """What became too old is given up when a try fails, the ledger says so, and what is fresh is told at once."""
    clock = ManualClock(CLOCK.now())
    async with hooked() as hook:
        courier = await begun(store, clock, target(hook.url, give_up_hours=1))
        for _ in range(3):
            told(store, "rollout.adapter_promoted")
        clock.advance(7200)
        with store.write() as session:
            append(session, Event(kind="rollout.adapter_rolled_back", at=clock.now(), subject="l@1"))
        hook.answers = [web.Response(status=410, text="gone")]
        assert [await courier.step() for _ in range(3)] == [0.0, 0.0, 5.0]
        assert [one["kind"] for one in hook.heard] == ["promoted", "rolled_back"]
    with store.read() as session:
        (dropped,) = events(session, kinds=["daemon.notices_dropped"])
    assert dropped.body["sentence"] == "3 notifications to ops given up: it answers 410: gone"


@pytest.mark.asyncio
async def test_bodies_are_signed(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a secret, time and body are signed; secret and token come from a file, a credential or the environment."""
    (tmp_path / "hook-secret").write_text("s3cret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("OPS_TOKEN", "t0ken")
    async with hooked() as hook:
        await deliver(target(hook.url, secret_file="hook-secret", token_env="OPS_TOKEN"), NOTICE, CLOCK)
        (headers,), (body,) = hook.headers, hook.bodies
        assert headers["x-flywheel-signature"] == signature("s3cret", headers["x-flywheel-timestamp"], body)
        assert headers["authorization"] == "Bearer t0ken"
        assert int(headers["x-flywheel-timestamp"]) == int(CLOCK.now().timestamp())
        (tmp_path / "hook-secret").rename(tmp_path / "flywheel_hook-secret")  # of a folder that a unit loads whole
        await deliver(target(hook.url, secret_file="hook-secret"), NOTICE, CLOCK)
        assert hook.headers[1]["x-flywheel-signature"] == headers["x-flywheel-signature"]
        (tmp_path / "flywheel_hook-secret").unlink()
        with pytest.raises(UndeliveredError, match="secret of 'ops' is not in hook-secret"):
            await deliver(target(hook.url, secret_file="hook-secret"), NOTICE, CLOCK)


@pytest.mark.asyncio
async def test_no_word_of_a_failure_holds_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook's path is often its secret: neither errors nor lists say more than the server's name."""
    async with hooked() as hook:
        url = hook.url
    for one in (target(url), target(url_env="OPS_URL")):
        monkeypatch.setenv("OPS_URL", url)
        with pytest.raises(UndeliveredError) as error:
            await deliver(one, NOTICE, CLOCK)
        assert "secret-path" not in str(error.value) + where(one)


@pytest.mark.asyncio
async def test_one_that_hangs_keeps_nobody_waiting(store: Store) -> None:
    """A webhook that does not answer costs its own courier its limit, and another address nothing."""
    async with hooked() as slow, hooked() as quick:
        slow.hangs = True
        couriers = Couriers(store, CLOCK)
        await couriers.use([
            NotifySettings(name="slow", url=slow.url, timeout_seconds=0.2),
            NotifySettings(name="quick", url=quick.url),
        ])  # fmt: skip
        told(store, "rollout.adapter_promoted")
        couriers.wake()
        await until(lambda: len(quick.heard) == 1)
        await until(lambda: bool(_failures(store, "slow")))
        await couriers.close()
    assert "longer than 0.2 s" in _failures(store, "slow")


def _failures(store: Store, name: str) -> str:
    with store.read() as session:
        known = standing_of(cursor(session, PREFIX + name))
    return known.reason if known else ""


@pytest.mark.asyncio
async def test_an_address_that_was_away_does_not_hear_of_the_past(store: Store) -> None:
    """An address that left the settings is forgotten: when it comes back it begins with what happens then."""
    async with hooked() as hook:
        await begun(store, CLOCK, target(hook.url))
        couriers = Couriers(store, CLOCK)
        await couriers.use([])
        told(store, "rollout.adapter_promoted")
        courier = await begun(store, CLOCK, target(hook.url))
        assert await courier.step() == 5.0
        assert hook.heard == []


@pytest.mark.asyncio
async def test_a_command_is_told_on_its_input_and_in_its_environment(tmp_path: Path) -> None:
    """A command reads the body from its standard input; what a script needs is in its environment."""
    script = "import os, sys; open(sys.argv[1], 'w').write(os.environ['FLYWHEEL_NOTICE_KIND'] + sys.stdin.read())"
    argv = [sys.executable, "-c", script, str(tmp_path / "heard")]
    await deliver(NotifySettings(name="ops", command=argv), NOTICE, CLOCK)
    heard = (tmp_path / "heard").read_text()
    assert json.loads(heard.removeprefix("promoted"))["id"] == delivery_id(NOTICE, "ops")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["sh", "-c", "echo it is broken >&2; exit 3"], "sh ended with 3: it is broken"),
        (["/no/such/program"], "/no/such/program cannot be run: No such file or directory"),
        (["sh", "-c", "sleep 60"], "it took longer than 0.5 s"),
    ],
)
async def test_a_command_that_fails_says_why(argv: list[str], reason: str) -> None:
    """A command that ends badly, is not there or does not return is a failed try with its reason."""
    with pytest.raises(UndeliveredError) as error:
        await deliver(NotifySettings(name="ops", command=argv, timeout_seconds=0.5), NOTICE, CLOCK)
    assert error.value.message == reason


@pytest.mark.asyncio
async def test_nothing_a_command_starts_outlives_it(tmp_path: Path) -> None:
    """A command that leaves a process behind has delivered, and what it left is ended."""
    script = f"sleep 60 & echo $! > {tmp_path}/pid; exit 0"
    await deliver(NotifySettings(name="ops", command=["sh", "-c", script]), NOTICE, CLOCK)
    pid = (tmp_path / "pid").read_text().strip()
    await until(lambda: not _lives(pid))


def _lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("name = 'a'", "needs one of url, url_env, url_file and command"),
        ("name = 'a'\nurl = 'https://x'\ncommand = ['y']", "needs one of"),
        ("name = 'a'\nurl = 'ftp://user:pass@x/secret'", "that is no webhook's URL"),
        ("name = 'a'\nurl = 'https://x'\nkinds = ['promted']", "did you mean 'promoted'?"),
        ("name = 'a'\nurl = 'https://x'\nsecret_env = 'A'\nsecret_file = 'b'", "both secret_env and secret_file"),
        ("name = 'a'\nurl = 'https://x'\n[[notify]]\nname = 'a'\nurl = 'https://y'", "two notifications have the same"),
        ("name = 'a'\nurl = 'https://x'\nretries = 3", "unknown setting"),
    ],
)
def test_a_mistake_is_said_at_once(toml: str, says: str, tmp_path: Path) -> None:
    """Settings that cannot be meant are refused with the one line that mends them, and never with a URL's secret."""
    path = tmp_path / "flywheel.toml"
    path.write_text(f"[[notify]]\n{toml}\n")
    with pytest.raises(SettingsError) as error:
        load_settings(path)
    assert says in str(error.value)
    assert "secret" not in str(error.value) or "secret_" in str(error.value)


def test_without_addresses_nothing_is_written(store: Store) -> None:
    """A home without notifications keeps no trace of them."""
    with store.read() as session:
        before = len(events(session))

    async def idle() -> None:
        couriers = Couriers(store, CLOCK)
        await couriers.use(Settings().notify)
        couriers.wake()
        await couriers.close()

    asyncio.run(idle())
    with store.read() as session:
        assert len(events(session)) == before
        assert cursor(session, "daemon:notify") == {}


def test_delivery_ids_tell_tests_apart() -> None:
    """A notice without a number is named by its moment."""
    later = NOTICE.model_copy(update={"seq": None, "kind": "test", "at": NOTICE.at + timedelta(seconds=1)})
    assert delivery_id(later, "ops") != delivery_id(later.model_copy(update={"at": NOTICE.at}), "ops")
