"""What lies beside exported rows for people to read: the licence page, and the card of a dataset folder. Pure."""

import json
from collections.abc import Mapping

from flywheel.core.examples import DatasetManifest
from flywheel.core.ids import short

_FEATURES = """\
dataset_info:
  features:
  - name: messages
    list:
    - name: role
      dtype: string
    - name: content
      dtype: string
  - name: tools
    dtype: string
"""


def licence_page(manifest: DatasetManifest, shares: Mapping[str, Mapping[str, int]]) -> str:
    """Return what is known of the rights in the rows: which licences were recorded, and for the rest, that none was."""
    licences = [f"| {_cell(name)} | {rows} |" for name, rows in sorted(shares["licence"].items())]
    groups = [f"- {_cell(name)}: {rows}" for name, rows in sorted(shares["group"].items())]
    return "\n".join([
        f"# Licences of the rows of {manifest.line}, dataset {manifest.number}",
        "",
        "These rows were made from records of an agent's work and hold text of the repositories it worked on.",
        "Exporting them grants no rights in that text. `unknown` means that no licence was recorded: ask whoever holds",
        "the rights before you pass such rows on.",
        "",
        "| licence | rows |",
        "|---|---|",
        *licences,
        "",
        "Rows by the repository they come from:",
        "",
        *groups,
        "",
        "Each row's origin stands in `provenance.jsonl`.",
        "",
    ])  # fmt: skip


def dataset_card(manifest: DatasetManifest, rows: Mapping[str, int]) -> str:
    """Return the README that tells `datasets.load_dataset` which file is which split, and of what its columns are."""
    held = {file: count for file, count in rows.items() if count}
    splits = [f"  - split: {file.split('/')[-1].removesuffix('.jsonl')}\n    path: {file}" for file in held]
    files = [f"- `{file}`: {count} rows" for file, count in held.items()]
    return "\n".join([
        "---",
        "configs:",
        "- config_name: default",
        "  data_files:",
        *splits,
        f"{_FEATURES}---",
        "",
        f"# {manifest.line}, dataset {manifest.number}",
        "",
        f"Frozen by flywheel as `{short(manifest.hash)}`. `load_dataset` on this folder gives the splits below;",
        "`tools` holds the offered schemas as JSON text, or null.",
        "",
        *files,
        "",
        "Licences: `LICENCE.md`. Where each row comes from: `provenance.jsonl`.",
        "",
    ])  # fmt: skip


def _cell(text: str) -> str:
    """Return a name that cannot break a table."""
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("|", "\\|")
