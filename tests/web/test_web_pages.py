"""The pages of lines, runs, reports and journals: they tell what the store holds, and a model's words do nothing."""

import html.parser
import os

import pytest
from sqlmodel import text
from web_house import HOSTILE, LINE, at, browser, run_name, settings_in

from flywheel.core.errors import SettingsError
from flywheel.daemon.locks import only_daemon
from flywheel.store.reports import report_id
from flywheel.store.stores import open_store, sqlite_url
from flywheel.web.desks import DESK

REPORT = report_id("c" * 64, "a" * 64)
PAGES = (
    "/", "/lines", f"/lines/{LINE}", "/runs", f"/runs?line={LINE}", f"/runs/{run_name(4)}", f"/runs/{run_name(5)}",
    "/reports", f"/reports?line={LINE}", f"/reports/{REPORT}", f"/journal/{LINE}",
)  # fmt: skip


class Whole(html.parser.HTMLParser):
    """Checks that elements are closed in order, that names are unique, and gathers what a browser would act on."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.acting: list[str] = []
        self.named: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        """Note an element."""
        if tag not in {"meta", "link", "input", "br", "hr", "img"}:
            self.open.append(tag)
        said = dict(attrs)
        self.ids += [said["id"]] if "id" in said else []
        self.named |= set((said.get("aria-labelledby") or "").split())
        self.acting += [name for name in said if name.startswith("on") or name == "style"]
        if tag == "script" and said.get("src") != "/static/live.js":
            self.acting.append("script")

    def handle_endtag(self, tag):
        """Close the last element."""
        assert self.open.pop() == tag


@pytest.mark.asyncio
@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_whole_and_nothing_in_it_acts(world, path):
    """Every page closes what it opens, names each thing once, has one heading and main part, and holds no script."""
    async with browser(world) as client:
        answer = await client.get(path)
        page = await answer.text()
    assert answer.status == 200
    whole = Whole(page)
    assert whole.open == []
    assert len(set(whole.ids)) == len(whole.ids)
    assert whole.named <= set(whole.ids)
    assert whole.acting == []
    assert page.count("<h1") == page.count("<main") == 1
    assert HOSTILE not in page


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/", "/lines", "/runs", "/reports", f"/lines/{LINE}", f"/journal/{LINE}"])
async def test_where_nothing_is_yet_a_page_says_what_would_bring_it(tmp_path, world, path):
    """An empty store gives pages that say so in a sentence; a store that was never made is no error of the page."""
    async with browser(settings_in(tmp_path / "none")) as client:
        answer = await client.get(path)
        assert answer.status == 503
        assert "flywheel run" in await answer.text()
    settings = settings_in(tmp_path / "new")
    open_store(settings.store_url).close()
    async with browser(settings) as client:
        answer = await client.get(path)
        assert answer.status == 200
        assert path in {"/", "/lines"} or 'class="empty"' in await answer.text()


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/lines/none", "/runs/none", "/reports/none", "/reports/none/page", "/journal/none",
                                  "/static/none", "/static/..%2Frun.py", "/runs?before=x"])  # fmt: skip
async def test_what_is_not_there_is_not_found(world, path):
    """A name that is none leads to a page that says so."""
    async with browser(world) as client:
        assert (await client.get(path)).status == 404


@pytest.mark.asyncio
async def test_the_first_page_says_how_every_line_stands(world):
    """Who answers, how its tasks ended, the run with its bar, what is missing, and why nothing more happens."""
    async with browser(world) as client:
        page = await (await client.get("/")).text()
    for told in (f"{LINE}@1", "62 % of 120 tasks (53 to 71)", "30 of 120", "10 min left", "more for the next dataset",
                 "trained nothing new", "daemon not running"):  # fmt: skip
        assert told in page, told


@pytest.mark.asyncio
async def test_a_story_says_the_same_in_its_picture_and_its_tables(world):
    """The picture has a title and a description; versions, verdicts, releases and growth stand beneath it as text."""
    async with browser(world) as client:
        page = await (await client.get(f"/lines/{LINE}")).text()
    picture, tables = page[page.index("<svg") : page.index("</svg>")], page[page.index("</svg>") :]
    assert f"The story of {LINE}" in picture
    assert f"{LINE}@3: 75 % of 60 tasks; 522 examples in the pool; 4 datasets, 4 verdicts, 7 changes" in picture
    for told in (f"{LINE}@3", "75 % of 60 tasks (62 to 85)", "rolled back", "insufficient evidence", "+12.5", "522"):
        assert told in tables, told
    assert picture.count('class="fail down"') == 1
    assert picture.count('class="pass up"') == 3


@pytest.mark.asyncio
async def test_a_resumed_run_shows_one_curve(world):
    """Where a run began again the later file counts: each step stands once, to the last."""
    async with browser(world) as client:
        page = await (await client.get(f"/runs/{run_name(4)}")).text()
    assert "train/loss from 2 at step 1 to 0.1826 at step 120" in page
    assert "eval/loss from" in page


@pytest.mark.asyncio
async def test_a_report_is_framed_and_can_do_nothing(world):
    """The report's own page is sent with a policy that lets nothing run, and only our page may frame it."""
    async with browser(world) as client:
        page = await (await client.get(f"/reports/{REPORT}")).text()
        assert f'<iframe src="/reports/{REPORT}/page"' in page
        assert 'sandbox=""' in page
        framed = await client.get(f"/reports/{REPORT}/page")
        policy = framed.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "sandbox;" in policy
        assert "script" not in policy
        (world.home / "reports" / f"{REPORT}.html").unlink()
        assert (await client.get(f"/reports/{REPORT}/page")).status == 404
        assert "not there any more" in await (await client.get(f"/reports/{REPORT}")).text()


