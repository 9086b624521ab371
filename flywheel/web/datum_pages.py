"""One example or one outcome: its words, the evidence of its label, where it was seen, and what was made from it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web
from sqlmodel import Session

from flywheel.core.errors import MisuseError
from flywheel.core.frozen import Frozen
from flywheel.core.lineages import Lineage
from flywheel.store.examples import examples_from
from flywheel.store.lineages import lineages
from flywheel.store.listings import find_rows
from flywheel.store.supersessions import TAUGHT, Held, Made, held_in, made_from
from flywheel.web.data_pages import label_badge, ways_between
from flywheel.web.desks import desk_of
from flywheel.web.elements import Child, Html, badge, el, link, moment, path_to
from flywheel.web.event_parts import line_link
from flywheel.web.pages import respond
from flywheel.web.tables import empty, facts, section, table

_POINTS = {1: ("success", "pass"), -1: ("failure", "fail"), 0: ("neither", "")}
_LONG = 1200


class Seen(Frozen):
    """An example with everything that is known of it."""

    row: dict[str, Any]
    lineage: Lineage
    outcome: dict[str, Any] | None
    held: tuple[Held, ...]
    made: tuple[Made, ...]


def add_to(router: web.UrlDispatcher) -> None:
    """Answer for single examples and outcomes."""
    router.add_get("/examples/{name}", show_example)
    router.add_get("/outcomes/{name}", show_outcome)


async def show_example(request: web.Request) -> web.Response:
    """Show an example: where it was seen, the evidence it rests on, what learned from it, its words."""
    seen = await desk_of(request).read(_example, request.match_info["name"])
    row, body = seen.row, seen.row["body"]
    state = badge("withdrawn", "fail") if row["withdrawn"] else badge("stands", "pass")
    return respond(
        request, f"Example {row['id'][:12]}", ways_between("examples"), el("h1", f"Example {row['id'][:12]} ", state),
        facts([("line", line_link(row["line"])), ("category", row["category"]), *_origin(seen.lineage)]),
        section("evidence", "Evidence", _evidence(seen.outcome), live=False),
        section("use", "What learned from it", _use(seen), live=False),
        section("words", "Words", _conversation(body.get("messages") or ()), live=False),
    )  # fmt: skip


async def show_outcome(request: web.Request) -> web.Response:
    """Show an outcome: how it was labelled and why, its words, the examples that rest on it."""
    row, examples = await desk_of(request).read(_outcome, request.match_info["name"])
    body = row["body"]
    rest: Child = [el("li", link(one["id"][:12], "examples", one["id"]), " withdrawn" if one["withdrawn"] else "")
                   for one in examples]  # fmt: skip
    told = [(name.replace("_", " "), row[name] or None) for name in ("task", "session", "repo", "call_type", "model")]
    extra = [(name.replace("_", " "), str(value)) for name, value in body.get("extra", {}).items() if _plain(value)]
    return respond(
        request, f"Outcome {row['key'][:12]}", ways_between("outcomes"),
        el("h1", f"Outcome {row['key'][:12]} ", label_badge(row["label"], row["confidence"])),
        facts([("line", line_link(row["line"] or "")),
               ("source", link(row["source"], "outcomes", source=row["source"])),
               ("tags", ", ".join(body.get("tags", ())) or None), *told, *extra]),
        section("evidence", "Evidence", _evidence(row), live=False),
        section("examples", "Examples that rest on it",
                el("ul", rest) if examples else empty("None: only what succeeded, and is new, becomes an example."),
                live=False),
        section("words", "Words", _conversation([*body.get("messages", ()), ["answer", body.get("response", "")]]),
                live=False),
    )  # fmt: skip


def _example(session: Session, name: str) -> Seen:
    row = _one(session, "examples", name)
    lineage = lineages(session, [row["id"]])[row["id"]]
    outcome = find_rows(session, "outcomes", lineage.outcome)[:1] if lineage.outcome else []
    held = held_in(session, [row["id"]]).get(row["id"], ())
    made = made_from(session, [one.hash for one in held if one.part in TAUGHT])
    return Seen(row=row, lineage=lineage, outcome=outcome[0] if outcome else None, held=held, made=tuple(made))


def _outcome(session: Session, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    row = _one(session, "outcomes", name)
    return row, examples_from(session, row["key"])


def _one(session: Session, noun: str, name: str) -> dict[str, Any]:
    rows = find_rows(session, noun, name)
    if len(rows) != 1:
        raise MisuseError(f"there is no {noun.removesuffix('s')} {name}", "it may have been forgotten")
    return rows[0]


def _origin(lineage: Lineage) -> Iterable[tuple[str, Child]]:
    if lineage.forgotten:
        return [("origin", "forgotten: only its name is left")]
    told = {
        "origin": lineage.origin, "source": lineage.source, "task": lineage.task, "session": lineage.session,
        "repo": lineage.group, "model": lineage.model, "call": lineage.call_type, "licence": lineage.licence,
        "form": lineage.form, "tags": ", ".join(lineage.tags),
    }  # fmt: skip
    outcome: Child = link(lineage.outcome[:12], "outcomes", lineage.outcome) if lineage.outcome else None
    seen = moment(lineage.at) if lineage.at else None
    return [("outcome", outcome), ("seen", seen), *((name, value or None) for name, value in told.items())]


def _evidence(outcome: Mapping[str, Any] | None) -> Child:
    if outcome is None:
        return empty("The outcome it rested on is gone.")
    signals: Sequence[Mapping[str, Any]] = outcome["body"].get("signals", ())
    rows = [(one["name"], badge(*_POINTS[one["points"]]), f"{one['strength']:.2f}", one.get("note"))
            for one in signals]  # fmt: skip
    label = el("p", "Labelled ", label_badge(outcome["label"], outcome["confidence"]), " by what was seen:")
    head = ("Signal", "Points to", "Strength", "Note")
    return [label, table("Signals", head, rows, frozenset({2}))] if rows else [label, empty("No signal was seen.")]


def _use(seen: Seen) -> Child:
    if not seen.held:
        return empty("No frozen dataset holds it yet.")
    rows = [(el("a", f"dataset {one.number}", href=path_to("examples", dataset=one.hash)), one.part, _made(seen, one))
            for one in seen.held]  # fmt: skip
    return table("Datasets that hold it", ("Dataset", "Part", "Adapters"), rows)


def _made(seen: Seen, held: Held) -> Child:
    return [
        [link(made.name, "explain", made.name), f" ({made.state}) "] for made in seen.made if made.dataset == held.hash
    ]


def _conversation(messages: Iterable[Sequence[Any]]) -> Child:
    parts = [_message(str(role), str(content)) for role, content in messages]
    return el("ol", parts, class_="talk") if parts else empty("Its words were forgotten.")


def _message(role: str, content: str) -> Html:
    head = el("h3", role)
    if len(content) <= _LONG:
        return el("li", head, el("pre", content, tabindex=0), class_=f"said {role}")
    more = el("details", el("summary", f"all {len(content):,} characters"), el("pre", content, tabindex=0))
    return el("li", head, el("pre", content[:_LONG], "…", tabindex=0), more, class_=f"said {role}")


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and value != ""
