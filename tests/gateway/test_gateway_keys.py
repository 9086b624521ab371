"""Keys: kept as hashes, told once, in force soon, and a door that fails closed."""

import asyncio
import json
import multiprocessing
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gateway_house import BASE, House

from flywheel.core.clocks import ManualClock, SystemClock
from flywheel.core.errors import MisuseError, PermanentError, SettingsError
from flywheel.gateway.apps import build_app
from flywheel.gateway.headers import KEY_PREFIX, request_headers
from flywheel.gateway.keyrings import Keyring
from flywheel.gateway.keys import OWN, KeyFile, gateway_key_file
from flywheel.gateway.settings import GatewaySettings
from flywheel.gateway.stations import STATION
from flywheel.serve.servers import gateway_state

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def file_of(home: Path) -> KeyFile:
    return KeyFile(gateway_key_file(home))


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


# ── the file ────────────────────────────────────────────────────────────────


def test_a_key_is_told_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    """Neither file nor list holds the key, and nobody else may read either file."""
    file = file_of(tmp_path / "home")
    secret = file.add("laptop", NOW)
    assert secret.startswith(KEY_PREFIX)
    assert len(secret) > 40
    assert secret.encode() not in file.path.read_bytes()
    assert [key.name for key in file.read()] == [OWN, "laptop"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (file.path, file.own)} == {0o600}
    assert file.add("other", NOW) != secret


def test_the_last_key_takes_the_daemons_along(tmp_path: Path) -> None:
    """Without an agent's key there is none at all."""
    file = file_of(tmp_path)
    for name in ("a", "b"):
        file.add(name, NOW)
    own = file.own_key()
    file.remove("a")
    assert file.own_key() == own
    file.remove("b")
    assert file.read() == ()
    assert file.own_key() == ""


@pytest.mark.parametrize("name", ["", OWN, "a b", "-a", "a" * 65, "a\n", "ä"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    """Names are plain words, and the daemon's is its own."""
    with pytest.raises(MisuseError):
        file_of(tmp_path).add(name, NOW)
    assert not list(tmp_path.iterdir())


def test_what_is_there_twice_or_not_at_all_is_said(tmp_path: Path) -> None:
    """A second key of a name and the removal of none are misuse."""
    file = file_of(tmp_path)
    file.add("laptop", NOW)
    with pytest.raises(MisuseError, match="already"):
        file.add("laptop", NOW)
    for name in ("lap", OWN):
        with pytest.raises(MisuseError, match="there are: laptop"):
            file.remove(name)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"keys": [{"name": "a"}]}', b"\xff", b'{"kees": []}'])
def test_a_torn_file_is_said_and_not_written_over(tmp_path: Path, data: bytes) -> None:
    """Who cannot read the keys adds none, because that would forget the others."""
    file = file_of(tmp_path)
    file.path.write_bytes(data)
    with pytest.raises(SettingsError, match="cannot be read"):
        file.read()
    with pytest.raises(SettingsError):
        file.add("laptop", NOW)
    assert file.path.read_bytes() == data


def test_a_home_that_takes_nothing_is_said(tmp_path: Path) -> None:
    """A file in the home's place is one line, not a traceback."""
    (tmp_path / "home").write_bytes(b"")
    with pytest.raises(PermanentError, match="cannot be written"):
        file_of(tmp_path / "home").add("laptop", NOW)


def _add(home: str, number: int) -> None:
    file_of(Path(home)).add(f"k{number}", NOW)


def test_keys_added_at_once_are_all_there(tmp_path: Path) -> None:
    """One writes at a time."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_add, args=(str(tmp_path), number)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {key.name for key in file_of(tmp_path).read()} == {OWN, *(f"k{number}" for number in range(6))}


# ── the keyring ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scheme", ["Bearer {}", "bearer {}", "BEARER  {}"])
def test_a_key_is_known_wherever_it_stands(tmp_path: Path, scheme: str) -> None:
    """As a bearer, whatever the case, or in one of the two headers; else it is nobody's."""
    file = file_of(tmp_path)
    secret = file.add("laptop", NOW)
    ring = Keyring(file, SystemClock())
    assert ring.holder({"authorization": scheme.format(secret)}) == "laptop"
    assert ring.holder({"authorization": "Bearer sk-mine", "x-api-key": secret}) == "laptop"
    assert ring.holder({"api-key": secret}) == "laptop"
    for wrong in ({}, {"authorization": secret}, bearer(secret[:-1]), bearer(""), {"authorization": f"Basic {secret}"}):
        assert ring.holder(wrong) is None


def test_changes_are_in_force_soon_and_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    """Added and removed keys are seen within a second; a torn or missing file keeps those that were known."""
    file, clock = file_of(tmp_path), ManualClock(NOW)
    ring = Keyring(file, clock)
    assert not ring
    first = file.add("a", NOW)
    ring.refresh()
    assert not ring, "looked again too soon"

    def looked() -> Keyring:
        clock.advance(1.0)
        ring.refresh()
        return ring

    assert looked().holder(bearer(first)) == "a"
    second = file.add("b", NOW + timedelta(days=1))
    file.remove("a")
    assert (looked().holder(bearer(first)), ring.holder(bearer(second))) == (None, "b")
    file.path.write_bytes(b"{")
    assert looked().holder(bearer(second)) == "b"
    file.path.unlink()
    assert looked().holder(bearer(second)) == "b"


# ── the door ────────────────────────────────────────────────────────────────


@pytest.mark.asyncio
async def test_with_keys_everybody_shows_one(house: House) -> None:
    """Without the right key nothing passes but the health; with it everything does, and the key stays here."""
    secret = file_of(house.home).add("laptop", NOW)
    await house.start()
    for headers in ({}, bearer("flywheel-wrong"), {"x-api-key": "sk-other"}):
        response, body = await house.chat(BASE, headers=headers)
        assert response.status == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert json.loads(body)["error"]["type"] == "authentication_error"
    for path in ("/v1/models", "/v1/files", "/flywheel/routing", "/api/tags", "/nowhere"):
        async with house.client.get(path) as other:
            assert other.status == 401, path
    async with house.client.get("/health") as other:
        assert other.status == 200
    assert house.upstream.seen == []
    assert (await house.chat(BASE, headers=bearer(secret)))[0].status == 200
    assert "Authorization" not in house.upstream.seen[-1].headers
    response, _ = await house.chat(BASE, headers={"x-api-key": secret, "authorization": "Bearer sk-of-the-server"})
    assert response.status == 200
    seen = house.upstream.seen[-1].headers
    assert seen["Authorization"] == "Bearer sk-of-the-server"
    assert "x-api-key" not in {name.lower() for name in seen}
    kept = b"".join(path.read_bytes() for path in house.home.glob("*.db*"))
    assert secret.encode() not in kept


@pytest.mark.asyncio
async def test_ollamas_clients_are_refused_in_their_own_words(house: House) -> None:
    """The refusal under /api has Ollama's shape."""
    file_of(house.home).add("laptop", NOW)
    await house.start()
    async with house.client.post("/api/chat", json={"model": BASE, "messages": []}) as response:
        assert response.status == 401
        assert isinstance((await response.json())["error"], str)


@pytest.mark.asyncio
async def test_keys_come_and_go_while_the_gateway_runs(house: House) -> None:
    """The first key closes the door within a second, the last one's removal opens it again; no restart."""
    await house.start()
    assert (await house.chat(BASE))[0].status == 200
    file = file_of(house.home)
    file.add("laptop", NOW)

    async def becomes(status: int) -> None:
        async with asyncio.timeout(5):
            while (await house.chat(BASE))[0].status != status:  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.05)

    await becomes(401)
    file.remove("laptop")
    await becomes(200)


