"""`flywheel examples list | show`: what is learned from, and the way back to where it was seen."""

from typing import Annotated

import typer

from flywheel.cli.contexts import AsJson, Config, Limit, LineOption, reading, show_json
from flywheel.cli.listings import Name, one_row, show_facts, show_rows
from flywheel.cli.outcomes import Repo, Session, Source, Tag, Task, show_evidence, show_words
from flywheel.core.ids import short
from flywheel.store.lineages import lineages
from flywheel.store.listings import find_rows
from flywheel.store.supersessions import TAUGHT, held_in, made_from


def list_(
    line: LineOption = None,
    category: Annotated[str | None, typer.Option("--category", help="Only of this category.")] = None,
    source: Source = None,
    task: Task = None,
    session: Session = None,
    repo: Repo = None,
    tag: Tag = None,
    withdrawn: Annotated[
        bool | None, typer.Option("--withdrawn/--standing", help="Only those that were withdrawn, or only the others.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List the newest examples, newest first."""
    where = {"line": line, "category": category, "source": source, "task": task, "session": session, "group": repo,
             "tag": tag, "withdrawn": withdrawn}  # fmt: skip
    show_rows(config, "examples", where, limit, as_json)


def show(name: Name, as_json: AsJson = False, config: Config = None) -> None:
    """Show one example: where it was seen, the evidence it rests on, and what was made from it."""
    with reading(config) as (_, store), store.read() as session:
        row = one_row(session, "examples", name)
        lineage = lineages(session, [row["id"]])[row["id"]]
        outcome = find_rows(session, "outcomes", lineage.outcome)[:1] if lineage.outcome else []
        held = held_in(session, [row["id"]]).get(row["id"], ())
        made = made_from(session, [one.hash for one in held if one.part in TAUGHT])
    evidence = outcome[0]["body"] if outcome else {}
    if as_json:
        found = {"lineage": lineage.model_dump(mode="json"), "signals": evidence.get("signals", [])}
        beside = {"datasets": [one.model_dump() for one in held], "adapters": [one.model_dump() for one in made]}
        show_json({**row, **found, **beside})
        return
    show_facts({key: value for key, value in row.items() if key != "body"})
    told = {"example", "line", "outcome", "withdrawn", "at", "category"}
    show_facts(lineage.model_dump(exclude=told, exclude_defaults=True))
    show_facts({
        "datasets": ", ".join(f"{one.number} {short(one.hash)} ({one.part})" for one in held) or "none yet",
        "adapters": ", ".join(f"{one.name} ({one.state})" for one in made) or "none yet",
    })  # fmt: skip
    show_evidence(evidence)
    show_words(row["body"].get("messages", ()))
