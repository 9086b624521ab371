"""Acting: what waits for a person, what may be asked, the page that asks again before it is asked, and the answer.

Nothing here changes anything but by a request, the same as the command line writes; the daemon satisfies or refuses it
in its next cycle, through the guardrails.
"""

from collections.abc import Iterable, Sequence

from aiohttp import web
from sqlmodel import Session

from flywheel.core.errors import MisuseError
from flywheel.core.ids import split_served_name
from flywheel.core.releases import Release, ReleaseState
from flywheel.core.requests import Request
from flywheel.store.asks import LineDesk, ask_once, lately_asked, line_desk
from flywheel.store.ledger import last_event
from flywheel.store.releases import release_by_name
from flywheel.store.requests import request_by_id
from flywheel.store.wishes import Wish
from flywheel.web.deeds import DEEDS, Deed
from flywheel.web.desks import desk_of
from flywheel.web.elements import Child, Html, badge, el, link, moment, path_to
from flywheel.web.event_parts import line_link, number_link
from flywheel.web.forms import post_form
from flywheel.web.pages import SIGNED_IN, respond
from flywheel.web.tables import empty, facts, section, table

BY = "dashboard"
_BACK = "Back to the actions"
_REASON = 500
_STATES = {"open": "open", "satisfied": "pass", "refused": "fail"}
_RELEASED = {ReleaseState.ACTIVE: "pass", ReleaseState.CANARY: "open", ReleaseState.ROLLED_BACK: "fail",
             ReleaseState.REJECTED: "fail"}  # fmt: skip
_VERDICTS = {"pass": "pass", "fail": "fail"}


def add_to(router: web.UrlDispatcher) -> None:
    """Answer for actions and what became of them."""
    router.add_get("/actions", show_actions)
    router.add_get("/actions/{line}", show_line_actions)
    router.add_get("/ask/{deed}/{subject}", show_ask)
    router.add_post("/ask/{deed}/{subject}", ask)
    router.add_get("/requests/{id}", show_request)


async def show_actions(request: web.Request) -> web.Response:
    """Show what waits for a person, what may be done with each line, and what was asked lately."""
    desk = desk_of(request)
    seq, lines, asked = await desk.read(_all_desks, desk.settings.lines)
    waiting = [(line, one) for line in lines for one in line.for_a_person]
    told = [el("li", _ask_link("approve", one.name), " ", _verdict(line, one)) for line, one in waiting]
    rows = [_line_row(line) for line in lines]
    return respond(
        request, "Actions", el("h1", "Actions"), _who(request),
        section("waiting", "Waits for a person",
                el("ul", told) if told else empty("Nothing waits for you. A line's first promotion will.")),
        section("lines", "Lines", table("Lines", ("Line", "Answers", "State", "May be done"), rows) if rows
                else empty("No line is on: name one as `lines` in the settings.")),
        section("asked", "What was asked lately", _requests(asked)), seq=seq,
    )  # fmt: skip


async def show_line_actions(request: web.Request) -> web.Response:
    """Show what may be done with a line and with each of its adapters."""
    desk, line = desk_of(request), request.match_info["line"]
    _known_line(desk.settings.lines, line)
    seq, lines, _ = await desk.read(_all_desks, (line,))
    here = lines[0]
    rows = [_adapter_row(here, one) for one in here.releases]
    adapters = table("Adapters", ("Adapter", "State", "Verdict", "May be done"), rows)
    none = empty("The line has no adapter yet: nothing to approve, promote or take back.")
    return respond(
        request, f"Actions for {line}", el("h1", "Actions for ", line_link(line)), _who(request),
        section("line", "The line", el("p", here.pause.sentence, class_="lead") if here.pause else None,
                el("p", _line_deed(here))),
        section("adapters", "Adapters", adapters if rows else none),
        section("asked", "What was asked lately", _requests(here.requests)), seq=seq,
    )  # fmt: skip


async def show_ask(request: web.Request) -> web.Response:
    """Ask again before anything is asked: what will happen, and why you want it."""
    deed, line, subject = await _asked(request)
    title = f"{deed.word} {subject}"
    parts: list[Child] = [el("h1", f"{title}?"), el("p", deed.promise, class_="lead")]
    if not request[SIGNED_IN]:
        way = el("a", "Sign in to ask", href=path_to("sign-in", next=request.path_qs), class_="button")
        return respond(request, title, parts, el("p", "Asking needs the token."), el("p", way), _away(line))
    fields = [_reason_field(), _override_field() if deed.overrides else None, el("button", deed.button)]
    form = post_form(request, path_to("ask", request.match_info["deed"], subject), fields, label=title)
    return respond(request, title, parts, form, _away(line))


async def ask(request: web.Request) -> web.Response:
    """Write the request down, once, and lead to what becomes of it."""
    deed, line, subject = await _asked(request)
    desk, form = desk_of(request), await request.post()
    reason, override = " ".join(str(form.get("reason", "")).split())[:_REASON], form.get("override") == "yes"
    if override and not (deed.overrides and reason):
        raise MisuseError("an override needs its reason", "go back, and say why")
    wish = Wish(kind=deed.kind, subject=subject, reason=reason, override=override)
    made = await desk.write(ask_once, line, wish, BY, desk.clock.now())
    raise web.HTTPSeeOther(path_to("requests", made.id))


