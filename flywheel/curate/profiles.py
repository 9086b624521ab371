"""What a frozen dataset is made of, counted: its rows, where they come from, what was left out. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import Field

from flywheel.core.examples import DatasetManifest
from flywheel.core.frozen import Frozen
from flywheel.core.lineages import Lineage
from flywheel.curate.lengths import Lengths

_LANGUAGE = "language:"
_NAMED = 20  # so many names of a tally are told; the rest is counted


class RowSummary(NamedTuple):
    """What counting needs of a row."""

    example: str
    replay: bool
    characters: int
    calls_tools: bool
    label: bool | None = None


class Tally(Frozen):
    """How many there are of each name: the most common ones, and how many names and rows there are beside them."""

    names: dict[str, int]
    other_names: int = 0
    other: int = 0


class PartProfile(Frozen):
    """One file of the dataset; `examples` are examples, pairs or judgements, of which so many are of `good` answers."""

    rows: int
    examples: int
    rehearsed: int
    tool_rows: int
    sha256: str
    good: int | None = None


class DatasetProfile(Frozen):
    """Everything `datasets show` tells; tallies count each example once."""

    hash: str
    line: str
    number: int
    created_at: datetime
    parent: str | None
    technique: str
    parts: dict[str, PartProfile]
    examples: int
    pairs: int
    judgements: int
    fresh: int
    rehearsed: int
    replay_share: float
    left_out: dict[str, int]
    shares: dict[str, float]
    labels: Tally
    sources: Tally
    origins: Tally
    sessions: Tally
    repos: Tally
    categories: Tally
    languages: Tally
    tags: Tally
    forms: Tally
    licences: Tally
    superseded: int
    forgotten: int
    lengths: Lengths | None = None
    lengths_note: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)


def profile(
    manifest: DatasetManifest, rows: Mapping[str, Sequence[RowSummary]], lineages: Mapping[str, Lineage]
) -> DatasetProfile:
    """Count a dataset's rows and examples; lengths are added by whoever can measure them."""
    known = list(lineages.values())
    return DatasetProfile(
        **manifest.model_dump(include={"hash", "line", "number", "created_at", "parent", "examples", "fresh",
                                       "pairs", "judgements", "left_out", "shares", "settings"}),
        technique=manifest.technique,
        parts={name: _part(manifest, name, held) for name, held in rows.items()},
        rehearsed=manifest.replayed,
        replay_share=round(manifest.replay_share, 4),
        labels=tally(one.label for one in known),
        sources=tally(one.source for one in known),
        origins=tally(one.origin for one in known),
        sessions=tally(one.session or "unknown" for one in known),
        repos=tally(one.group or "unknown" for one in known),
        categories=tally(one.category or "unknown" for one in known),
        languages=tally(_languages(known)),
        tags=tally(tag for one in known for tag in one.tags),
        forms=tally(one.form for one in known),
        licences=tally(one.licence for one in known),
        superseded=sum(one.withdrawn for one in known),
        forgotten=sum(one.forgotten for one in known),
    )  # fmt: skip


def tally(names: Iterable[str]) -> Tally:
    """Count names, the most common first; equally common ones stand in order."""
    counts = sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))
    rest = counts[_NAMED:]
    return Tally(names=dict(counts[:_NAMED]), other_names=len(rest), other=sum(count for _, count in rest))


def _part(manifest: DatasetManifest, name: str, rows: Sequence[RowSummary]) -> PartProfile:
    return PartProfile(
        rows=len(rows),
        examples=len({row.example for row in rows}),
        rehearsed=sum(row.replay for row in rows),
        tool_rows=sum(row.calls_tools for row in rows),
        sha256=manifest.splits[name].sha256,
        good=sum(row.label is True for row in rows) if any(row.label is not None for row in rows) else None,
    )


def _languages(known: Iterable[Lineage]) -> Iterable[str]:
    for one in known:
        found = [tag.removeprefix(_LANGUAGE) for tag in one.tags if tag.startswith(_LANGUAGE)]
        yield from found or ["none"]
