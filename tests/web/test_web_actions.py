"""Acting on the dashboard: only by a request, only signed in, only by a form of ours, and asked again before."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from big_store import END, World
from small_house import copied, make, store_of, visiting

from flywheel.core.releases import approval_words
from flywheel.store.counters import move_cursor
from flywheel.store.requests import newest_requests

UNTOUCHED = ("outcomes", "examples", "releases", "adapters", "counters", "cursors", "jobs", "reports")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("actions") / "made")


@pytest.fixture
def world(made: World, tmp_path: Path) -> World:
    return copied(made, tmp_path / "home")


def rows(world: World, table: str) -> list[tuple[object, ...]]:
    """Everything a table holds."""
    with closing(sqlite3.connect(world.home / "flywheel.db")) as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - the test's own names


def everything(world: World) -> dict[str, list[tuple[object, ...]]]:
    """What an action must never touch."""
    return {table: rows(world, table) for table in UNTOUCHED}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("deed", "subject", "kind"),
    [
        ("approve", "tool-calling@4", "approve"),
        ("promote", "tool-calling@4", "promote"),
        ("roll-back", "tool-calling@3", "roll_back"),
        ("pause", "plan", "pause"),
        ("resume", "plan", "resume"),
    ],
)
async def test_a_deed_is_a_request_and_nothing_else(world: World, deed: str, subject: str, kind: str) -> None:
    """The same request as the command line writes, with its event as its cause; no other table changes."""
    before = everything(world)
    async with visiting(world.config) as visitor:
        await visitor.sign_in()
        assert "Why (kept in the ledger)" in (await visitor.see(f"/ask/{deed}/{subject}"))[1]
        answer = await visitor.send(f"/ask/{deed}/{subject}", reason="  I   looked ")
        assert answer.status == 303
        status, text = await visitor.see(answer.headers["Location"])
        assert (status, "has not answered yet" in text) == (200, True)
    with store_of(world) as store, store.read() as session:
        asked = newest_requests(session, kind)[0]  # type: ignore[arg-type]
    assert (asked.subject, asked.reason, asked.by, asked.state) == (subject, "I looked", "dashboard", "open")
    assert rows(world, "ledger")[-1][0] == asked.cause
    assert everything(world) == before


@pytest.mark.asyncio
async def test_sending_a_form_twice_asks_once(world: World) -> None:
    """A double click, or a form that is sent again, leads to the request that is open already."""
    async with visiting(world.config) as visitor:
        await visitor.sign_in()
        first, again = [await visitor.send("/ask/pause/plan", reason=word) for word in ("one", "two")]
        assert first.headers["Location"] == again.headers["Location"]
    with store_of(world) as store, store.read() as session:
        assert [one.reason for one in newest_requests(session, "pause")] == ["one"]


@pytest.mark.asyncio
async def test_who_is_not_signed_in_may_look_and_not_ask(world: World) -> None:
    """The page says what it takes; what is sent all the same leads to the sign-in, and nothing is written."""
    before = len(rows(world, "ledger"))
    async with visiting(world.config) as visitor:
        status, text = await visitor.see("/ask/pause/plan")
        assert (status, "Sign in to ask" in text, "<button>Pause" in text) == (200, True, False)
        answer = await visitor.send("/ask/pause/plan")
        assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")
    assert len(rows(world, "ledger")) == before


@pytest.mark.asyncio
async def test_nobody_else_can_send_our_forms(world: World) -> None:
    """Without the proof, from another site, or by a link, nothing is asked."""
    before = len(rows(world, "ledger"))
    async with visiting(world.config) as visitor:
        await visitor.sign_in()
        strange = ({"Origin": "http://127.0.0.1:1"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"})
        for headers, proof in (({}, "wrong"), *((one, visitor.proof) for one in strange)):
            answer = await visitor.client.post("/ask/pause/plan", data={"form": proof}, headers=headers)
            assert answer.status == 403
        assert (await visitor.see("/ask/pause/plan?form=" + visitor.proof))[0] == 200  # a link only asks again
    assert len(rows(world, "ledger")) == before


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "address",
    [
        "/ask/pause/nothing",
        "/ask/promote/plan@9",
        "/ask/promote/plan",
        "/ask/delete/plan",
        "/ask/approve/%3Cscript%3E@1",
    ],
)
async def test_what_cannot_be_asked_is_said(world: World, address: str) -> None:
    """An unknown line, adapter or deed is a page that says so, whether looked at or sent."""
    before = len(rows(world, "ledger"))
    async with visiting(world.config) as visitor:
        await visitor.sign_in()
        for wanted, (status, text) in ((404, await visitor.see(address)), (400, await _sent(visitor, address))):
            assert status == wanted
            assert "<script>@1" not in text
    assert len(rows(world, "ledger")) == before


async def _sent(visitor, address):
    answer = await visitor.send(address)
    return answer.status, await answer.text()


@pytest.mark.asyncio
async def test_an_override_needs_its_reason(world: World) -> None:
    """A box that is ticked without a word asks for nothing; with one it is an override."""
    async with visiting(world.config) as visitor:
        await visitor.sign_in()
        assert (await visitor.send("/ask/promote/build-python@3", override="yes", reason=" ")).status == 400
        assert (await visitor.send("/ask/roll-back/tool-calling@3", override="yes", reason="x")).status == 400
        assert (await visitor.send("/ask/promote/build-python@3", override="yes", reason="a trial")).status == 303
    with store_of(world) as store, store.read() as session:
        newest = newest_requests(session, "promote")[0]
    assert (newest.override, newest.reason) == (True, "a trial")


@pytest.mark.asyncio
async def test_the_actions_offer_what_makes_sense(world: World) -> None:
    """A canary may be approved, promoted, taken back; the active one taken back; a superseded one promoted."""
    async with visiting(world.config) as visitor:
        _, text = await visitor.see("/actions/tool-calling")
    assert {word for word in ("Approve", "Promote", "Roll back") if f"{word} tool-calling@4" in text} == {
        "Approve", "Promote", "Roll back",
    }  # fmt: skip
    assert "Roll back tool-calling@3" in text
    assert "Approve tool-calling@3" not in text
    assert "Promote tool-calling@1" in text
    assert "Roll back tool-calling@1" not in text


@pytest.mark.asyncio
async def test_what_waits_for_a_person_is_on_top(world: World) -> None:
    """What the daemon says waits for a person leads to the page that asks, with the verdict beside it."""
    waits = {"build-python": [f"hold: {approval_words('build-python@4')}"]}
    async with visiting(world.config) as visitor:
        assert "Nothing waits for you" in (await visitor.see("/actions"))[1]
        with store_of(world) as store, store.write() as session:
            move_cursor(session, "daemon:status", {"at": END.isoformat(), "sentence": "", "waits": waits})
        _, text = await visitor.see("/actions")
    waiting = text.partition('id="waiting"')[2].partition("</section>")[0]
    assert "/ask/approve/build-python@4" in waiting
    assert "points over the base" in waiting