async def show_request(request: web.Request) -> web.Response:
    """Show what was asked, and what became of it as soon as it has."""
    seq, asked = await desk_of(request).read(_request, request.match_info["id"])
    if asked is None:
        raise MisuseError("there is no such request", "see the actions for what was asked")
    said = asked.answer or "The daemon has not answered yet: it does in its next cycle."
    told = facts([("asked", asked.kind.replace("_", " ")), ("of", asked.subject), ("by", asked.by),
                  ("when", moment(asked.at)),
                  ("reason", asked.reason or None), ("override", "yes" if asked.override else None),
                  ("in the ledger", number_link(asked.cause))])  # fmt: skip
    answer = [el("p", badge(asked.state, _STATES[asked.state])), el("p", said, class_="lead"), told]
    title = f"{asked.kind.replace('_', ' ').capitalize()} {asked.subject}"
    return respond(
        request,
        title,
        el("h1", title),
        section("answer", "What became of it", *answer),
        _away(asked.line, "Back to the actions"),
        seq=seq,
    )


def _all_desks(session: Session, lines: Sequence[str]) -> tuple[int, list[LineDesk], list[Request]]:
    last = last_event(session)
    return (last.seq or 0) if last else 0, [line_desk(session, line) for line in lines], lately_asked(session, limit=20)


def _request(session: Session, name: str) -> tuple[int, Request | None]:
    last = last_event(session)
    return (last.seq or 0) if last else 0, request_by_id(session, name)


async def _asked(request: web.Request) -> tuple[Deed, str, str]:
    """Return what is asked, about which line, of whom; refuse what cannot be asked."""
    subject, deed = request.match_info["subject"], DEEDS.get(request.match_info["deed"])
    if deed is None:
        raise MisuseError("nobody can ask for that here", f"there is {', '.join(DEEDS)}")
    desk = desk_of(request)
    if deed.of == "line":
        _known_line(desk.settings.lines, subject)
        return deed, subject, subject
    named = split_served_name(subject)
    release = await desk.read(release_by_name, subject) if named else None
    if release is None:
        raise MisuseError(f"there is no adapter {subject}", "see the actions for those there are")
    _known_line(desk.settings.lines, release.line)
    return deed, release.line, subject


def _known_line(lines: Sequence[str], line: str) -> None:
    if line not in lines:
        raise MisuseError(f"{line} is not a line of the settings", f"lines: {', '.join(lines) or 'none'}")


def _line_row(line: LineDesk) -> tuple[Child, ...]:
    active = next((one.name for one in line.releases if one.state is ReleaseState.ACTIVE), "the base model")
    state = badge("paused", "open") if line.pause else badge("goes on", "pass")
    more = link("Adapters of the line", "actions", line.line)
    return line_link(line.line), active, state, [_line_deed(line), " ", more]


def _adapter_row(line: LineDesk, release: Release) -> tuple[Child, ...]:
    state = badge(release.state.value, _RELEASED.get(release.state, ""))
    return link(release.name, "explain", release.name), state, _verdict(line, release), _deeds(release)


def _line_deed(line: LineDesk) -> Html:
    return _ask_link("resume" if line.pause else "pause", line.line)


def _deeds(release: Release) -> Child:
    return [
        [_ask_link(name, release.name), " "]
        for name, deed in DEEDS.items()
        if deed.of == "adapter" and deed.fits(release)
    ]


def _ask_link(deed: str, subject: str) -> Html:
    return el("a", f"{DEEDS[deed].word} {subject}", href=path_to("ask", deed, subject), class_="button quiet")


def _verdict(line: LineDesk, release: Release) -> Child:
    said = line.verdicts.get(release.name)
    if said is None:
        return el("span", "not measured yet", class_="soft")
    return [badge(said.verdict, _VERDICTS.get(said.verdict, "open")), " ", said.sentence]


def _requests(asked: Iterable[Request]) -> Html:
    rows = [(link(one.id, "requests", one.id), moment(one.at), one.kind.replace("_", " "), one.subject, one.by,
             badge(one.state, _STATES[one.state]), one.answer) for one in asked]  # fmt: skip
    head = ("Request", "When (UTC)", "Asked", "Of", "By", "State", "Answer")
    return table("Requests, newest first", head, rows) if rows else empty("Nobody has asked for anything yet.")


def _who(request: web.Request) -> Html:
    if request[SIGNED_IN]:
        return el("p", "You are signed in: you may ask. Every request is kept in the ledger.", class_="soft")
    way = el("a", "Sign in", href=path_to("sign-in", next=request.path_qs))
    return el("p", "You may look. To ask for something, ", way, " with the token.", class_="soft")


def _reason_field() -> Html:
    field = el("input", name="reason", size=40, maxlength=_REASON, autocomplete="off")
    return el("label", el("span", "Why (kept in the ledger)"), field, class_="field")


def _override_field() -> Html:
    box = el("input", type="checkbox", name="override", value="yes")
    return el("label", box, " Override: even without a passing verdict (needs a reason)", class_="check")


def _away(line: str, word: str = "Do nothing: back to the actions") -> Html:
    ways = [link(word, "actions"), " · ", link("The line's story", "lines", line)] if line else [link(word, "actions")]
    return el("p", ways)
