"""`flywheel datasets show`: what a frozen dataset is made of, how long its rows are, what was left out and why."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from flywheel.cli.contexts import AsJson, Config, err, out, reading, show_json, show_table
from flywheel.cli.listings import Name, one_row
from flywheel.cli.plots import bars, svg
from flywheel.cli.token_counts import count_tokens
from flywheel.core.errors import FlywheelError, PermanentError
from flywheel.core.examples import DatasetManifest
from flywheel.core.ids import short
from flywheel.core.tool_calls import parse_tool_calls
from flywheel.curate.lengths import Lengths, lengths_of
from flywheel.curate.profiles import DatasetProfile, RowSummary, Tally, profile
from flywheel.daemon.places import policies_folder
from flywheel.daemon.settings import Settings
from flywheel.policy.loading import load_policies
from flywheel.proc.environments import environment
from flywheel.proc.files import write_file
from flywheel.store.datasets import members
from flywheel.store.lineages import lineages
from flywheel.store.stores import Store

_CONVERSATIONS = ("train", "valid", "test")
_TALLIES = ("labels", "sources", "origins", "categories", "languages", "tags", "forms", "repos", "sessions", "licences")


def show(
    name: Name,
    plot: Annotated[Path | None, typer.Option("--plot", help="Write the lengths as a picture: FILE.svg.")] = None,
    tokens: Annotated[
        bool, typer.Option("--tokens/--no-tokens", help="Count tokens with the base's tokenizer, or characters only.")
    ] = True,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Show what a dataset is made of: parts, sources, labels, categories, lengths, and what was left out."""
    with reading(config) as (settings, store):
        with store.read() as session:
            row = one_row(session, "datasets", name)
        found = _profile(settings, store, DatasetManifest.model_validate(row["body"]), tokens=tokens)
    if plot is not None:
        _draw(found, plot)
    if as_json:
        show_json(found.model_dump(mode="json"))
    else:
        _tell(found)
        if plot is not None:
            err.print(f"the lengths are drawn in {plot}", markup=False)


def _profile(settings: Settings, store: Store, manifest: DatasetManifest, *, tokens: bool) -> DatasetProfile:
    folder = settings.home / "datasets" / manifest.hash
    files = {part: folder / f"{part}.jsonl" for part in manifest.splits}
    missing = [file.name for file in files.values() if not file.is_file()]
    with store.read() as session:
        known = sorted({one for part in _CONVERSATIONS for one in members(session, manifest.hash, part)})
        lineage = lineages(session, known)
    rows = {} if missing else {part: list(_rows(file)) for part, file in files.items()}
    found = profile(manifest, rows, lineage)
    if missing:
        return found.model_copy(update={"lengths_note": f"its words are not there any more: {', '.join(missing)}"})
    lengths, note = _lengths(settings, manifest, rows, files if tokens else None)
    return found.model_copy(update={"lengths": lengths, "lengths_note": note})


def _rows(path: Path) -> Iterator[RowSummary]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            texts = [message["content"] for message in row.get("messages", row.get("prompt", ()))]
            texts += [row[name] for name in ("rejected", "chosen", "completion") if name in row]
            calls = bool(parse_tool_calls(texts[-1]).calls)
            name = row.get("example", row.get("id"))
            yield RowSummary(name, row["replay"], sum(map(len, texts)), calls, row.get("label"))


def _lengths(
    settings: Settings,
    manifest: DatasetManifest,
    rows: Mapping[str, Sequence[RowSummary]],
    files: Mapping[str, Path] | None,
) -> tuple[Lengths | None, str]:
    """Return lengths in tokens where they can be counted, else in characters, and a word about it."""
    beside = [part for part in rows if part not in _CONVERSATIONS]
    if beside and files is not None:
        conversations = {part: held for part, held in rows.items() if part not in beside}
        read = {part: path for part, path in files.items() if part not in beside}
        lengths, note = _lengths(settings, manifest, conversations, read)
        also = f"not counted in it: {', '.join(beside)}"
        return lengths, f"{note}; {also}" if note else also
    characters = {part: [row.characters for row in held] for part, held in rows.items()}
    note = "tokens were not asked for"
    if files is not None:
        base, limit, note = _base_of(settings, manifest.line)
        python = settings.train_python or environment("train").python
        counts = count_tokens(python, base, list(files.values())) if base else None
        if counts and counts.parts:
            by = f"the tokenizer of base {base.name if base else ''}"
            return lengths_of(counts.parts, "tokens", by, limit), counts.problem
        note = counts.problem if counts else note
    told = f"characters, not tokens, and not compared with max_length: {note}"
    return lengths_of(characters, "characters", "characters of the messages"), told


