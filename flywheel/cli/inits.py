"""`flywheel init`: looks at the machine, asks little, writes settings and policies, and says what follows from them."""

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from flywheel.cli import init_words as words
from flywheel.cli.contexts import AsJson, Config, err, out, show_json
from flywheel.cli.init_choices import Choice, choose
from flywheel.cli.init_findings import Findings, FoundModel, Places
from flywheel.cli.init_looks import Wanted, findings_of
from flywheel.cli.init_texts import plain, settings_text
from flywheel.cli.init_writings import before_writing, checked, texts_of, write_all
from flywheel.core.errors import MisuseError
from flywheel.daemon.places import shipped
from flywheel.daemon.settings import PLACES
from flywheel.policy.loading import load_policies

Look = Annotated[list[Path] | None, typer.Option("--look", help="A folder to search or a record to watch; repeatable.")]
Server = Annotated[list[str] | None, typer.Option("--server", help="A model server's address; may be given again.")]
Home = Annotated[Path | None, typer.Option("--home", help="Where the state is to lie (else ~/.local/share/flywheel).")]


def init(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take what is found.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the settings; write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write anew; what was there is kept beside it.")] = False,
    look: Look = None,
    server: Server = None,
    base: Annotated[Path | None, typer.Option("--base", help="The folder of the base model to learn on.")] = None,
    home: Home = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Find agents, models, a GPU and model servers, and write settings and policies for them."""
    places = _places(config, home)
    before_writing(places, force=force or dry_run)
    if not as_json:
        err.print("looking for agents, model servers and models ...")
    findings = findings_of(Wanted(look=tuple(look or ()), servers=tuple(server or ()), base=base))
    asks = not (yes or as_json or dry_run) and sys.stdin.isatty() and sys.stdout.isatty()
    _show(words.FOUND, words.found_words(findings), as_json)
    findings = _asked(findings) if asks else findings
    folder = shipped("policies")
    choice = choose(findings, load_policies(folder).lines, texts_of(folder))
    text = settings_text(choice, findings, places)
    with tempfile.TemporaryDirectory(prefix="flywheel-init-") as scratch:
        checked(choice, text, Path(scratch))
    _show(words.WATCHES, words.watch_words(choice.sources), as_json)
    _show(words.LINES, words.line_words(choice), as_json)
    _show(words.NEVER_TITLE, words.NEVER, as_json)
    if asks and not typer.confirm(f"Write {places.config} and {places.policies}?", default=True):
        raise typer.Abort
    kept = [] if dry_run else write_all(choice, text, places)
    _tell(choice, findings, places, {"written": not dry_run, "kept": kept, "settings": text}, as_json)


def _places(config: Path | None, home: Path | None) -> Places:
    named = config or Path(os.environ.get("FLYWHEEL_CONFIG") or PLACES[0])
    where = named.expanduser().absolute()
    state = (home or Path("~/.local/share/flywheel")).expanduser().absolute()
    for path in (where, state):
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise MisuseError(
                f"{plain(ascii(str(path)))} has a name that settings cannot say", "name another"
            ) from error
    return Places(config=where, policies=where.parent / "policies", home=state)


def _asked(findings: Findings) -> Findings:
    """Let a person leave sources out, and say which of several models is the base."""
    sources = findings.sources
    for number, source in enumerate(sources, 1):
        out.print(f"  {number}  {plain(str(source.path))}", markup=False)
    if sources:
        said = typer.prompt(
            "Watch all of these? Enter for all, or the numbers to leave out", default="", show_default=False
        )
        sources = tuple(
            one for number, one in enumerate(sources, 1) if str(number) not in said.replace(",", " ").split()
        )
    folders = findings.folders
    if len(folders) > 1 and not any(one.kind == "vllm" for one in findings.servers):
        folders = _base_of(folders)
    return findings.model_copy(update={"sources": sources, "folders": folders})


def _base_of(folders: tuple[FoundModel, ...]) -> tuple[FoundModel, ...]:
    for number, model in enumerate(folders, 1):
        out.print(f"  {number}  {plain(str(model.path))}", markup=False)
    said = typer.prompt(
        "Which is the base to learn on? Its number, or Enter for none yet", default="", show_default=False
    )
    chosen = folders[int(said) - 1 : int(said)] if said.isdecimal() and int(said) > 0 else ()
    return chosen or folders


def _show(title: str, rows: Iterable[str], as_json: bool) -> None:
    rows = list(rows)
    if not as_json and rows:
        out.print(f"\n[bold]{title}[/bold]")
        for row in rows:
            out.print(f"  {row}", markup=False)


def _tell(choice: Choice, findings: Findings, places: Places, done: dict[str, Any], as_json: bool) -> None:
    missing = words.missing_words(choice, findings)
    following = words.next_words(choice, places, usual=words.is_usual(places.config, PLACES))
    if as_json:
        more = {"never": words.NEVER, "missing": missing, "next": following}
        show_json({**_chosen(choice, places), **done, **more, "findings": findings.model_dump(mode="json")})
        return
    if not done["written"]:
        out.print(f"\n{done['settings']}", markup=False)
    _show(words.KEPT, done["kept"], as_json)
    _show(words.WRITTEN, [str(places.config), str(places.policies)] if done["written"] else [], as_json)
    _show(words.MISSING, missing, as_json)
    _show(words.NEXT, following, as_json)


def _chosen(choice: Choice, places: Places) -> dict[str, Any]:
    sources = [{"name": one.name, "kind": one.found.kind, "path": str(one.found.path)} for one in choice.sources]
    return {
        **{name: str(path) for name, path in places},
        "watches": sources,
        "lines": choice.lines,
        "bases": {base.name: str(base.path) if base.path else None for base in choice.bases},
        "servers": [server.url for server in choice.servers],
    }