@pytest.mark.asyncio
async def test_the_daemon_comes_in_by_its_own_key(house: House) -> None:
    """What is in flight is told to the daemon, with keys as without."""
    file = file_of(house.home)
    file.add("laptop", NOW)
    await house.start()
    assert await gateway_state(house.origin) is None
    state = await gateway_state(house.origin, file.own_key())
    assert state is not None
    assert state["door"]["asks_for_keys"] is True
    assert state["door"]["refused"] == {"401": 1}


def test_only_our_keys_stay_here() -> None:
    """A header that holds a key of the door is not passed on; any other is, whatever it looks like."""
    ours = KEY_PREFIX + "x" * 43
    for name in ("authorization", "x-api-key", "api-key"):
        for value in (ours, f"Bearer {ours}", f"bearer  {ours}"):
            assert name not in request_headers({name: value}, plain=False)
        for value in ("Bearer sk-1", f"sk-{KEY_PREFIX}", "Basic Zmx5d2hlZWwt"):
            assert request_headers({name: value}, plain=False)[name] == value


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104 - what is refused
async def test_elsewhere_only_with_a_key(tmp_path: Path, host: str) -> None:
    """An address that others can reach is refused without a key, in words that say what to do; taken with one."""
    from aiohttp import web

    app = build_app(GatewaySettings(home=tmp_path, host=host, capture=False))
    with pytest.raises(SettingsError, match=r"gateway key add NAME.*127\.0\.0\.1"):
        await web.AppRunner(app).setup()
    file_of(tmp_path).add("laptop", NOW)
    runner = web.AppRunner(build_app(GatewaySettings(home=tmp_path, host=host, capture=False)))
    await runner.setup()
    await runner.cleanup()


@pytest.mark.asyncio
async def test_elsewhere_the_last_keys_removal_closes_the_door(house: House) -> None:
    """Where others can knock nobody comes in without a key, not even when the keys are gone."""
    file = file_of(house.home)
    file.add("laptop", NOW)
    await house.start(host="0.0.0.0")  # noqa: S104 - the test listens at the loopback all the same
    file.remove("laptop")
    await asyncio.sleep(0.6)
    assert (await house.chat(BASE))[0].status == 401
    assert house.app[STATION].door.tell()["asks_for_keys"] is True


@pytest.mark.asyncio
async def test_keys_that_cannot_be_read_stop_the_start(house: House) -> None:
    """Somebody wanted keys: the gateway does not open the door because their file is torn."""
    gateway_key_file(house.home).write_bytes(b"{")
    with pytest.raises(SettingsError, match="cannot be read"):
        await house.start()
