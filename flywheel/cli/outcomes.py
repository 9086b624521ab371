"""`flywheel outcomes list | show`: what the agent did, how it ended, and the evidence for that."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from flywheel.cli.contexts import AsJson, Config, Limit, LineOption, out, reading, show_json, show_table
from flywheel.cli.listings import Name, one_row, show_facts, show_rows
from flywheel.core.errors import MisuseError
from flywheel.core.outcomes import Label
from flywheel.store.examples import examples_from

Source = Annotated[str | None, typer.Option("--source", help="Only of this source.")]
Task = Annotated[str | None, typer.Option("--task", help="Only of this task.")]
Repo = Annotated[str | None, typer.Option("--repo", help="Only of this repo.")]
Session = Annotated[str | None, typer.Option("--session", help="Only of this session.")]
Tag = Annotated[str | None, typer.Option("--tag", help="Only with this tag, as in language:rust.")]
EVIDENCE = ("name", "points", "strength", "note")


def list_(
    line: LineOption = None,
    label: Annotated[str | None, typer.Option("--label", help="Only positive, negative or unknown.")] = None,
    source: Source = None,
    task: Task = None,
    session: Session = None,
    repo: Repo = None,
    call_type: Annotated[str | None, typer.Option("--call-type", help="Only this kind of call.")] = None,
    tag: Tag = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List the newest outcomes, newest first."""
    if label is not None and label not in set(Label):
        raise MisuseError(f"no label is called {label!r}", f"labels: {', '.join(Label)}")
    where = {"line": line, "label": label, "source": source, "task": task, "session": session, "repo": repo,
             "call_type": call_type, "tag": tag}  # fmt: skip
    show_rows(config, "outcomes", where, limit, as_json)


def show(name: Name, as_json: AsJson = False, config: Config = None) -> None:
    """Show one outcome: its words, its evidence, and the examples that rest on it."""
    with reading(config) as (_, store), store.read() as session:
        row = one_row(session, "outcomes", name)
        examples = examples_from(session, row["key"])
    if as_json:
        show_json({**row, "examples": examples})
        return
    body = row["body"]
    show_facts({key: value for key, value in row.items() if key != "body"})
    show_evidence(body)
    beside = {"tags": ", ".join(body.get("tags", ())), "examples": ", ".join(one["id"] for one in examples)}
    show_facts({key: value for key, value in {**beside, **body.get("extra", {})}.items() if value})
    show_words([*body.get("messages", ()), ["answer", body.get("response", "")]])


def show_evidence(body: Mapping[str, Any]) -> None:
    """Show the signals a label rests on."""
    signals: Sequence[Mapping[str, Any]] = body.get("signals", ())
    show_table(f"{len(signals)} signals", EVIDENCE, signals)


def show_words(messages: Sequence[Sequence[str]]) -> None:
    """Show a conversation."""
    for role, content in messages:
        out.print(f"[bold]{role}[/bold]")
        out.print(content, markup=False)
