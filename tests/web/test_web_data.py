"""Decisions, data and policies on the dashboard: complete page by page, harmless whatever they hold, never wordless."""

import re
from pathlib import Path

import pytest
from big_store import LINES, World, write_settings
from small_house import make, store_of, visiting

from flywheel.daemon.settings import load_settings
from flywheel.store import browsings as b
from flywheel.store.stores import open_store, sqlite_url
from flywheel.web.apps import build_app
from flywheel.web.decision_pages import kinds_of

HOSTILE = "<script>alert('an agent wrote this')</script>"
HOSTILE_ROWS = (
    "UPDATE outcomes SET repo = ?, model = ?, body = json_set(body, '$.messages[1][1]', ?, '$.extra.note', ?)",
    "UPDATE examples SET category = ?, body = json_set(body, '$.messages[0][1]', ?)",
    "UPDATE quarantine SET reason = ?, rule = ?",
    "UPDATE ledger SET body = json_set(body, '$.sentence', ?, '$.by', ?)",
    "UPDATE requests SET answer = ?, reason = ?",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("data") / "home")


def walk(session, read, where):
    """Every row of every page, in order."""
    rows, before = [], None
    for _ in range(500):
        page = read(session, where, before=before)
        rows += [row["seq"] for row in page.rows]
        if page.older is None:
            return rows
        before = page.older
    raise AssertionError("the pages never end")


