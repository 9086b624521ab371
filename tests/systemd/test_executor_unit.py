"""The executor's unit in real systemd: it boots, proves its boxes, and runs programs for the daemon's user."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from nspawn_house import ROOT, Machine, python_version, root, why_no_machine

WHY_NOT = why_no_machine()
_RUN = (
    "/bin/sh -c 'systemctl start flywheel-executor; "
    "systemctl show flywheel-executor --property=ActiveState,NRestarts,StatusText,User,MemoryMax,TasksMax"
    " > /results/unit; "
    "journalctl --unit=flywheel-executor --output=cat --no-pager > /results/log; "
    "exec runuser --user flywheel -- /usr/bin/python3 /opt/flywheel/src/tests/systemd/executor_check.py'"
)

#: The attacks, by the same tests as elsewhere, but brought by a user without privileges: then a box stands on a user
#: namespace. A choice of them, or all in the soak.
_CHOICE = "fork_bomb or reads_ or connects or kills_ or writes_by or makes_namespaces or daemon or steals or forges"
_ATTACK = (
    '/usr/bin/python3 -m pytest /opt/flywheel/src/tests/attacks/test_attacks.py -q -p no:cacheprovider -k "{choice}" '
    "--junit-xml=/results/attacks.xml"
)
#: A /proc of its own, as the executor's unit has one: in nspawn's, bubblewrap cannot close user namespaces.
_AS_NOBODY = """User=flywheel
ProtectProc=invisible
Environment=HOME=/tmp PYTHONPATH=/opt/flywheel/src:/opt/flywheel/site PYTHONDONTWRITEBYTECODE=1 {soak}
"""
SOAK = bool(os.environ.get("FLYWHEEL_SOAK"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200), pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Machine, dict[str, Any]]:
    """A machine that was booted with the shipped unit, and what the daemon's user found there."""
    _same_python()
    machine = Machine(tmp_path_factory.mktemp("machine"))
    machine.install(ROOT / "systemd" / "flywheel-executor.service")
    machine.boot(_RUN, seconds=180)
    return machine, machine.result()


def _same_python() -> None:
    ours, theirs = sys.version_info[:2], python_version(root())
    if ours != theirs:
        pytest.skip(f"the container's Python is {theirs}, the packages of this environment are for {ours}")


def test_the_unit_starts_and_its_boxes_hold(booted: tuple[Machine, dict[str, Any]]) -> None:
    """Under every hardening of the unit the self-test passes; the unit is up, once, as its own user."""
    machine, found = booted
    assert found["check"] == "", machine.words()
    unit = dict(line.partition("=")[::2] for line in (machine.results / "unit").read_text().splitlines())
    assert unit["ActiveState"] == "active"
    assert unit["NRestarts"] == "0"
    assert unit["User"] == "flywheel-executor"
    assert unit["StatusText"] == "answering"
    assert unit["MemoryMax"] == str(3 << 30)
    assert unit["TasksMax"] == "512"


def test_programs_run_through_its_socket(booted: tuple[Machine, dict[str, Any]]) -> None:
    """The daemon's user has calls, scripts and commands run, and reads what came of them."""
    _, found = booted
    assert found["call"] == ["finished", "42"]
    assert found["script"] == ["finished", "cba\n"]
    assert found["command"] == ["finished", "42\n"]


def test_attacks_end_there_too(booted: tuple[Machine, dict[str, Any]]) -> None:
    """As a service, without root: a fork bomb and a loop run out of time, the host is not there, all goes on."""
    _, found = booted
    assert found["fork bomb"][0] in {"timed_out", "died"}
    assert found["loop"][0] == "timed_out"
    assert found["secret"][0] == "raised"
    assert "FileNotFoundError" in found["secret"][1]
    assert found["call after"] == ["finished", "42"]


def test_attacks_are_contained_without_root(tmp_path: Path) -> None:
    """A user without privileges contains what root contains: the same attacks before the same judges."""
    _same_python()
    machine = Machine(tmp_path)
    choice = "contained" if SOAK else f"contained and ({_CHOICE})"
    more = _AS_NOBODY.format(soak="FLYWHEEL_SOAK=1" if SOAK else "")
    machine.boot(_ATTACK.format(choice=choice), seconds=7000 if SOAK else 400, more=more)
    found = re.search(r'errors="(\d+)" failures="(\d+)" skipped="(\d+)" tests="(\d+)"', machine.read("attacks.xml"))
    assert found, machine.words()
    errors, failures, _, tests = map(int, found.groups())
    assert (errors, failures) == (0, 0), machine.words()
    assert tests >= 20
