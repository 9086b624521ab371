"""`flywheel service`: what is written, in which order what is asked of systemd, and whose files are left alone."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from flywheel.cli import installs, managers
from flywheel.cli.installations import Wishes, freed, installation, left, marked, named, origin, restarted
from flywheel.cli.main import app
from flywheel.cli.service_states import states_of
from flywheel.cli.unit_files import UnitPlaces
from flywheel.cli.unit_sets import STARTED, users
from flywheel.cli.user_units import for_user
from flywheel.core.errors import FlywheelError, MisuseError, PermanentError
from flywheel.daemon.places import shipped

PLACES = UnitPlaces(program=Path("/opt/flywheel/bin/flywheel"), home=Path("/var/lib/flywheel"),
                    config=Path("/etc/flywheel/flywheel.toml"), envs=Path("/opt/flywheel/envs"))  # fmt: skip
PERSON = PLACES.model_copy(
    update={"user": "me", "group": "mine", "home": Path("/home/me/data"), "credentials": Path("/home/me/c")}
)
RUNNING = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "UnitFileState": "enabled",
           "StatusText": "watching", "NRestarts": "2", "MainPID": "7", "MemoryCurrent": str(3 << 20)}  # fmt: skip


class Double:
    """A systemd that remembers what it was asked, and fails where it is told to."""

    asked: list[tuple[str, ...]]

    def __init__(self, *, user: bool = False) -> None:
        self.user, self.fails = user, ""
        self.asked = []
        self.told: dict[str, dict[str, str]] = {}

    def run(self, *argv: str) -> str:
        """Remember it; a reload brings another process."""
        self.asked.append(argv)
        if self.fails and self.fails in argv:
            raise PermanentError(f"{self.fails} fails")
        if "reload" in argv:
            self.told["flywheel-gateway.service"]["MainPID"] = "8"
        return ""

    def states(self, units: Iterable[str]) -> dict[str, dict[str, str]]:
        """What a test told it."""
        return {unit: dict(self.told.get(unit, {"LoadState": "not-found"})) for unit in units}


class House:
    """A machine's files below a folder, its settings, and a double of its systemd."""

    def __init__(self, folder: Path, systemd: Double) -> None:
        self.folder, self.systemd, self.config = folder, systemd, folder / "flywheel.toml"
        self.units = folder / "root/etc/systemd/system"
        self.config.write_text("lines = []\n")

    def said(self, *words: str, live: bool = False) -> Any:
        """What a command answers, as JSON."""
        at = [] if live else ["--root", str(self.folder / "root")]
        told = CliRunner().invoke(app, ["service", *words, *at, "--json"])
        if told.exception and not isinstance(told.exception, SystemExit):
            raise told.exception
        return json.loads(told.stdout)

    def install(self, *words: str) -> Any:
        """Install into the files."""
        return self.said("install", *words, "--program", "/opt/flywheel/bin/flywheel", "--config", str(self.config))


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Double:
    """The double in systemd's place."""
    double = Double()
    monkeypatch.setattr(installs, "Systemd", lambda **_: double)
    monkeypatch.setattr(installs, "require", lambda **_: None)
    return double


@pytest.fixture
def house(tmp_path: Path, systemd: Double) -> House:
    """A machine on which nothing is installed."""
    return House(tmp_path, systemd)


def test_an_installation_is_written_and_enabled(house: House) -> None:
    """Units, users and folders are files; systemd is asked to make them and to start what serves, the socket first."""
    told = house.install()
    there = {path.name for path in house.units.iterdir()}
    assert {*STARTED, "flywheel.slice", "flywheel-backup.service", "flywheel-verify.service"} == there
    assert {path.parent.name for path in house.folder.rglob("flywheel.conf")} == {"sysusers.d", "tmpfiles.d"}
    assert [argv[0] for argv in house.systemd.asked] == ["systemd-sysusers", "systemd-tmpfiles", "systemctl"]
    assert house.systemd.asked[-1][2:4] == ("enable", "flywheel-gateway.socket")
    assert "flywheel-backup.timer" not in told["enabled"]
    daemon = (house.units / "flywheel.service").read_text()
    assert named(daemon, "FLYWHEEL_HOME") == "/var/lib/flywheel"
    assert named(daemon, "FLYWHEEL_EXECUTOR__SOCKET") == "/run/flywheel-executor/executor.sock"
    assert house.install()["changed"] == []


