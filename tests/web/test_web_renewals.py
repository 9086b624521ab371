"""Live pages in a real browser: they are renewed in place, and a person who reads is not disturbed."""

import asyncio

import pytest
from aiohttp.test_utils import TestServer
from browsers import MISSING, PROGRAM, browser
from web_house import LINE, at, run_name

from flywheel.core.events import Event
from flywheel.store import tables as t
from flywheel.store.ledger import append
from flywheel.store.stores import Store, make_engine
from flywheel.web.apps import build_app
from flywheel.web.lives import TOWER

pytestmark = [pytest.mark.skipif(PROGRAM is None, reason=MISSING), pytest.mark.asyncio]


@pytest.mark.timeout(300)
async def test_a_page_is_renewed_in_place_and_nobody_is_disturbed(world):
    """The bar moves by itself; the focus and the scroll stay where they were, and no other part is touched."""
    run = run_name(5)
    async with TestServer(build_app(world)) as server, browser() as page:
        await page.open(str(server.make_url(f"/lines/{LINE}")))
        await page.until("!document.getElementById('live').hidden")
        await page.run(
            f"document.querySelector('#now a[href=\"/runs/{run}\"]').focus();"
            "document.getElementById('versions').touched = 'no'; scrollTo(0, 120)"
        )
        with Store(make_engine(world.store_url)) as store, store.write() as session:
            job = session.get(t.JobRow, f"train-{run}")
            job.progress = {**job.progress, "step": 60}
            session.add(job)
            append(session, Event(kind="curate.dataset_frozen", at=at(15), line=LINE, subject="d" * 64))
        await page.until("document.getElementById('now').innerText.includes('60 of 120')")
        await page.until("document.getElementById('time').innerHTML.includes('5 datasets')")
        assert await page.run("document.activeElement.getAttribute('href')") == f"/runs/{run}"
        assert await page.run("document.getElementById('versions').touched") == "no"
        assert await page.run("scrollY") == 120
        assert page.complaints == []


@pytest.mark.timeout(300)
async def test_what_was_opened_stays_open_and_a_dashboard_that_is_gone_is_said(world):
    """Details a person opened stay open over a renewal; when the dashboard does not answer, the page says so."""
    run = run_name(4)
    server = TestServer(build_app(world))
    await server.start_server()
    async with browser() as page:
        await page.open(str(server.make_url(f"/runs/{run}")))
        await page.until("!document.getElementById('live').hidden")
        await page.run("document.getElementById('numbers-loss').open = true")
        with Store(make_engine(world.store_url)) as store, store.write() as session:
            append(session, Event(kind="train.run_resumed", at=at(15), line=LINE, subject=run))
        await page.until("document.getElementById('happened').innerText.includes('run resumed')")
        assert await page.run("document.getElementById('numbers-loss').open")
        await server.close()
        await page.until("document.getElementById('live').textContent.startsWith('Not live')")


@pytest.mark.timeout(300)
async def test_a_page_that_nobody_looks_at_holds_no_connection(world):
    """Hidden, a page lets go of its stream, so that many of them do not block each other; seen again, it is renewed."""
    app = build_app(world)
    async with TestServer(app) as server, browser() as page:
        await page.open(str(server.make_url(f"/lines/{LINE}")))
        await page.until("!document.getElementById('live').hidden")
        assert app[TOWER].watchers == 1
        await page.run(_looks_hidden("true"))
        while app[TOWER].watchers:  # noqa: ASYNC110 - the server notices the end by itself
            await asyncio.sleep(0.02)
        with Store(make_engine(world.store_url)) as store, store.write() as session:
            append(session, Event(kind="curate.dataset_frozen", at=at(15), line=LINE, subject="d" * 64))
        await page.run(_looks_hidden("false"))
        await page.until("document.getElementById('time').innerHTML.includes('5 datasets')")
        assert app[TOWER].watchers == 1


def _looks_hidden(hidden):
    return (
        f"Object.defineProperty(document, 'hidden', {{configurable: true, get: () => {hidden}}});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
