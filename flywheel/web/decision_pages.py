"""What was decided, and why: the ledger in words, and for every effect the way back to its causes."""

from collections.abc import Sequence

from aiohttp import web
from sqlmodel import Session

from flywheel.core.events import EVENTS, Event
from flywheel.store.browsings import EventPage, decided, page_of_events
from flywheel.store.explanations import Found, Story, explained, find
from flywheel.store.ledger import last_event
from flywheel.store.reports import StoredReport, report_by_id
from flywheel.store.roots import Roots, dataset_behind, roots_of
from flywheel.web.data_pages import label_badge
from flywheel.web.desks import desk_of
from flywheel.web.elements import Child, Html, badge, el, link, moment, path_to
from flywheel.web.event_parts import details, events_table, kind_badge, line_link, sentence_of, subject_link, title_of
from flywheel.web.filters import asked, choice, find_form, narrow, place
from flywheel.web.pages import respond
from flywheel.web.tables import empty, facts, pager, section, table

DECIDED = ("policy.", "gate.", "rollout.", "train.", "operator.", "serve.", "curate.dataset")
_JUDGEMENTS = (("allow", "allowed"), ("hold", "held"), ("refuse", "refused"))
_VERDICTS = {"pass": "pass", "fail": "fail"}
_NOTHING = "Nothing was decided yet. The first decision comes when a line has gathered enough to freeze a dataset."


def add_to(router: web.UrlDispatcher) -> None:
    """Answer for decisions and their stories."""
    router.add_get("/decisions", show_decisions)
    router.add_get("/find", find_name)
    router.add_get("/explain/{name}", explain)


def kinds_of(room: str, judgement: str) -> list[str]:
    """Return the kinds of events that a room and a judgement leave."""
    if judgement:
        return [kind for kind in [decided(judgement)] if kind]
    begin: str | tuple[str, ...] = f"{room}." if room else DECIDED
    return [kind for kind in EVENTS if kind.startswith(begin)]


async def show_decisions(request: web.Request) -> web.Response:
    """List what was decided and done, newest first."""
    desk, wish, before = desk_of(request), asked(request, "line", "room", "said"), place(request)
    kinds = kinds_of(wish.get("room", ""), wish.get("said", ""))
    seq, page = await desk.read(_decisions, kinds, wish.get("line"), before)
    none = empty("Nothing matches." if wish or before else _NOTHING)
    listed = events_table("Decisions, newest first", page.events) if page.events else none
    older: dict[str, str | int] | None = {**wish, "before": page.older} if page.older else None
    ways = pager(("decisions",), newer={**wish} if before else None, older=older)
    parts = section("decisions", "What was decided and done", listed, ways, live=before is None)
    return respond(request, "Decisions", el("h1", "Decisions"), _filters(desk.settings.lines, wish), parts, seq=seq)


async def find_name(request: web.Request) -> web.Response:
    """Lead from what a person typed to its page."""
    name = request.query.get("name", "").strip()
    raise web.HTTPSeeOther(path_to("explain", name) if name else path_to("decisions"))


async def explain(request: web.Request) -> web.Response:
    """Tell why something happened: any number, name, id or hash, or the beginning of one."""
    desk = desk_of(request)
    found, story, reports, roots = await desk.read(_explain, request.match_info["name"])
    if found.kind != "event" or story is None:
        raise web.HTTPSeeOther(path_to(f"{found.kind}s", found.name))
    effect = story.effect
    title = title_of(effect)
    return respond(
        request, title[:120], el("h1", title), _effect(effect),
        section("evidence", "Evidence", [_report(one) for one in reports], live=False) if reports else None,
        section("causes", "How it came to this", _chain(story.causes), live=False),
        _beginning(roots), _led_to(story.effects), _around(effect),
    )  # fmt: skip


def _decisions(session: Session, kinds: Sequence[str], line: str | None, before: int | None) -> tuple[int, EventPage]:
    last = last_event(session)
    page = page_of_events(session, kinds, line=line, before=before)
    return (last.seq or 0) if last else 0, page