def test_a_dry_run_writes_nothing(house: House) -> None:
    """Everything that would be written and run is told, and nothing is."""
    told = house.install("--dry-run")
    assert len(told["files"]) == 12
    assert told["commands"][-1][:2] == ["systemctl", "start"]
    assert not house.units.exists()
    assert house.systemd.asked == []


def test_what_others_wrote_is_left_alone(house: House) -> None:
    """A unit that is not ours, or was changed by hand, is written over with --force alone."""
    house.units.mkdir(parents=True)
    unit = house.units / "flywheel.service"
    unit.write_text("[Unit]\n")
    with pytest.raises(MisuseError, match="not from here"):
        house.install()
    assert list(house.units.iterdir()) == [unit]
    house.install("--force")
    unit.write_text(unit.read_text() + "Nice=1\n")
    with pytest.raises(MisuseError, match="changed by hand"):
        house.install()
    with pytest.raises(MisuseError, match="changed by hand"):
        house.said("uninstall")
    assert unit.exists()


def test_uninstalling_says_what_stays(house: House) -> None:
    """Files of ours go, somebody else's and drop-ins stay, and it is said where the data lies."""
    house.install()
    (house.units / "flywheel-mine.service").write_text("[Unit]\n")
    dry = house.said("uninstall", "--dry-run")
    told = house.said("uninstall")
    assert dry["removed"] == told["removed"]
    assert [path.name for path in house.units.iterdir()] == ["flywheel-mine.service"]
    assert not list(house.folder.rglob("flywheel.conf"))
    assert any("/var/lib/flywheel" in place for place in told["left"])
    assert any("userdel" in place for place in told["left"])
    assert house.said("uninstall")["removed"] == []


def test_settings_come_first(house: House, tmp_path: Path) -> None:
    """Without settings, or with settings and a program that the service's user cannot read, nothing is written."""
    house.config.unlink()
    with pytest.raises(FlywheelError, match="flywheel init"):
        house.install()
    house.config.write_text("lines = []\n")
    with pytest.raises(FlywheelError, match="where backups go"):
        house.install("--backups")
    house.config.write_text(f'lines = []\n[keep]\nbackups = "{tmp_path}/b"\n')
    assert "flywheel-backup.timer" in house.install("--backups")["enabled"]
    assert f"ReadWritePaths=-{tmp_path}/b" in (house.units / "flywheel-backup.service").read_text()


@pytest.mark.parametrize("key", ["config", "program"])
def test_what_lies_in_a_home_is_refused_for_another_user(key: str) -> None:
    """A service that could not read its settings or its program is not installed; the mend is said."""
    at_home = PLACES.model_copy(update={key: Path("/home/me/x")})
    with pytest.raises(MisuseError, match="the user flywheel cannot"):
        installs.refuse_unreadable(at_home)
    installs.refuse_unreadable(at_home.model_copy(update={"user": "me"}))


def test_services_do_not_run_as_root_by_accident() -> None:
    """A home below root's does not make root's services of them; who names root gets them."""
    roots = PLACES.model_copy(update={"user": "root", "home": Path("/var/lib/data")})
    with pytest.raises(MisuseError, match="do not run as root"):
        installs.refuse_root(roots, None)
    installs.refuse_root(roots, "root")
    installs.refuse_root(PLACES, None)


