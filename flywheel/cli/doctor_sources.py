"""What the doctor sees of the watched databases and folders: whether each can be read, by whoever looks."""

import sqlite3
from collections.abc import Iterator

from flywheel.cli.doctor_findings import Finding, ill, odd, well
from flywheel.cli.doctor_patients import Patient
from flywheel.core.errors import SettingsError
from flywheel.sources.detections import detect
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.registries import SourceSettings, reader_of
from flywheel.store.counters import counters, cursor


def source(patient: Patient, one: SourceSettings) -> Iterator[Finding]:
    """Look whether a source is what the settings say and can be read; nothing of it is stored."""
    check = f"source {one.name}"
    reader = reader_of(one)
    try:
        reader.check()
        reader.changed()
        found = detect(one.path)
    except SourceProblemError as error:
        yield ill(check, f"{one.path} {error.message}", error.mend)
        return
    except SettingsError as error:
        yield ill(check, error.message, error.mend)
        return
    except sqlite3.Error as error:
        yield ill(check, f"{one.path} cannot be read: {error}", f"flywheel sources probe {one.path}")
        return
    finally:
        reader.close()
    if found.problem:
        yield ill(check, f"{one.path} {found.problem}", found.mend)
        return
    with patient.reading() as session:
        known = str(cursor(session, f"health:{one.name}").get("problem", "")) if session is not None else ""
        counts = counters(session, f"source:{one.name}") if session is not None else {}
    if known:
        mend = "it can be read by you, and not by the daemon: give the daemon's user the same rights"
        yield odd(check, f"the daemon said of it: {known}", mend)
        return
    told = f"{found.kind}, {found.version}" if found.version else found.kind
    outcomes = ", ".join(f"{name} {value}" for name, value in counts.items()) or "nothing read yet"
    yield well(check, f"{one.path} can be read ({told}); {outcomes}")


def sources(patient: Patient) -> Iterator[Finding]:
    """Look whether anything is watched at all."""
    if not patient.settings.sources:
        mend = "add [[sources]]; `flywheel init` finds them, `flywheel sources probe PATH` tries one"
        yield odd("sources", "nothing is watched: there is nothing to learn from but the gateway's calls", mend)
