"""What docs/notifications.md and docs/doctor.md promise is what the code does."""

import json
from datetime import UTC, datetime
from typing import Any

import documents as d

from flywheel.cli.doctor_patients import Patient
from flywheel.cli.doctors import looks_of
from flywheel.daemon.notification_bodies import body_of, headers_of, variables_of
from flywheel.daemon.notification_kinds import KINDS, USUAL, Notice
from flywheel.daemon.settings import Settings

NOTICE = Notice(kind="promoted", event="rollout.adapter_promoted", seq=1, at=datetime.now(UTC), sentence="s")


def test_every_kind_has_its_row_with_its_events() -> None:
    """docs/notifications.md lists exactly the kinds there are, the usual ones first, each with its events."""
    section = d.sections(d.text("docs/notifications.md"))["Kinds"]
    found = {
        cells[0].strip("`"): (tuple(one.strip().strip("`") for one in cells[1].split(",")), cells[2])
        for cells in list(d.rows(section))[1:]
    }
    assert found == dict(KINDS)
    assert tuple(found)[: len(USUAL)] == USUAL


def test_the_body_shown_has_the_keys_that_are_sent() -> None:
    """The example of a body is one: every key that is sent, and no other; so are the variables of a command."""
    text = d.text("docs/notifications.md")
    (shown,) = d.blocks(text, "json")
    assert json.loads(shown).keys() == json.loads(body_of(NOTICE, "team")).keys()
    assert all(name.removeprefix("FLYWHEEL_NOTICE") in text for name in variables_of(NOTICE, "team"))


def test_the_receiver_shown_knows_what_is_ours() -> None:
    """The function that checks a signature takes what is signed with its secret, and nothing else."""
    scope: dict[str, Any] = {}
    (shown,) = d.blocks(d.text("docs/notifications.md"), "python")
    exec(shown, scope)  # noqa: S102 - it is our own document
    body = body_of(NOTICE, "team")
    headers = headers_of(NOTICE, "team", body, "secret", datetime.now(UTC))
    assert scope["is_flywheels"](b"secret", headers, body)
    assert not scope["is_flywheels"](b"other", headers, body)
    assert not scope["is_flywheels"](b"secret", headers, body + b" ")
    old = headers_of(NOTICE, "team", body, "secret", datetime(2026, 1, 1, tzinfo=UTC))
    assert not scope["is_flywheels"](b"secret", old, body)


def test_every_look_of_the_doctor_has_its_row() -> None:
    """docs/doctor.md lists exactly what is looked at, in that order."""
    settings = Settings(sources=[{"name": "a", "path": "/a"}], notify=[{"name": "b", "command": ["c"]}])
    looks = ["settings", *(look.check.partition(" ")[0] for look in looks_of(Patient(settings, None)))]
    listed = [cells[0].strip("`") for cells in d.rows(d.text("docs/doctor.md"))][1:]
    assert listed == looks