def test_an_upgrade_hands_the_gateway_over_and_restarts_the_rest(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The gateway is reloaded, never restarted; what did not run is not started."""
    monkeypatch.setattr(installs, "place", lambda **_: house.units)
    monkeypatch.setattr(installs, "_SYSTEM", tmp_path / "root")
    house.install()
    house.systemd.told = {
        unit: dict(RUNNING) for unit in ("flywheel.service", "flywheel-gateway.service", "flywheel-gateway.socket")
    }
    house.systemd.asked.clear()
    words = ["upgrade", "--program", "/opt/flywheel/bin/flywheel", "--config", str(house.config)]
    told = house.said(*words, live=True)
    assert told["changed"] == []
    assert house.systemd.asked[-2:] == [
        ("systemctl", "reload", "flywheel-gateway.service"),
        ("systemctl", "restart", "flywheel.service"),
    ]


def test_a_handover_that_fails_is_said(monkeypatch: pytest.MonkeyPatch, systemd: Double) -> None:
    """When the new gateway does not come the old one serves on, and the command says so."""
    monkeypatch.setattr(installs, "_HANDOVER_SECONDS", 0.3)
    systemd.told = {"flywheel-gateway.service": {**RUNNING, "StatusText": "answering; a handover failed: x"}}
    with pytest.raises(PermanentError, match="serves on as it was"):
        installs._wait_for_handover(systemd, "7")
    systemd.told["flywheel-gateway.service"]["StatusText"] = "answering"
    with pytest.raises(PermanentError, match="no new gateway"):
        installs._wait_for_handover(systemd, "7")


def test_restarts_and_starts_in_order() -> None:
    """A handover comes before restarts; a gateway that opened its door itself ends before systemd opens it."""
    assert restarted(["flywheel.service"]) == (("systemctl", "restart", "flywheel.service"),)
    assert restarted([]) == ()
    assert freed({"flywheel-gateway.service": RUNNING}) == (("systemctl", "stop", "flywheel-gateway.service"),)
    assert freed({"flywheel-gateway.service": RUNNING, "flywheel-gateway.socket": RUNNING}) == ()


@given(st.text())
@settings(deadline=None)
def test_a_file_of_ours_is_known_and_a_change_is_seen(text: str) -> None:
    """Whatever is written is ours as long as nobody changes a character."""
    text = text.replace("\r", "")
    assert origin(marked(text)) == "ours"
    assert origin(marked(text) + " ") == "changed"
    assert origin(text) == "foreign"
    assert origin(None) == "absent"


def test_a_persons_units_ask_for_nothing_that_is_roots() -> None:
    """No user, no capability, no mount and no firewall: what a person's manager may not do is not asked for."""
    plan = installation(PERSON, Wishes(user=True), Path("/home/me/.config/systemd/user"), Path("/"))
    forbidden = (
        "User=", "Group=", "CapabilityBoundingSet", "ProtectSystem", "PrivateTmp", "IPAddress", "BindPaths",
        "BindReadOnlyPaths", "StateDirectory", "ReadWritePaths", "AppArmor", "multi-user", "network.target",
    )  # fmt: skip
    for path, text in plan.files.items():
        assert not [word for word in forbidden if word in text.partition("\n")[2]], path
    assert all(path.parent == plan.folder for path in plan.files)
    assert plan.prepared == ()
    executor = plan.files[plan.folder / "flywheel-executor.service"]
    assert named(executor, "FLYWHEEL_HOME") == "/home/me/data"
    gateway = for_user((shipped("systemd") / "flywheel-gateway.service").read_text())
    assert "After=flywheel-gateway.socket\n" in gateway
    assert "NoNewPrivileges=yes" in gateway
    assert "SystemCallFilter=~@privileged @resources" in gateway


def test_a_gpus_driver_is_loaded_at_boot() -> None:
    """Where there are GPUs their driver is loaded before the daemon starts."""
    plan = installation(PLACES, Wishes(gpus=True), Path("/etc/systemd/system"), Path("/"))
    assert "nvidia-uvm" in plan.files[Path("/etc/modules-load.d/flywheel.conf")]


def test_only_users_that_are_missing_are_made() -> None:
    """A person that flywheel runs as is there already; the executor is always somebody of its own."""
    assert "u flywheel -:flywheel" in users(PLACES)
    assert "u flywheel -:" not in users(PERSON)
    assert "u flywheel-executor -:mine" in users(PERSON)


def test_states_are_told_in_words() -> None:
    """What runs, what failed and what is not there are told apart, and only what should run and does not is ill."""
    told = {
        "a": RUNNING,
        "b": {**RUNNING, "ActiveState": "failed", "Result": "exit-code", "MainPID": "0"},
        "c": {"LoadState": "not-found"},
        "d": {**RUNNING, "ActiveState": "inactive", "UnitFileState": "disabled", "MemoryCurrent": "[not set]"},
        "e": {**RUNNING, "ActiveState": "activating", "SubState": "auto-restart"},
        "f": {**RUNNING, "StatusText": "", "NextElapseUSecRealtime": "Sun 2026-01-04", "ActiveState": "active"},
    }
    states = {state.unit: state for state in states_of(told)}
    assert (states["a"].state, states["a"].word, states["a"].memory_mib, states["a"].process) == (
        "active", "watching", 3.0, 7)  # fmt: skip
    assert (states["b"].word, states["b"].is_well) == ("ended by exit-code", False)
    assert (states["c"].state, states["c"].is_well) == ("not installed", True)
    assert (states["d"].is_well, states["d"].memory_mib) == (True, None)
    assert (states["e"].state, states["e"].is_well) == ("auto-restart", False)
    assert states["f"].word == "next: Sun 2026-01-04"


def test_status_fails_when_something_should_run(house: House) -> None:
    """The exit status says it, too; what is not installed is no failure."""
    assert {state["state"] for state in house.said("status", live=True)} == {"not installed"}
    house.systemd.told["flywheel.service"] = {**RUNNING, "ActiveState": "failed"}
    with pytest.raises(PermanentError, match="journalctl"):
        house.said("status", live=True)


def test_where_there_is_no_systemd_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without systemd, and a person without root, hear one sentence and its mend."""
    script = tmp_path / "systemctl"
    script.write_text("#!/bin/sh\necho ${STATE:-offline}; test -z $FAILS || { echo it fails >&2; exit 1; }\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "root" in managers.why_not(user=False)
    assert "no systemd of yours" in managers.why_not(user=True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(MisuseError, match="does not run this machine"):
        managers.require(user=False)
    monkeypatch.setenv("STATE", "running")
    managers.require(user=False)
    monkeypatch.setenv("FAILS", "1")
    with pytest.raises(PermanentError, match="it fails"):
        managers.Systemd(user=True).run("systemctl", "start", "x")
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert "there is no systemctl" in managers.why_not(user=False)


def test_systemctl_is_read_by_units() -> None:
    """Blocks come in the order in which they were asked for, whatever they call themselves."""
    told = "Id=b.service\nActiveState=active\n\nId=c\nActiveState=inactive\nStatusText=a=b\n"
    found = managers.parsed(["a", "c"], told)
    assert found["a"]["ActiveState"] == "active"
    assert found["c"]["StatusText"] == "a=b"


def test_what_stays_is_named() -> None:
    """Only what there is, is named."""
    assert left({"settings": "/x", "secrets": ""}, user=True) == ["settings: /x"]


def test_units_of_an_operator_have_their_place() -> None:
    """The system's, an image's, and a person's."""
    assert managers.place(user=False, root=Path("/"), environ={}) == Path("/etc/systemd/system")
    assert managers.place(user=False, root=Path("/img"), environ={}) == Path("/img/etc/systemd/system")
    assert managers.place(user=True, root=Path("/"), environ={"XDG_CONFIG_HOME": "/c"}) == Path("/c/systemd/user")
