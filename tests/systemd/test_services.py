"""flywheel as services in real systemd, in one machine that is booted, ill-treated and rebooted."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from nspawn_house import Machine, python_version, root, why_no_machine

WHY_NOT = why_no_machine()
_SECONDS = 600  # a machine that starves; it takes about a minute

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was found in the machine: see service_check.py."""
    ours, theirs = sys.version_info[:2], python_version(root())
    if ours != theirs:
        pytest.skip(f"the container's Python is {theirs}, the packages of this environment are for {ours}")
    machine = Machine(tmp_path_factory.mktemp("machine"), bare=True)
    machine.live("/usr/bin/python3 /opt/flywheel/src/tests/systemd/service_check.py", seconds=_SECONDS)
    told = machine.read("found")
    assert told, machine.words()
    result: dict[str, Any] = json.loads(told)
    assert "error" not in result, f"{result['error']}\n{machine.words()}"
    assert "uninstalled" in result, machine.words()
    print(f"\n  seconds: {result['seconds']}")
    return result


def _by_unit(states: list[dict[str, Any]]) -> dict[str, str]:
    return {state["unit"]: state["state"] for state in states}


def test_one_command_installs_and_starts_all(found: dict[str, Any]) -> None:
    """`service install` ends when everything runs and starts with the machine."""
    states = _by_unit(found["states"])
    assert {name for name, state in states.items() if state != "active"} == {"flywheel-backup.timer"}
    assert all(state["enabled"] == "enabled" for state in found["states"] if state["state"] == "active")
    assert found["web"].lower() == "<!doctype"


def test_secrets_come_as_credentials(found: dict[str, Any]) -> None:
    """A secret is a file that the service alone can read, and stands in no environment."""
    mode, text = found["credentials"]["flywheel_hook"]
    assert (mode, text) == ("0o400", "it is a secret")
    assert found["secret in environment"] is False


def test_a_kill_and_a_hang_are_repaired(found: dict[str, Any]) -> None:
    """Kill -9 and SIGSTOP: daemon and gateway are back by themselves, each time."""
    assert min(found["restarts"]) >= 2


def test_a_reload_keeps_the_process(found: dict[str, Any]) -> None:
    """New settings need no restart, and wrong ones are refused."""
    assert found["reload kept the process"] is True


def test_an_upgrade_loses_no_request(found: dict[str, Any]) -> None:
    """Everything is of the new version, long answers ended whole, and no request failed meanwhile."""
    assert found["wrong"] == []
    assert found["long answers"] == [True, True]
    assert found["asked"] > 3
    assert found["renewed"] == dict.fromkeys(("flywheel", "flywheel-gateway", "flywheel-web"), True)
    assert found["upgraded"]["changed"] == []


def test_a_person_needs_no_root(found: dict[str, Any]) -> None:
    """In a person's own manager it runs as that person, comes back after a kill, and leaves the data when it goes."""
    states = _by_unit(found["their states"])
    assert states["flywheel.service"] == states["flywheel-gateway.service"] == "active"
    assert states["flywheel-gateway.socket"] == "active"
    assert found["their user"] == 1000
    assert found["their data"] is True
    assert found["their units"] == []
    assert any(str(Path("/home/person/.local/share/flywheel")) in told for told in found["their end"]["left"])


def test_a_reboot_brings_everything_back(found: dict[str, Any]) -> None:
    """All that was enabled runs after a reboot, and the gateway answers."""
    assert set(map(tuple, found["after reboot"].values())) == {("active", "enabled")}
    assert json.loads(found["gateway after reboot"])["status"] == "ok"


def test_uninstalling_leaves_what_was_learned(found: dict[str, Any]) -> None:
    """Services and files are gone, the door is closed; the home and the settings are there, and it says where."""
    assert found["units"] == []
    assert found["closed"] is True
    assert found["data"] is True
    assert found["settings"] is True
    assert any("/var/lib/flywheel" in told for told in found["uninstalled"]["left"])