def _base_of(settings: Settings, line: str) -> tuple[Path | None, int | None, str]:
    """Return where the base of a line lies and the longest row it is trained on, or why that is not known."""
    try:
        declared = load_policies(policies_folder(settings)).lines.get(line)
    except FlywheelError as error:
        return None, None, str(error)
    base = settings.base_models().get(declared.base) if declared else None
    if declared is None or base is None:
        return None, None, f"neither settings nor policies name a base of line {line}"
    return Path(base.path), declared.train.hyperparameters.max_length, ""


def _draw(found: DatasetProfile, plot: Path) -> None:
    if found.lengths is None:
        raise PermanentError(f"there are no lengths to draw: {found.lengths_note}")
    try:
        write_file(plot, svg(found.lengths, f"{found.line}, dataset {found.number} ({short(found.hash)})").encode())
    except OSError as error:
        raise PermanentError(f"{plot} cannot be written: {error.strerror}", "name another file") from error


def _tell(found: DatasetProfile) -> None:
    parent = f", parent {short(found.parent)}" if found.parent else ", the first of its line"
    _say(f"{found.line}, dataset {found.number} ({found.hash}){parent}")
    _say(f"frozen {found.created_at:%Y-%m-%d %H:%M}: {found.examples:,} examples, {found.fresh:,} of them fresh")
    _say(f"rehearsal: {found.rehearsed:,} rows, {found.replay_share:.1%} of the training rows")
    if found.pairs or found.judgements:
        counted = f"{found.pairs:,} pairs" if found.pairs else f"{found.judgements:,} judgements"
        good = found.shares.get("judged_good_share")
        _say(f"for {found.technique}: {counted}" + (f", {good:.1%} of the rows of good answers" if good else ""))
    parts = [{"part": name, **part.model_dump(exclude_none=True)} for name, part in found.parts.items()]
    columns = ("part", "rows", "examples", "rehearsed", "tool_rows", *(["good"] if found.judgements else []), "sha256")
    show_table("parts", columns, parts)
    for name in _TALLIES:
        _say(f"{name}: {_counted(getattr(found, name))}")
    left = ", ".join(f"{reason} ({count:,})" for reason, count in found.left_out.items())
    _say(f"left out: {left or 'nothing'}")
    if found.superseded:
        _say(f"superseded: {found.superseded:,} examples have lost their evidence since; {found.forgotten:,} of them "
             "were forgotten. See `flywheel examples superseded`")  # fmt: skip
    _tell_lengths(found)


def _tell_lengths(found: DatasetProfile) -> None:
    lengths = found.lengths
    if lengths is None:
        _say(f"lengths: {found.lengths_note}")
        return
    shares = ", ".join(f"{name} {value:,}" for name, value in lengths.percentiles.items())
    _say(f"lengths in {lengths.unit}, by {lengths.counted_by}: {shares}, longest {lengths.longest:,}")
    if lengths.limit is not None:
        _say(f"over max_length {lengths.limit:,}: {lengths.over:,} rows ({lengths.over_share:.1%})")
    if found.lengths_note:
        _say(f"note: {found.lengths_note}")
    for line in bars(lengths):
        _say(line)


def _counted(tally: Tally) -> str:
    total = sum(tally.names.values()) + tally.other
    told = [f"{name} {count:,} ({count / total:.0%})" for name, count in list(tally.names.items())[:8]]
    rest = len(tally.names) - 8 + tally.other_names
    return ", ".join([*told, *([f"and {rest:,} more"] if rest > 0 else [])]) or "none"


def _say(text: Any) -> None:
    out.print(text, markup=False)
