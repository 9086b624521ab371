"""The door of the dashboard: who may read, who may act, and what a browser is told."""

import re
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web_house import TOKEN, at, browser, settings_in

from flywheel.core.errors import SettingsError
from flywheel.web.apps import build_app
from flywheel.web.guards import FORM, HEADERS, SESSION
from flywheel.web.tokens import SESSION_HOURS, Keeper, own_token


async def signed_in(client, token):
    """Sign a client in, and return the answer."""
    return await client.post("/sign-in", data={"token": token, "next": "/runs"}, allow_redirects=False)


async def form_of(client):
    """Return the proof that a form of ours carries."""
    text = await (await client.get("/sign-out")).text()
    return re.search(rf'name="{FORM}" value="([0-9a-f]*)"', text)[1]


@pytest.mark.asyncio
async def test_every_answer_forbids_what_a_page_does_not_need(world):
    """Pages, errors, files and redirections carry the policy: nothing inline runs, nothing is loaded from elsewhere."""
    async with browser(world) as client:
        for path in ("/", "/nothing", "/static/live.js", "/sign-in", "/reports"):
            answer = await client.get(path, allow_redirects=False)
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'"), path
            assert "unsafe" not in answer.headers["Content-Security-Policy"]
            assert answer.headers.keys() >= HEADERS.keys()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8712", "localhost.evil.example", "", "a b"])
@pytest.mark.asyncio
async def test_a_page_elsewhere_cannot_read_by_a_name_of_its_own(world, host):
    """A name that is not ours gets nothing, also where it points at our address (DNS rebinding)."""
    async with browser(world) as client:
        answer = await client.get("/", headers={"Host": host})
        assert answer.status in {400, 421}
        assert "tool-calling" not in await answer.text()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8712", "[::1]:8712", "flywheel.example"])
@pytest.mark.asyncio
async def test_addresses_and_names_that_were_set_are_let_in(world, host):
    """The loopback's names, plain addresses and what stands in web.hosts are names of ours."""
    settings = settings_in(world.home, hosts=["flywheel.example"])
    async with browser(settings) as client:
        assert (await client.get("/", headers={"Host": host})).status == 200


@pytest.mark.asyncio
async def test_acting_needs_the_token_and_a_form_of_ours(world):
    """A request that acts is sent to the sign-in, then refused without the form's proof, and taken with it."""
    async with browser(world) as client:
        answer = await client.post("/sign-out", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")
        assert (await signed_in(client, own_token(world.home))).status == 303
        assert (await client.post("/sign-out", allow_redirects=False)).status == 403
        proof = {FORM: await form_of(client)}
        elsewhere = await client.post("/sign-out", data=proof, headers={"Origin": "http://127.0.0.1:3000"})
        assert elsewhere.status == 403
        cross = await client.post("/sign-out", data=proof, headers={"Sec-Fetch-Site": "same-site"})
        assert cross.status == 403
        assert (await client.post("/sign-out", data=proof, allow_redirects=False)).status == 303


@pytest.mark.asyncio
async def test_signing_in_leads_back_and_never_away(world):
    """The right token gives a session that a script cannot read and leads to a page of ours; a wrong one gives none."""
    async with browser(world) as client:
        wrong = await signed_in(client, "wrong")
        assert wrong.status == 403
        assert SESSION not in wrong.cookies
        right = await signed_in(client, own_token(world.home))
        assert right.headers["Location"] == "/runs"
        cookie = right.cookies[SESSION]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        for away in ("//evil.example", "https://evil.example", "/\\evil.example", "/\r\nX: y"):
            answer = await client.post(
                "/sign-in", data={"token": own_token(world.home), "next": away}, allow_redirects=False
            )
            assert answer.headers["Location"] == "/"


@pytest.mark.asyncio
async def test_reading_asks_for_the_token_where_that_was_set(world):
    """With web.sign_in a page leads to the sign-in and back; a bearer token and a session open it."""
    async with browser(settings_in(world.home, sign_in=True)) as client:
        answer = await client.get("/runs?line=x", allow_redirects=False)
        assert answer.headers["Location"] == "/sign-in?next=/runs?line%3Dx"
        assert (await client.get("/events", allow_redirects=False)).status == 303
        assert (await client.get("/static/styles.css")).status == 200
        bearer = {"Authorization": f"Bearer {own_token(world.home)}"}
        assert (await client.get("/runs", headers=bearer)).status == 200
        assert (await client.get("/runs", headers={"Authorization": "Bearer x"}, allow_redirects=False)).status == 303
        await signed_in(client, own_token(world.home))
        assert (await client.get("/runs", allow_redirects=False)).status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::"])  # noqa: S104 - it must be refused
@pytest.mark.asyncio
async def test_nobody_listens_elsewhere_without_a_token(tmp_path, host):
    """An address that others reach is refused without web.token_file, and with one that is too short to guard it."""
    with pytest.raises(SettingsError, match="can be reached from elsewhere"):
        build_app(settings_in(tmp_path, host=host))
    (tmp_path / "short").write_text("short")
    with pytest.raises(SettingsError, match="fewer than"):
        build_app(settings_in(tmp_path, host=host, token_file=str(tmp_path / "short")))
    (tmp_path / "long").write_text(TOKEN)
    build_app(settings_in(tmp_path, host=host, token_file=str(tmp_path / "long")))


@pytest.mark.asyncio
async def test_the_own_token_is_its_owners_alone(tmp_path):
    """The home's token is made once, readable by nobody else, and is the same from then on."""
    first = own_token(tmp_path / "home")
    assert own_token(tmp_path / "home") == first
    assert (tmp_path / "home" / "web.token").stat().st_mode & 0o777 == 0o600


def test_a_name_without_a_folder_is_a_credential_of_the_unit(tmp_path, monkeypatch):
    """Under systemd the token comes by LoadCredential=, alone or from a folder of them, and from nowhere else."""
    settings = settings_in(tmp_path, host="0.0.0.0", token_file="dashboard")  # noqa: S104 - with a token
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(SettingsError, match="cannot be read"):
        build_app(settings)
    (tmp_path / "flywheel_dashboard").write_text(TOKEN)
    build_app(settings)
    (tmp_path / "dashboard").write_text("short")
    with pytest.raises(SettingsError, match="fewer than"):
        build_app(settings)


@pytest.mark.asyncio
async def test_a_session_ends(world):
    """A session is good until its end and no longer, and only under the token it was made with."""
    keeper = Keeper(TOKEN)
    kept = keeper.session(at(0))
    assert keeper.is_session(kept, at(0) + timedelta(hours=SESSION_HOURS - 1))
    assert not keeper.is_session(kept, at(0) + timedelta(hours=SESSION_HOURS))
    assert not Keeper(TOKEN + "x").is_session(kept, at(0))
    later = str(int(kept.partition(".")[0]) + 1) + "." + kept.partition(".")[2]
    assert not keeper.is_session(later, at(0))


@settings(deadline=None)
@given(st.text() | st.just("1.\udcff"))
def test_nothing_else_is_a_session(text):
    """No made-up text is a session, the token or a form's proof, and none breaks the check."""
    keeper = Keeper(TOKEN)
    assert not keeper.is_session(text, at(0))
    assert not keeper.knows(text)
    assert not keeper.is_form(text)