def _filters(lines: Sequence[str], wish: dict[str, str]) -> list[Html]:
    rooms = sorted({kind.partition(".")[0] for kind in EVENTS})
    fields = (
        choice("line", "Line", [(line, line) for line in lines], wish.get("line", "")),
        choice("room", "Room", [(room, room) for room in rooms], wish.get("room", "")),
        choice("said", "Guardrails said", _JUDGEMENTS, wish.get("said", "")),
    )
    return [narrow(("decisions",), *fields, label="Narrow the decisions"), find_form()]


def _explain(session: Session, name: str) -> tuple[Found, Story | None, list[StoredReport], Roots | None]:
    found = find(session, name)
    if found.kind != "event":
        return found, None, [], None
    story = explained(session, int(found.name))
    reports = [report for one in story.reports if (report := report_by_id(session, one)) is not None]
    return found, story, reports, _roots(session, story)


def _roots(session: Session, story: Story) -> Roots | None:
    """Return the beginning of a story in which something was learned: the first outcomes of its dataset."""
    told = (story.effect, *story.causes)
    frozen = next((event.subject for event in told if event.kind == "curate.dataset_frozen"), None)
    dataset = frozen or dataset_behind(session, [event.subject for event in told if event.subject])
    return roots_of(session, dataset) if dataset else None


def _effect(event: Event) -> Html:
    line = line_link(event.line)
    told = facts([("what", kind_badge(event.kind)), ("when", moment(event.at)), ("number", f"#{event.seq}"),
                  ("line", line), ("subject", event.subject or None)])  # fmt: skip
    return el("section", el("p", sentence_of(event), class_="lead"), told, details(event), aria_label="What happened")


def _report(stored: StoredReport) -> Html:
    report = stored.report
    rows = [(check.name, badge(check.verdict.value, _VERDICTS.get(check.verdict.value, "open")), check.sentence)
            for check in report.checks]  # fmt: skip
    head = el("h3", f"Gate {report.gate}: ", badge(report.verdict.value, _VERDICTS.get(report.verdict.value, "open")))
    checks = table(f"What gate {report.gate} measured", ("Check", "Verdict", "Seen"), rows)
    return el(
        "article",
        head,
        el("p", report.sentence),
        checks,
        el("p", link("The whole report", "reports", stored.id)),
        class_="card",
    )


def _chain(causes: Sequence[Event]) -> Child:
    if not causes:
        return empty("Nothing led to it: it came from outside, as a person's wish, a schedule or a start does.")
    return el("ol", [_link_of_chain(event) for event in causes], class_="chain")


def _link_of_chain(event: Event) -> Html:
    head = el("p", link(f"#{event.seq}", "explain", str(event.seq)), " ", moment(event.at), " ", kind_badge(event.kind),
              " ", subject_link(event))  # fmt: skip
    held = details(event)
    more = el("details", el("summary", "What was known"), held) if held else None
    return el("li", head, el("p", sentence_of(event)), more)


def _beginning(roots: Roots | None) -> Child:
    if roots is None or not roots.first:
        return None
    rows = [(link(one.outcome[:12], "outcomes", one.outcome), moment(one.at), one.source, one.task,
             label_badge(one.label, one.confidence), ", ".join(str(signal["name"]) for signal in one.signals))
            for one in roots.first]  # fmt: skip
    head = ("Outcome", "When (UTC)", "Source", "Task", "Label", "Because of")
    parts = ", ".join(f"{count:,} {part}" for part, count in roots.parts.items())
    told = el("p", "It learned from ", link(f"dataset {roots.dataset[:12]}", "examples", dataset=roots.dataset),
              f" ({parts}). These came first:")  # fmt: skip
    return section("beginning", "Where it began", told, table("The first outcomes", head, rows), live=False)


def _led_to(effects: Sequence[Event]) -> Child:
    if not effects:
        return None
    return section("effects", "What it led to", events_table("What it led to", effects), live=False)


def _around(event: Event) -> Child:
    """Return the ways on from here: the data of a dataset, the suite of a line, everything about a subject."""
    ways: list[Child] = []
    if event.kind == "curate.dataset_frozen":
        ways.append(link("The examples in this dataset", "examples", dataset=event.subject))
    if event.kind == "curate.examples_admitted" and event.line:
        ways.append(link("The line's examples", "examples", line=event.line))
    if event.kind == "sources.outcomes_ingested":
        ways.append(link("The outcomes of this source", "outcomes", source=event.subject))
    return el("p", [el("span", way, " ") for way in ways]) if ways else None