@pytest.mark.asyncio
async def test_lists_go_on_by_key(world, monkeypatch):
    """A list longer than a page leads on; together the pages hold every row once."""
    monkeypatch.setattr("flywheel.web.run_pages._PAGE", 2)
    seen, address = [], "/runs"
    async with browser(world) as client:
        while address:
            page = await (await client.get(address)).text()
            seen += [part.partition('"')[0] for part in page.split('<th scope="row"><a href="/runs/')[1:]]
            rest = page.partition('rel="next"')[0]
            address = (
                rest.rpartition('href="')[2].partition('"')[0].replace("&amp;", "&") if 'rel="next"' in page else ""
            )
    assert seen == [run_name(number) for number in (5, 4, 3, 2, 1)]


@pytest.mark.asyncio
async def test_a_page_cannot_write(world):
    """The session that pages read with is refused by the database itself when it would change anything."""
    async with browser(world) as client:
        desk = client.server.app[DESK]
        with pytest.raises(SettingsError, match="readonly"):
            await desk.read(lambda session: session.connection().execute(text("DELETE FROM ledger")))


@pytest.mark.asyncio
async def test_a_mistake_in_the_policies_is_said_and_the_page_goes_on(world, tmp_path):
    """Policies that cannot be read stand on the first page as what is wrong; everything else is shown."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "broken.toml").write_text("this is = = no policy")
    settings = world.model_copy(update={"policies": tmp_path / "policies"})
    async with browser(settings) as client:
        answer = await client.get("/")
        page = await answer.text()
    assert answer.status == 200
    assert 'role="alert"' in page
    assert f"{LINE}@1" in page


@pytest.mark.asyncio
async def test_a_daemon_that_hangs_is_told_from_one_that_works(world):
    """A daemon that holds the home and gives no sign of life is said to, beside what it said last."""
    with only_daemon(world.home):
        async with browser(world) as client:
            beat = world.home / "daemon.lock"
            for age, told in ((10, False), (600, True)):
                then = at(20).timestamp() - age
                os.utime(beat, (then, then))
                page = await (await client.get("/")).text()
                assert "daemon running" in page
                assert ("no sign of life for 600 seconds" in page) == told


@pytest.mark.asyncio
async def test_a_store_of_another_version_is_said_in_words(world):
    """A store that lacks what this version reads is no failure of the page: the daemon brings it up to date."""
    (world.home / "flywheel.db").unlink()
    (world.home / "flywheel.db").touch()
    async with browser(world) as client:
        answer = await client.get("/runs")
        assert answer.status == 503
        assert "the store is of another version" in await answer.text()


@pytest.mark.asyncio
async def test_a_store_that_took_the_place_of_another_is_what_is_shown(world, tmp_path):
    """After a restore the pages show what lies there now, without a restart."""
    async with browser(world) as client:
        assert run_name(4) in await (await client.get("/runs")).text()
        open_store(sqlite_url(tmp_path / "other.db")).close()
        for path in world.home.glob("flywheel.db*"):
            path.unlink()
        (tmp_path / "other.db").rename(world.home / "flywheel.db")
        page = await (await client.get("/runs")).text()
        assert run_name(4) not in page
        assert "No run was started yet" in page
