"""What an operator has declared: every guardrail with its reason and what it held lately, every line in words."""

from collections import Counter
from collections.abc import Iterable, Mapping

from aiohttp import web
from sqlmodel import Session

from flywheel.core.errors import MisuseError
from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.core.intents import INTENTS
from flywheel.daemon.places import policies_folder
from flywheel.policy.explaining import explain_line
from flywheel.policy.guardrails import Guardrail, PolicySet
from flywheel.store.browsings import page_of_events
from flywheel.store.ledger import last_event
from flywheel.web.desks import desk_of
from flywheel.web.elements import Child, Html, badge, el, link, moment
from flywheel.web.event_parts import events_table, number_link, sentence_of
from flywheel.web.pages import respond
from flywheel.web.tables import empty, facts, section, table

STOPPED = ("policy.intent_held", "policy.intent_refused")
_ASKED = (*STOPPED, "policy.intent_allowed")
_LATELY = 400  # decisions that are looked through for what a guardrail did lately
_VERDICTS = {"hold": "open", "refuse": "fail"}


class Lately(Frozen):
    """What guardrails did in the newest decisions: how often each stopped or would have, and the last time."""

    stopped: Mapping[str, int]
    observed: Mapping[str, int]
    last: Mapping[str, Event]
    looked: int
    loaded: Event | None
    rejected: Event | None
    seq: int = 0


def add_to(router: web.UrlDispatcher) -> None:
    """Answer for the policies."""
    router.add_get("/policies", show_policies)
    router.add_get("/policies/lines/{line}", show_line)
    router.add_get("/policies/{name}", show_guardrail)


async def show_policies(request: web.Request) -> web.Response:
    """Show every guardrail with what it held lately, and whether what is loaded is what lies in the folder."""
    desk = desk_of(request)
    policies, problem = await desk.apart(desk.policies.read, policies_folder(desk.settings))
    lately = await desk.read(_lately)
    rows = [_row(rail, lately) for rail in policies.guardrails]
    head = ("Guardrail", "Stops", "If not", "Lately", "Why it is there")
    shown = table("Guardrails", head, rows) if rows else empty("No guardrail is declared: nothing is stopped.")
    lines = [el("li", link(line, "policies", "lines", line)) for line in desk.settings.lines]
    return respond(
        request, "Policies", el("h1", "Policies"), _state(policies, problem, lately),
        section("guardrails", "Guardrails", el("p", f"Lately: the newest {lately.looked} decisions.", class_="soft"),
                shown),
        section("lines", "Lines in words", el("ul", lines) if lines else empty("No line is on."), live=False),
        seq=lately.seq,
    )  # fmt: skip


async def show_guardrail(request: web.Request) -> web.Response:
    """Show one guardrail: what it guards, what must hold, and whom it stopped."""
    desk, name = desk_of(request), request.match_info["name"]
    policies, problem = await desk.apart(desk.policies.read, policies_folder(desk.settings))
    rail = next((one for one in policies.guardrails if one.name == name), None)
    if rail is None and not problem:
        raise MisuseError(f"no guardrail is called {name!r} any more", "see the policies for those in force")
    held = await desk.read(_held_by, name)
    listed = events_table(f"Stopped by {name}", held) if held else empty("It stopped nothing in the newest decisions.")
    return respond(
        request, name, el("h1", name), el("p", problem, class_="fail") if problem else None,
        _about(rail) if rail else None,
        section("stopped", "What it stopped lately", listed),
    )  # fmt: skip


async def show_line(request: web.Request) -> web.Response:
    """Say in words which guardrails a line meets, at what step, and why they are there."""
    desk, line = desk_of(request), request.match_info["line"]
    policies, _ = await desk.apart(desk.policies.read, policies_folder(desk.settings))
    told = explain_line(line, policies).splitlines()
    first, rest = told[0], told[1:]
    return respond(
        request, f"Policies of {line}", el("h1", f"Policies of {line}"), el("p", first, class_="lead"),
        _told(rest), el("p", link("The line's story", "lines", line)),
    )  # fmt: skip


def _lately(session: Session) -> Lately:
    found = page_of_events(session, _ASKED, limit=_LATELY).events
    stopped: Counter[str] = Counter()
    observed: Counter[str] = Counter()
    last: dict[str, Event] = {}
    for event in found:
        for name, enforced in _against(event):
            (stopped if enforced else observed)[name] += 1
            last.setdefault(name, event)
    newest = last_event(session)
    return Lately(
        stopped=stopped, observed=observed, last=last, looked=len(found),
        loaded=last_event(session, kinds=("policy.policies_loaded",)),
        rejected=last_event(session, kinds=("policy.policies_rejected",)),
        seq=(newest.seq or 0) if newest else 0,
    )  # fmt: skip


