"""`flywheel doctor`: whether everything that flywheel stands on is well, and how to mend what is not."""

import time
from functools import partial
from pathlib import Path

import typer

from flywheel.cli import doctor_machines as machines
from flywheel.cli import doctor_places as places
from flywheel.cli import doctor_servers as servers
from flywheel.cli.contexts import AsJson, Config, out, show_json
from flywheel.cli.doctor_findings import Finding, as_document, ill, odd, summary, well
from flywheel.cli.doctor_patients import Patient
from flywheel.cli.doctor_rounds import Look, examine
from flywheel.cli.doctor_sources import source, sources
from flywheel.cli.doctor_units import units
from flywheel.core.errors import FlywheelError
from flywheel.core.serving import ModelServer
from flywheel.daemon.settings import Settings, find_settings, load_settings

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_SANDBOX_SECONDS = 30.0


def doctor(as_json: AsJson = False, config: Config = None) -> None:
    """Look whether everything is well: databases, policies, servers, disk, GPU, sandbox, clocks, rights.

    Each thing is ok, or to look at (warn), or failing; what is not ok comes with its mend. Nothing is changed. The exit
    code is 1 when something fails.
    """
    began = time.monotonic()
    found, path = diagnose(find_settings(config))
    if as_json:
        show_json(as_document(found, str(path or ""), time.monotonic() - began))
    else:
        _tell(found, time.monotonic() - began)
    if any(one.state == "fail" for one in found):
        raise typer.Exit(1)


def diagnose(path: Path | None) -> tuple[list[Finding], Path | None]:
    """Return everything that was found, worst settings first: without them only the machine is looked at."""
    settings, first = _settings(path)
    if settings is None:
        return [first, *examine([Look("versions", machines.versions), Look("services", units)])], path
    patient = Patient(settings, path)
    try:
        return [first, *examine(looks_of(patient))], path
    finally:
        patient.close()


def looks_of(patient: Patient) -> list[Look]:
    """Return every look, in the order in which they are told."""
    settings = patient.settings
    return [
        Look("policies", partial(places.policies, patient)),
        Look("versions", machines.versions),
        Look("environments", partial(machines.environments, patient), 15.0),
        Look("bases", partial(machines.bases, patient)),
        Look("sources", partial(sources, patient)),
        *(Look(f"source {one.name}", partial(source, patient, one)) for one in settings.sources),
        Look("store", partial(places.store, patient)),
        Look("rights", partial(places.rights, patient)),
        Look("daemon", partial(places.daemon, patient)),
        Look("jobs", partial(places.jobs, patient)),
        *(_of_server(patient, ModelServer(**one.model_dump())) for one in settings.servers),
        Look("gateway", partial(servers.gateway, patient)),
        Look("dashboard", partial(servers.dashboard, patient)),
        Look("sandbox", partial(servers.sandbox, patient), _SANDBOX_SECONDS),
        *(Look(f"notify {one.name}", partial(servers.notification, patient, one)) for one in settings.notify),
        Look("services", units),
        Look("disk", partial(machines.disk, patient)),
        Look("GPU", partial(machines.gpu, patient), 30.0),
        Look("clock", partial(machines.clocks, patient)),
    ]


def _of_server(patient: Patient, server: ModelServer) -> Look:
    return Look(f"server {server.url}", partial(servers.server, patient, server), 15.0)


def _settings(path: Path | None) -> tuple[Settings | None, Finding]:
    try:
        settings = load_settings(path)
    except FlywheelError as error:
        return None, ill("settings", error.message, error.mend or "see docs/settings.md")
    if path is None:
        return settings, odd("settings", "there is no settings file", "flywheel init writes one")
    return settings, well("settings", f"{path} is sound; the home is {settings.home}")


def _tell(found: list[Finding], seconds: float) -> None:
    for one in found:
        out.print(f"{one.state:<4}", style=_STYLES[one.state], end="  ")
        out.print(f"{one.check}: {one.sentence}", markup=False)
        if one.mend and one.state != "ok":
            out.print(f"      mend: {one.mend}", markup=False)
    out.print(f"{summary(found)} (in {seconds:.1f} s)", markup=False)
