"""The story of one line: its picture over time, and the tables that say the same."""

from dataclasses import dataclass

from aiohttp import web
from sqlmodel import Session

from flywheel.core.errors import MisuseError
from flywheel.core.events import Event
from flywheel.core.releases import Release
from flywheel.daemon.standings import LineStanding, Standing
from flywheel.proc.curves import thinned
from flywheel.store.chronicles import Held, growth, reports_before
from flywheel.store.ledger import events
from flywheel.store.releases import releases
from flywheel.store.reports import StoredReport
from flywheel.store.runs import Adapter, adapters
from flywheel.web.counts import Counted
from flywheel.web.desks import desk_of
from flywheel.web.elements import Child, Html, badge, el, link, moment
from flywheel.web.event_parts import events_table, name_link
from flywheel.web.line_pages import answers, idle_words, rung, standing_of, stock_bar, success_of, work_bar
from flywheel.web.numbers import interval, success_words
from flywheel.web.pages import respond
from flywheel.web.story_plots import MARKED, Story, Version, story_plot
from flywheel.web.tables import empty, facts, section, table
from flywheel.web.verdict_parts import gain, verdict_badge

_EVENTS, _POOL, _REPORTS = 300, 240, 300
_LISTED, _STEPS = 30, 12
_VERSIONS = ("Version", "State", "Verdict", "Points gained", "Success (95 % interval)", "Answered", "Run", "Dataset")


@dataclass(frozen=True)
class _Found:
    """What the store knows of a line's past."""

    pool: list[Held]
    events: list[Event]
    adapters: list[Adapter]
    releases: dict[str, Release]
    reports: dict[str, StoredReport]


def add_to(router: web.UrlDispatcher) -> None:
    """Answer for the story of a line."""
    router.add_get("/lines/{line}", show_story)


async def show_story(request: web.Request) -> web.Response:
    """Show what became of a line."""
    desk, name = desk_of(request), request.match_info["line"]
    found = await desk.read(_gather, name)
    if name not in desk.settings.lines and not found.adapters and not found.events:
        raise MisuseError(f"there is no line {name}", "the lines that are on stand on the first page")
    standing, seq, version = await standing_of(desk, (name,))
    counted = await desk.counts.of(name, version)
    line = standing.lines[0]
    picture = story_plot(_story(name, found, counted, standing))
    nothing = empty("Nothing has happened on this line yet. Its story begins with the first examples.")
    parts = [
        _now(line, standing, counted),
        section("time", "Over time", [picture, _legend()] if picture else nothing),
        section("versions", "Versions", _versions(found, counted)),
        section("happened", "What happened", _happened(name, found)),
        section("growth", "How the pool grew", _grown(found.pool)) if found.pool else None,
    ]
    return respond(request, name, el("h1", name), parts, seq=seq)


def _gather(session: Session, line: str) -> _Found:
    newest = {one.report.adapter: one for one in reversed(reports_before(session, line, None, _REPORTS))}
    return _Found(
        pool=thinned(growth(session, line), _POOL),
        events=events(session, line=line, kinds=MARKED, limit=_EVENTS),
        adapters=adapters(session, line),
        releases={one.name: one for one in releases(session, line)},
        reports=newest,
    )


def _story(line: str, found: _Found, counted: Counted | None, standing: Standing) -> Story:
    ours = {one.name for one in found.adapters}
    versions = []
    for name, ended in sorted((counted or {}).items(), key=lambda one: _number(one[0])):
        if ended.period is not None and ended.tasks.tasks:
            low, high = interval(ended.tasks)
            rate = ended.tasks.successes / ended.tasks.tasks
            versions.append(Version(name, ended.period, ended.tasks.tasks, rate, low, high, ours=name in ours))
    return Story(line, tuple(versions), tuple(found.pool), tuple(found.events), standing.at)


def _number(name: str) -> tuple[int, str]:
    tail = name.rpartition("@")[2]
    return (int(tail) if tail.isdecimal() else -1), name


def _now(line: LineStanding, standing: Standing, counted: Counted | None) -> Html:
    told = facts([
        ("Answers", answers(line)),
        ("Rung", rung(line)),
        ("Learns", f"{line.technique} on {line.base}" if line.technique else None),
        ("Success", success_of(line.answers or line.base, counted)),
        ("Goes back to", link(line.previous, "explain", line.previous) if line.previous else "the base model"),
    ])  # fmt: skip
    ways = el(
        "p",
        [link("What may be done", "actions", line.line), link("Runs", "runs", line=line.line),
         link("Evaluations", "journal", line.line), link("Decisions", "decisions", line=line.line),
         link("Examples", "examples", line=line.line)],
        class_="ways",
    )  # fmt: skip
    bars = [work_bar(work) for work in line.work] + [stock_bar(stock) for stock in line.stocks]
    lead = el("p", badge("paused", "open") if line.paused else None, " ", idle_words(line, standing), class_="lead")
    why: Child = el("p", line.why, class_="soft") if line.why else None
    return el("div", why, lead, told, bars, ways, id="now", data_live=True)


def _legend() -> Html:
    told = (
        "A bar is a version of the adapter: how many of its tasks succeeded, within the 95 % interval around it, from "
        "its first call to its last; grey is the base model. A square is a dataset; a disc passed the gate, a cross "
        "failed or was turned down, a ring is open: too little evidence, or a canary begun; a triangle up is a "
        "promotion, down is a rollback."
    )
    return el("p", told, class_="soft small")


def _versions(found: _Found, counted: Counted | None) -> Html:
    rows = [_version(one, found, counted) for one in reversed(found.adapters)]
    if not rows:
        return empty("No adapter was trained yet: the base model answers.")
    return table("Versions", _VERSIONS, rows, frozenset({3}))


def _version(adapter: Adapter, found: _Found, counted: Counted | None) -> list[Child]:
    release, report = found.releases.get(adapter.name), found.reports.get(adapter.hash)
    ended = (counted or {}).get(adapter.name)
    period = ended.period if ended else None
    state = release.state.value if release else "published"
    return [
        el("span", link(adapter.name, "explain", adapter.name), id=f"adapter-{adapter.name}"),
        badge(state, {"active": "pass", "rolled back": "fail", "rejected": "fail", "canary": "open"}.get(state, "")),
        el("a", verdict_badge(report.report.verdict.value), href=f"/reports/{report.id}") if report else None,
        gain(report.report) if report else None,
        success_words(ended.tasks) if ended else ("being counted" if counted is None else None),
        [moment(period.first), " to ", moment(period.last)] if period else None,
        name_link(adapter.run),
        name_link(adapter.manifest.dataset),
    ]


def _happened(line: str, found: _Found) -> list[Child]:
    if not found.events:
        return [empty("No dataset, verdict or release yet.")]
    more = el("p", link(f"All decisions about {line}", "decisions", line=line))
    return [events_table("What happened", reversed(found.events[-_LISTED:])), more]


def _grown(pool: list[Held]) -> Html:
    rows = [(moment(held.at), f"{held.examples:,}") for held in reversed(thinned(pool, _STEPS))]
    return table("How the pool grew", ("When (UTC)", "Examples"), rows, frozenset({1}))