def _held_by(session: Session, name: str) -> list[Event]:
    found = page_of_events(session, _ASKED, limit=_LATELY).events
    return [event for event in found if any(rail == name for rail, _ in _against(event))][:50]


def _against(event: Event) -> Iterable[tuple[str, bool]]:
    """Return the guardrails that spoke against an intent, and whether they were to be obeyed."""
    reasons = event.body.get("decision", {}).get("reasons", [])
    return [(one["guardrail"], one["enforced"]) for one in reasons if one["judgement"] != "allow"]


def _row(rail: Guardrail, lately: Lately) -> tuple[Child, ...]:
    kinds = ", ".join(kind.partition(".")[2].replace("_", " ") for kind in rail.guards)
    how: Child = badge(rail.verdict, _VERDICTS[rail.verdict])
    if not rail.enforced:
        how = [how, " ", badge("observes only")]
    return link(rail.name, "policies", rail.name), kinds, how, _did(rail.name, lately), rail.why


def _did(name: str, lately: Lately) -> Child:
    stopped, observed, last = lately.stopped.get(name, 0), lately.observed.get(name, 0), lately.last.get(name)
    if last is None:
        return el("span", "nothing", class_="soft")
    told = [f"stopped {stopped}" if stopped else "", f"would have stopped {observed}" if observed else ""]
    return [", ".join(word for word in told if word), "; last ", number_link(last.seq), " ", moment(last.at)]


def _state(policies: PolicySet, problem: str, lately: Lately) -> Child:
    """Say whether the folder is sound and whether the daemon has it in force."""
    if problem:
        return el("p", badge("not sound", "fail"), " The policies folder cannot be loaded; the set before stays in ",
                  "force: ", problem, class_="lead")  # fmt: skip
    loaded, rejected = lately.loaded, lately.rejected
    told = facts([
        ("this folder", policies.hash[:8]),
        ("in force", [str(loaded.body.get("hash", ""))[:8], " since ", moment(loaded.at)] if loaded else None),
        ("declares", f"{len(policies.guardrails)} guardrails and {len(policies.lines)} lines"),
    ])  # fmt: skip
    stale = loaded is not None and loaded.body.get("hash") not in (None, policies.hash)
    warn = el("p", badge("not in force", "open"), " The folder was changed since the daemon loaded it: send it SIGHUP, "
              "or start it again.") if stale else None  # fmt: skip
    turned = rejected if rejected and (loaded is None or (rejected.seq or 0) > (loaded.seq or 0)) else None
    bad = (
        el("p", badge("turned down", "fail"), " ", number_link(turned.seq), " ", sentence_of(turned))
        if turned
        else None
    )
    return [told, warn, bad]


def _about(rail: Guardrail) -> list[Html]:
    guards = el("ul", [el("li", el("code", kind), f": {INTENTS[kind]}") for kind in rail.guards])
    wanted = el("ul", [el("li", el("code", one.fact), f" is {one.needs({})}") for one in rail.require])
    cases = el("ul", [el("li", el("code", one.fact), f" is {one.needs({})}") for one in rail.when])
    stop = badge({"hold": "held", "refuse": "refused"}[rail.verdict], _VERDICTS[rail.verdict])
    return [
        el("p", rail.why, class_="lead"),
        section("guards", "What it guards", guards, live=False),
        section("require", "What must hold", wanted, live=False),
        section("when", "Only when", cases, live=False) if rail.when else el("p", "It applies always."),
        el("p", "Otherwise the intent is ", stop, "." if rail.enforced else " in word only: this guardrail observes."),
    ]


def _told(lines: Iterable[str]) -> list[Html]:
    """Return explained policies: a heading for every intent, below it what stands before it."""
    parts: list[Html] = []
    rules: list[Html] = []
    for text in lines:
        if text.startswith("  "):
            rules.append(el("li", text.strip()))
            continue
        if rules:
            parts.append(el("ul", *rules))
        rules = []
        parts.append(el("h2", text.rstrip(":")) if text.endswith(":") else el("p", text))
    return [*parts, el("ul", *rules)] if rules else parts
