"""`flywheel verify`: hashes everything again, and names what is damaged and how it is mended."""

from pathlib import Path
from typing import Annotated, Any

import typer

from flywheel.cli.contexts import AsJson, Config, err, out, reading, show_json
from flywheel.core.errors import FlywheelError
from flywheel.daemon.settings import Settings
from flywheel.keep.shelves import shelf_at
from flywheel.keep.verifications import Finding, Verified, verify, verify_backup
from flywheel.store.runs import pinned_base
from flywheel.store.stores import Store
from flywheel.train.fingerprints import fingerprint

_PLURALS = {"dataset": "datasets", "suite": "suites", "adapter": "adapters", "report": "reports", "base": "bases",
            "database": "databases", "backup": "backups"}  # fmt: skip


def verify_(
    backups: Annotated[
        Path | None, typer.Option("--backup", help="Read the backups at this place through, instead of the home.")
    ] = None,
    bases: Annotated[bool, typer.Option("--bases", help="Hash the base models, too: every byte of them.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Hash everything again: store, ledger, datasets, suites, adapters, reports.

    Exit code 1 when anything is damaged.
    """
    if backups is not None:
        with shelf_at(backups.expanduser()) as shelf:
            found = verify_backup(shelf, _progress(as_json))
    else:
        with reading(config) as (settings, store):
            found = verify(settings.home.absolute(), store, _progress(as_json))
            if bases:
                found = _with_bases(found, settings, store)
    _tell(found, as_json)
    raise typer.Exit(0 if found.whole else 1)


def _with_bases(found: Verified, settings: Settings, store: Store) -> Verified:
    with store.read() as session:
        pins = {name: pinned_base(session, name) for name in settings.bases}
    findings = [fault for name, pin in pins.items() if pin is not None for fault in _of_base(name, settings, pin)]
    looked = {**found.looked_at, "base": sum(pin is not None for pin in pins.values())}
    return Verified(looked_at=looked, findings=(*found.findings, *findings))


def _of_base(name: str, settings: Settings, pin: str) -> list[Finding]:
    path = settings.bases[name].path.expanduser()
    try:
        fault = "" if fingerprint(path) == pin else "its bytes are not the ones that were pinned"
    except FlywheelError as error:
        fault = error.message
    mend = "put the very files back: nothing is trained or served on other ones"
    return [Finding(what=f"base {name}", place=str(path), fault=fault, mend=mend)] if fault else []


def _progress(as_json: bool) -> Any:
    if as_json or not err.is_terminal:
        return lambda _: None
    return lambda what: err.print(f"\r{what:<40}", end="", markup=False)


def _tell(found: Verified, as_json: bool) -> None:
    if as_json:
        show_json({"whole": found.whole, **found.model_dump(mode="json")})
        return
    counted = ", ".join(f"{count} {_PLURALS[kind] if count != 1 else kind}" for kind, count in found.looked_at.items())
    if err.is_terminal:
        err.print()
    for one in found.findings:
        out.print(f"{one.what}: {one.place}: {one.fault} — {one.mend}", markup=False)
    out.print(f"{counted}: " + ("whole" if found.whole else f"{len(found.findings)} damaged"), markup=False)
