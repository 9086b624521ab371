"""The lines at a glance: who answers, what was learned, what is under way, and why nothing more happens."""

import asyncio

from aiohttp import web
from sqlmodel import Session

from flywheel.core.ladders import RUNGS
from flywheel.core.lines import Line
from flywheel.daemon.locks import daemon_runs
from flywheel.daemon.places import policies_folder
from flywheel.daemon.standings import LineStanding, Standing, Stock, Work, gather, why_idle
from flywheel.store.chronicles import last_seq
from flywheel.web.counts import Counted, version_of
from flywheel.web.desks import Desk, desk_of
from flywheel.web.elements import Child, Html, badge, el, join, link, moment, prose
from flywheel.web.numbers import span, success_words
from flywheel.web.pages import respond
from flywheel.web.readiness import GOOD, daemon_word
from flywheel.web.tables import empty, facts, section
from flywheel.web.verdict_parts import verdict_badge


def add_to(router: web.UrlDispatcher) -> None:
    """Answer for the lines."""
    router.add_get("/", show_lines)
    router.add_get("/lines", show_lines)


async def show_lines(request: web.Request) -> web.Response:
    """Show how every line stands."""
    desk = desk_of(request)
    standing, seq, version = await standing_of(desk, desk.settings.lines)
    counted = await asyncio.gather(*(desk.counts.of(line.line, version) for line in standing.lines))
    cards = [_card(line, standing, known) for line, known in zip(standing.lines, counted, strict=True)]
    nothing = empty('No line is on. Name some in the settings, as in lines = ["tool-calling"], and reload the daemon.')
    body = section("lines", "Lines", cards or nothing)
    return respond(request, "Lines", el("h1", "How things stand"), _house(standing), body, seq=seq)


async def standing_of(desk: Desk, names: tuple[str, ...]) -> tuple[Standing, int, int]:
    """Return how lines stand, up to which number of the ledger, and the version of what can be counted."""
    policies, problem = await desk.apart(desk.policies.read, policies_folder(desk.settings))
    daemon, silent = await desk.apart(_daemon, desk)
    standing, seq, version = await desk.read(_gather, desk, names, dict(policies.lines))
    return standing.model_copy(update={"problem": problem or silent, "daemon": daemon}), seq, version


def _daemon(desk: Desk) -> tuple[bool, str]:
    """Return whether a daemon holds the home, and what is wrong with it where it does not move."""
    if not daemon_runs(desk.settings.home):
        return False, ""
    word = daemon_word(desk.settings, desk.clock.now())
    return True, "" if word == GOOD else word


def _gather(
    session: Session, desk: Desk, names: tuple[str, ...], declared: dict[str, Line]
) -> tuple[Standing, int, int]:
    found = gather(session, names, declared, desk.clock.now(), daemon=False)
    return found, last_seq(session), version_of(session)


def _house(standing: Standing) -> Html:
    state = badge("daemon running", "pass") if standing.daemon else badge("daemon not running", "fail")
    said: Child = [" ", standing.sentence] if standing.sentence else None
    mend: Child = [" Start it with ", el("code", "flywheel run"), "."] if not standing.daemon else None
    at: Child = el("span", " (", moment(standing.at), ")", class_="soft") if standing.at and said else None
    wrong: Child = el("p", standing.problem, class_="fail", role="alert") if standing.problem else None
    return el("div", el("p", state, said, at, mend, class_="lead"), wrong, id="house", data_live=True)


def _card(line: LineStanding, standing: Standing, counted: Counted | None) -> Html:
    return el(
        "article",
        el("h3", link(line.line, "lines", line.line), " ", _state(line)),
        el("p", line.why, class_="soft") if line.why else None,
        facts([
            ("Answers", answers(line)),
            ("Rung", rung(line)),
            ("Success", success_of(line.answers or line.base, counted)),
            ("Last verdict", _verdict(line)),
        ]),
        [work_bar(work) for work in line.work],
        [stock_bar(stock) for stock in line.stocks],
        el("p", el("strong", "Now: "), idle_words(line, standing)),
        class_="card",
    )  # fmt: skip


def idle_words(line: LineStanding, standing: Standing) -> Html:
    """Return the one sentence that says why nothing more happens."""
    return prose(why_idle(line, daemon=standing.daemon, looked=standing.at is not None))


def answers(line: LineStanding) -> Child:
    """Return who answers the agent, each with its share."""
    shown: list[Child] = []
    for one in line.releases:
        words = {"canary": f", canary at {one.share:.0%}", "shadow": ", listening", "registered": ", waiting"}
        shown.append(el("li", link(one.name, "explain", one.name), words.get(one.state, f", {one.share:.0%}")))
    if line.base_share > 0:
        shown.insert(0, el("li", f"the base model{f', {line.base_share:.0%}' if line.base_share < 1 else ''}"))
    return el("ul", shown, class_="plain")


def rung(line: LineStanding) -> str | None:
    """Return where a line stands on the ladder."""
    return None if line.rung is None else f"{line.rung}: {RUNGS[line.rung]}"


def success_of(name: str, counted: Counted | None) -> Child:
    """Return how the tasks of a model ended, with its interval."""
    if counted is None:
        return el("span", "being counted", class_="soft")
    return success_words(counted[name].tasks) if name in counted else "no task ended yet"


def work_bar(work: Work) -> Html:
    """Return how far long work is."""
    name: Child = link(work.subject, "runs", work.subject) if work.kind == "train" else work.subject or work.job
    told = [work.state]
    if work.done is not None and work.of:
        told.append(f"{work.done} of {work.of}")
    loss, left = work.told.get("loss"), work.told.get("eta_seconds")
    told += [f"loss {loss:.4g}"] if isinstance(loss, int | float) else []
    told += [f"{span(left)} left"] if isinstance(left, int | float) else []
    key = f"work-{work.job}"
    bar = el("progress", value=f"{work.part:.3f}", max=1, aria_labelledby=key) if work.part is not None else None
    return el("p", el("span", work.kind, " ", name, ": ", ", ".join(told), id=key), bar, class_="bar")


def stock_bar(stock: Stock) -> Html:
    """Return how near the next dataset is."""
    noun = stock.noun if stock.held == 1 else f"{stock.noun}s"
    needs = f"{stock.missing:,} more" if stock.missing else "enough"
    told = f"{stock.held:,} {noun}, {stock.fresh:,} new: {needs} for the next dataset"
    bar = el("progress", value=f"{stock.part:.3f}", max=1, aria_label=f"{noun} for the next dataset")
    return el("p", el("span", told), bar, class_="bar")


def _state(line: LineStanding) -> Html:
    if line.paused:
        return badge("paused", "open")
    if any(one.state == "canary" for one in line.releases):
        return badge("canary", "open")
    if any(work.state == "running" for work in line.work):
        return badge("at work")
    return badge("improved", "pass") if line.answers else badge("base model")


def _verdict(line: LineStanding) -> Child:
    last = line.verdict
    if last is None:
        return "none yet"
    return join(
        verdict_badge(last.verdict), " ", link(last.adapter or "report", "reports", last.report), " ", moment(last.at)
    )