@pytest.mark.parametrize(
    "where",
    [
        {}, {"line": "plan"}, {"line": "plan", "label": "negative"}, {"label": "unknown"}, {"repo": "repo-3"},
        {"source": "opencode", "line": "tool-calling"}, {"session": "ses_2"}, {"line": "nothing"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("window", [7, 60, 4000])
def test_pages_hold_every_outcome_once(world: World, where: dict, window: int, monkeypatch) -> None:
    """Page after page gives exactly the outcomes that are as wished, newest first, however small a window is."""
    monkeypatch.setattr(b, "WINDOW", window)
    monkeypatch.setattr(b, "PAGE", 5)
    with store_of(world) as store, store.read() as session:
        sql = " AND ".join(["1 = 1", *(f"{name} = :{name}" for name in where)])
        wanted = session.connection().exec_driver_sql(
            f"SELECT seq FROM outcomes WHERE {sql} ORDER BY seq DESC", where  # noqa: S608 - the test's own names
        )  # fmt: skip
        assert walk(session, b.page_of_outcomes, where) == [seq for (seq,) in wanted]


@pytest.mark.parametrize(
    "where", [{}, {"line": "plan"}, {"withdrawn": True}, {"category": "edge-case", "line": "plan"}]
)
def test_pages_hold_every_example_once(world: World, where: dict, monkeypatch) -> None:
    """The same for the pool."""
    monkeypatch.setattr(b, "PAGE", 5)
    with store_of(world) as store, store.read() as session:
        sql = " AND ".join(["1 = 1", *(f"{name} = :{name}" for name in where)])
        wanted = session.connection().exec_driver_sql(
            f"SELECT seq FROM examples WHERE {sql} ORDER BY seq DESC", where  # noqa: S608 - the test's own names
        )  # fmt: skip
        assert walk(session, b.page_of_examples, where) == [seq for (seq,) in wanted]


def test_a_task_is_found_in_every_source(world: World) -> None:
    """A task is looked for by the index of each source that is known."""
    with store_of(world) as store, store.read() as session:
        page = b.page_of_outcomes(session, {"task": "task-3"}, sources=("opencode", "clean-room"))
    assert {row["task"] for row in page.rows} == {"task-3"}
    assert len(page.rows) == 4


def test_decisions_come_page_by_page(world: World) -> None:
    """Every event of the kinds asked for, once, newest first."""
    kinds = kinds_of("", "")
    found, before = [], None
    with store_of(world) as store, store.read() as session:
        while True:
            page = b.page_of_events(session, kinds, line="plan", before=before, limit=7)
            found += [event.seq for event in page.events]
            if page.older is None:
                break
            before = page.older
        marks = ", ".join(f"'{kind}'" for kind in kinds)
        wanted = session.connection().exec_driver_sql(
            f"SELECT seq FROM ledger WHERE line = 'plan' AND kind IN ({marks}) ORDER BY seq DESC"  # noqa: S608
        )
        assert found == [seq for (seq,) in wanted]


@pytest.mark.asyncio
async def test_an_effect_leads_back_to_what_caused_it(world: World) -> None:
    """A promotion's page tells the verdict it rests on, and every cause in order, down to the batch that came in."""
    async with visiting(world.config) as visitor:
        _, text = await visitor.see(f"/explain/{world.adapter}")
    kinds = re.findall(r'<span class="badge[^"]*">([a-z ]+)</span>', text.split('id="causes"')[1])
    assert kinds[:3] == ["intent allowed", "allowed", "allowed"]
    told = [kind for kind in kinds if kind not in {"allowed", "intent allowed"}]
    assert told[:4] == ["canary started", "adapter passed", "adapter measured", "adapter registered"]
    for kind in ("adapter passed", "run started", "dataset frozen", "outcomes ingested"):
        assert kind in kinds
    assert "points over the base on 300 problems" in text
    assert f"/reports/{world.report}" in text
    began = text.partition('id="beginning"')[2].partition("</section>")[0]
    assert f"dataset={world.dataset}" in began
    assert began.count('href="/outcomes/') == 3
    assert "tests_passed" in began


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "leads_to"),
    [("example", "/examples/"), ("outcome", "/outcomes/")],
)
async def test_anything_can_be_explained(world: World, name: str, leads_to: str) -> None:
    """An id, or its beginning, leads to its page."""
    whole = getattr(world, name)
    async with visiting(world.config) as visitor:
        answer = await visitor.client.get(f"/explain/{whole[:-1]}", allow_redirects=False)
        assert answer.headers.get("Location", "").startswith(leads_to) or answer.status == 404  # several begin so
        answer = await visitor.client.get(f"/explain/{whole}", allow_redirects=False)
        assert answer.headers["Location"] == leads_to + whole
        for known in (
            world.run,
            world.dataset,
            world.dataset[:10],
            world.report,
            world.request,
            f"%23{world.decision}",
        ):
            assert (await visitor.see(f"/explain/{known}"))[0] == 200, known
        assert (await visitor.client.get("/find?name=", allow_redirects=False)).headers["Location"] == "/decisions"


@pytest.mark.asyncio
async def test_an_example_tells_where_it_is_from_and_who_learned_from_it(world: World) -> None:
    """Source, task, evidence, datasets and adapters are on its page, and its words."""
    async with visiting(world.config) as visitor:
        _, text = await visitor.see(f"/examples/{world.example}")
    for told in ("pytest ended with 0", "task-0", "tool-calling@3", "Make the test of module_0 pass", "/outcomes/"):
        assert told in text, told


@pytest.mark.asyncio
async def test_a_guardrail_tells_whom_it_stopped(world: World) -> None:
    """The list says how often lately, its page which intents, each with a way to its story."""
    async with visiting(world.config) as visitor:
        _, listed = await visitor.see("/policies")
        _, one = await visitor.see("/policies/session-cap")
        status, _ = await visitor.see("/policies/nothing")
    assert re.search(r"stopped \d+; last <a href=\"/explain/\d+\">", listed)
    assert "dataset.largest_session_share is 0.05" in one
    assert status == 404


@pytest.mark.asyncio
async def test_what_an_agent_wrote_is_only_ever_text(tmp_path: Path) -> None:
    """Markup in outcomes, examples, reasons and names is shown and does nothing."""
    world = make(tmp_path / "home")
    with store_of(world) as store, store.write() as session:
        for statement in HOSTILE_ROWS:
            session.connection().exec_driver_sql(statement, (HOSTILE,) * statement.count("?"))
    pages = ("/outcomes", f"/outcomes/{world.outcome}", "/examples", f"/examples/{world.example}", "/quarantine",
             "/decisions", f"/explain/{world.decision}", f"/explain/{world.adapter}", "/actions", "/policies",
             f"/requests/{world.request}", f"/outcomes?repo={HOSTILE}", "/explain/%3Cscript%3Ealert")  # fmt: skip
    async with visiting(world.config) as visitor:
        for address in pages:
            _, text = await visitor.see(address)
            assert "<script>alert" not in text, address
            assert "&lt;script&gt;alert" in text or address == "/policies", address


@pytest.mark.asyncio
async def test_an_empty_home_has_words_on_every_page(tmp_path: Path) -> None:
    """Before anything happened each page says what would bring it; before there is a store, how to get one."""
    tmp_path.joinpath("home").mkdir()
    config = write_settings(tmp_path / "home")
    pages = ("/decisions", "/examples", "/outcomes", "/quarantine", "/policies", "/actions", "/actions/plan")
    async with visiting(config) as visitor:
        for address in pages:
            status, text = await visitor.see(address)
            assert (status, "flywheel run" in text) == (503, True), address
    assert not (tmp_path / "home" / "flywheel.db").exists(), "looking makes no store"
    open_store(sqlite_url(tmp_path / "home" / "flywheel.db")).close()
    async with visiting(config) as visitor:
        for address in pages:
            status, text = await visitor.see(address)
            assert status == 200, address
            assert 'class="empty"' in text or address == "/policies", address
        assert all(line in text for line in LINES[2:])


@pytest.mark.asyncio
@pytest.mark.parametrize("address", ["/decisions?before=x", "/examples?before=-1", "/outcomes?before=" + "9" * 30])
async def test_a_place_that_is_none_is_a_page_that_says_so(world: World, address: str) -> None:
    """A mangled address is an error page, not a fault."""
    async with visiting(world.config) as visitor:
        status, text = await visitor.see(address)
    assert (status, "is no place in the list" in text) == (404, True)


def test_every_page_is_in_the_documents(world: World) -> None:
    """docs/dashboard.md names every address that a person may open, and has a picture of it for both widths."""
    told = (Path(__file__).parents[2] / "docs" / "dashboard.md").read_text()
    app = build_app(load_settings(world.config))
    addresses = {resource.canonical for resource in app.router.resources()}
    parts_of_others = {"/static/{name}", "/lines", "/reports/{report}/page"}
    assert {address for address in addresses - parts_of_others if f"`{address}`" not in told} == set()
    for name in re.findall(r"\(images/([\w-]+)\.(?:webp|png)\)", told):
        if not name.endswith("-phone") and name != "not-found":
            assert f"(images/{name}-phone." in told, name
