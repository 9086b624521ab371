"""The dashboard in a real browser, over a store of months: every page, at a desk and on a phone, without a mouse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from axes import violations
from big_store import END, World, build
from browsers import DESKTOP, MISSING, PHONE, PROGRAM, Browser, browser
from sqlmodel import Session
from visits import counted, narrowed, pages, visit

from flywheel.core.clocks import ManualClock
from flywheel.core.events import Event
from flywheel.daemon.settings import load_settings
from flywheel.store.ledger import append
from flywheel.store.pauses import paused_lines
from flywheel.store.requests import answer_request, newest_requests
from flywheel.store.stores import Store, make_engine
from flywheel.web.apps import build_app

#: What SQLite does for a page, at most: some hundred rows and one window of a few thousand. A walk through 200,000
#: outcomes takes millions.
MOST_INSTRUCTIONS = 400_000
MOST_STATEMENTS = 80
#: The second is said of axe-core, which speaks to a window that is just becoming another page's.
_QUIET = ("404 (Not Found)", "Failed to execute 'postMessage' on 'DOMWindow'")

needs_browser = pytest.mark.skipif(PROGRAM is None, reason=MISSING)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """200,000 outcomes and 2,000 decisions."""
    return build(tmp_path_factory.mktemp("dashboard"))


@asynccontextmanager
async def shown(world: World) -> AsyncIterator[tuple[Browser, TestServer]]:
    """Give a browser that is signed in, and the server."""
    app = build_app(load_settings(world.config), clock=ManualClock(END))
    async with TestServer(app) as server, browser() as page:
        await page.open(str(server.make_url("/sign-in?next=/actions")))
        await page.run("document.getElementById('token').focus()")
        await page.write((world.home / "web.token").read_text().strip())
        await page.go("Enter")
        assert await page.run("location.pathname") == "/actions"
        yield page, server


@needs_browser
@pytest.mark.asyncio
@pytest.mark.timeout(600)
async def test_every_page_is_sound_in_a_browser(world: World) -> None:
    """Every page has one first heading, fits a phone, breaks no rule of accessibility, and nothing of it fails."""
    found: dict[str, object] = {}
    async with shown(world) as (page, server):
        for name, address in pages(world).items():
            await page.size(*DESKTOP)
            await page.be_dark(dark=False)
            await page.open(str(server.make_url(address)))
            heads = await page.run("document.querySelectorAll('main h1').length")
            broken = await violations(page)
            await page.size(*PHONE)
            wide = await page.until("document.documentElement.clientWidth")
            over = await page.run("document.documentElement.scrollWidth")
            await page.be_dark(dark=True)
            broken += await violations(page, "color-contrast", "target-size")
            if heads != 1 or broken or over > wide:
                found[name] = (f"{heads} headings", f"{over} wide on {wide}", broken)
        wrong = [one for one in page.complaints if not any(word in one for word in _QUIET)]
    assert (found, wrong) == ({}, [])


@needs_browser
@pytest.mark.asyncio
@pytest.mark.timeout(600)
async def test_a_line_is_paused_without_a_mouse_and_the_answer_comes_by_itself(world: World) -> None:
    """Tab and Enter lead from the actions to the request; when the daemon answers, the page says so unasked."""
    async with shown(world) as (page, _):
        await tab_to(page, "Pause build-python")
        await page.go("Enter")
        assert await page.run("document.querySelector('h1').textContent") == "Pause build-python?"
        await tab_to(page, "", "reason")
        await page.write("a look first")
        await page.go("Enter")
        assert "has not answered yet" in await page.run("document.querySelector('main').innerText")
        with Store(make_engine(load_settings(world.config).store_url)) as store:
            with store.read() as session:
                (asked,) = newest_requests(session, "pause")
                assert paused_lines(session) == {}, "the dashboard only asks"
            assert (asked.line, asked.reason, asked.by, asked.state) == (
                "build-python", "a look first", "dashboard", "open",
            )  # fmt: skip
            await page.until("!document.getElementById('live').hidden")
            with store.write() as session:
                answer_request(session, asked.id, satisfied=True, answer="build-python is paused")
                tell(session, asked.id)
        await page.until("document.querySelector('main').innerText.includes('build-python is paused')")


@needs_browser
@pytest.mark.asyncio
async def test_the_first_tab_skips_to_the_content(world: World) -> None:
    """Whoever has no mouse need not walk through the way around on every page."""
    async with shown(world) as (page, server):
        await page.open(str(server.make_url("/decisions")))
        await page.press("Tab")
        assert await page.run("document.activeElement.textContent") == "Skip to the content"
        await page.press("Enter")
        assert await page.until("document.activeElement.id") == "main"


@pytest.mark.asyncio
@pytest.mark.timeout(600)
async def test_no_page_walks_through_the_store(world: World) -> None:
    """Whatever is asked for, and however little matches: the work has a bound that does not grow with the store."""
    app = build_app(load_settings(world.config), clock=ManualClock(END))
    with counted(app) as count:
        async with TestClient(TestServer(app)) as client:
            every = {**pages(world), **narrowed(world)}
            for name, address in sorted(every.items(), key=lambda one: one[0] in COUNTED_BESIDE):
                seen = await visit(client, address, count)
                missing = name.startswith(("not-found", "no such"))
                assert seen.status == (404 if missing else 200), name
                await asyncio.sleep(0)
                if name not in COUNTED_BESIDE:
                    assert seen.instructions <= MOST_INSTRUCTIONS, (name, seen.instructions)
                    assert seen.statements <= MOST_STATEMENTS, (name, seen.statements)


#: Their numbers are counted beside the page, which does not wait for them.
COUNTED_BESIDE = {"overview", "line"}


async def tab_to(page: Browser, text: str, name: str = "") -> None:
    """Press Tab until the focus is where it is wanted."""
    for _ in range(80):
        await page.press("Tab")
        where = "document.activeElement." + ("name" if name else "textContent")
        if await page.run(where) == (name or text):
            return
    raise AssertionError(f"no Tab leads to {name or text}")


def tell(session: Session, request: str) -> None:
    """Append what the daemon would tell of it."""
    event = Event(
        kind="operator.line_paused", at=END, line="build-python", subject="build-python", body={"by": request}
    )
    append(session, event)  # type: ignore[arg-type]


def test_the_pictures_of_the_documents_are_small() -> None:
    """Every picture is there for both widths, and none is heavy."""
    folder = Path(__file__).parents[2] / "docs" / "images"
    found = {path.name: path.stat().st_size for path in folder.glob("*.webp")} | {
        path.name: path.stat().st_size for path in folder.glob("overview*.png")
    }
    assert {f"{name}{suffix}.png" for name in ("overview",) for suffix in ("", "-phone")} <= found.keys()
    assert max(found.values()) < 150_000
