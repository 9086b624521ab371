"""`flywheel reports compare ADAPTER ADAPTER…`: what differs between runs, and what the gate measured of each."""

from typing import Annotated, Any

import typer
from sqlmodel import Session

from flywheel.cli.contexts import AsJson, Config, reading, show_json, show_table
from flywheel.core.errors import MisuseError
from flywheel.core.training import TrainSpec
from flywheel.store.reports import reports
from flywheel.store.runs import adapter_by_name, run_by_id

_MEASURED = ("verdict", "problems", "base", "candidate", "gain", "from", "to", "in format", "suite")
_NUMBERS = {
    "problems": "problems", "base": "base.score", "candidate": "candidate.score", "gain": "gain", "from": "gain.low",
    "to": "gain.high", "in format": "candidate.in_format",
}  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Add the command to the `reports` noun."""
    app.command("compare", epilog="Example: flywheel reports compare plan@3 plan@4")(compare)


def compare(
    names: Annotated[list[str], typer.Argument(help="Adapters, as in plan@3 plan@4.")],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Set adapters beside each other: the numbers in which their runs differ, and what the gate measured."""
    with reading(config) as (_, store), store.read() as session:
        specs = {name: _spec(session, name) for name in dict.fromkeys(names)}
        measured = {name: _measured(session, name) for name in specs}
    differing = _differing(specs)
    rows = [
        {"adapter": name, **{key: _plain(specs[name])[key] for key in differing}, **measured[name]} for name in specs
    ]
    if as_json:
        show_json(rows)
    else:
        show_table(f"{len(rows)} adapters", ("adapter", *differing, *_MEASURED), rows)


def _spec(session: Session, name: str) -> TrainSpec:
    adapter = adapter_by_name(session, name)
    run = run_by_id(session, adapter.run) if adapter else None
    if run is None:
        raise MisuseError(f"there is no adapter {name!r} that was trained here", "see `flywheel adapters list`")
    return TrainSpec.model_validate(run.spec)


def _measured(session: Session, name: str) -> dict[str, Any]:
    found = reports(session, adapter=adapter.hash) if (adapter := adapter_by_name(session, name)) else []
    if not found:
        return {"verdict": "not measured"}
    report = found[-1].report
    numbers = {told: _rounded(report.numbers.get(key)) for told, key in _NUMBERS.items()}
    return {"verdict": report.verdict.value, **numbers, "suite": report.suite[:8]}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _plain(spec: TrainSpec) -> dict[str, Any]:
    whole = spec.model_dump(mode="json")
    return {**{key: value for key, value in whole.items() if key != "hyperparameters"}, **whole["hyperparameters"]}


def _differing(specs: dict[str, TrainSpec]) -> list[str]:
    """Return the keys in which the runs differ."""
    plain = [_plain(spec) for spec in specs.values()]
    return [key for key in plain[0] if any(one[key] != plain[0][key] for one in plain)]
