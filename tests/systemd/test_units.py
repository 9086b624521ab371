"""The unit files: systemd finds nothing to complain about, and what their comments promise is what they say."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
OTHERS = sorted(path for path in FOLDER.iterdir() if path.suffix in {".socket", ".timer", ".slice"})
OURS = ("flywheel.service", "flywheel-gateway.service", "flywheel-web.service")
NOTIFYING = (*OURS, "flywheel-executor.service")
ONCE = ("flywheel-backup.service", "flywheel-verify.service")
#: The most each unit may be exposed, as systemd-analyze counts (0 is closed, 10 is open). Lower is welcome.
MOST_EXPOSED = {
    "flywheel.service": 1.2, "flywheel-gateway.service": 1.0, "flywheel-web.service": 1.0,
    "flywheel-backup.service": 1.0, "flywheel-verify.service": 1.0, "flywheel-executor.service": 1.5,
    "vllm.service": 4.0,
}  # fmt: skip

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine (package systemd)"
)
needs_parser = pytest.mark.skipif(
    shutil.which("apparmor_parser") is None or not Path("/etc/apparmor.d/abi/4.0").exists(),
    reason="no AppArmor 4 on this machine (package apparmor, from Debian 13 or Ubuntu 24.04 on)",
)


def _read(unit: Path) -> configparser.ConfigParser:
    # Later keys win, which suits every question asked here but those about keys that may repeat.
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(re.sub(r"\\\n\s*", " ", unit.read_text()))
    return parser


def _service(name: str) -> configparser.SectionProxy:
    return _read(next(unit for unit in UNITS if unit.name == name))["Service"]


@pytest.fixture
def runnable(tmp_path):
    """Return copies of the units whose program is there: verify complains about a missing one, and rightly."""
    for unit in (*UNITS, *OTHERS):
        text = re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", unit.read_text(), flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(text)
    return [tmp_path / unit.name for unit in (*UNITS, *OTHERS)]


@needs_systemd
def test_systemd_finds_nothing_to_complain_about(runnable):
    """`systemd-analyze verify` says not one word about any unit: a key it does not know would be ignored in service."""
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, runnable)], capture_output=True, text=True, check=False
    )
    assert (found.stdout + found.stderr).strip() == ""
    assert found.returncode == 0


@needs_systemd
def test_the_units_stay_closed(runnable, capsys):
    """No unit becomes more exposed than it is allowed to be; how exposed each is, is printed."""
    exposures = {unit.name: _exposure(unit) for unit in runnable if unit.suffix == ".service"}
    with capsys.disabled():
        for name, exposure in exposures.items():
            print(f"\n  {name}: exposure {exposure} of 10", end="")
    assert exposures.keys() == MOST_EXPOSED.keys()
    assert all(exposures[name] <= most for name, most in MOST_EXPOSED.items()), exposures


def _exposure(unit: Path) -> float:
    argv = ["systemd-analyze", "security", "--no-pager", "--offline=true", str(unit)]
    found = subprocess.run(argv, capture_output=True, text=True, check=False)
    if "--offline" in found.stderr:
        pytest.skip("this systemd-analyze is too old to judge a unit that is not loaded")
    match = re.search(r"exposure level for .*: ([\d.]+)", found.stdout)
    assert match, found.stdout + found.stderr
    return float(match.group(1))


@pytest.mark.parametrize("name", NOTIFYING)
def test_our_services_say_when_they_are_ready_and_come_back(name):
    """Each is ready when it says so and comes back however it ended, unless the settings are wrong."""
    service = _service(name)
    assert service["Type"] == "notify"
    assert service["NotifyAccess"] == "main"
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"] == "2"


@pytest.mark.parametrize("name", ["flywheel.service", "flywheel-gateway.service"])
def test_who_is_stuck_is_noticed_and_a_reload_is_a_signal(name):
    """Daemon and gateway owe systemd a sign of life, and `systemctl reload` is the signal they listen to."""
    service = _service(name)
    assert int(service["WatchdogSec"]) > 0
    assert service["ExecReload"] == '/bin/sh -c "kill -HUP ${MAINPID}"'


def test_connections_wait_at_the_gateways_socket():
    """Systemd opens the door where the settings have it by default, for this machine alone, and starts it first."""
    socket = _read(FOLDER / "flywheel-gateway.socket")
    assert socket["Socket"]["ListenStream"] == "127.0.0.1:8711"
    assert (socket["Socket"]["IPAddressAllow"], socket["Socket"]["IPAddressDeny"]) == ("localhost", "any")
    assert socket["Install"]["WantedBy"] == "sockets.target"
    gateway = _read(FOLDER / "flywheel-gateway.service")
    assert "flywheel-gateway.socket" in gateway["Unit"]["After"]
    assert gateway["Install"]["Also"] == "flywheel-gateway.socket"


@pytest.mark.parametrize("name", ONCE)
def test_what_is_done_now_and_then_steps_back(name):
    """Backups and verifications have a timer that makes up for a missed moment, and run when nothing else does."""
    service = _service(name)
    assert (service["Type"], service["Nice"], service["IOSchedulingClass"]) == ("oneshot", "19", "idle")
    timer = _read(FOLDER / name.replace(".service", ".timer"))
    assert timer["Timer"]["Persistent"] == "yes"
    assert timer["Install"]["WantedBy"] == "timers.target"


@pytest.mark.parametrize("name", ["flywheel.service", "flywheel-web.service"])
def test_secrets_come_as_credentials(name):
    """Secrets are files that systemd hands over; without the folder the service starts all the same."""
    service = _service(name)
    assert service["LoadCredential"] == "flywheel:/etc/flywheel/credentials"
    assert service["SetCredential"].startswith("flywheel:")
    assert "d /etc/flywheel/credentials 0700 root root" in (FOLDER / "tmpfiles.conf").read_text()


def test_the_users_of_the_units_are_made():
    """Every user that a unit of ours runs as is made by sysusers.conf, and has no shell."""
    made = re.findall(r"^u (\S+) \S+ \"[^\"]*\" (\S+)(.*)$", (FOLDER / "sysusers.conf").read_text(), re.MULTILINE)
    assert {name for name, _, _ in made} == {_service(name)["User"] for name in (*NOTIFYING, *ONCE)}
    assert all(not shell.strip() for _, _, shell in made)


def test_the_dashboard_is_served_once():
    """Where the dashboard is a service of its own, the daemon starts none."""
    assert "Environment=FLYWHEEL_WEB__ENABLED=false" in (FOLDER / "flywheel.service").read_text()
    assert _service("flywheel-web.service")["ExecStart"].endswith("flywheel web")


def test_the_executors_bombs_are_bounded_and_are_not_its_end():
    """What all boxes take together has an end, each box gets a group of its own, and a bomb ends its test alone."""
    service = _service("flywheel-executor.service")
    assert {"MemoryMax", "TasksMax"} <= service.keys()
    assert service["MemorySwapMax"] == "0"
    assert set(service["Delegate"].split()) == {"memory", "pids"}
    assert service["OOMPolicy"] == "continue"
    assert service["KillMode"] == "control-group"


def test_the_executor_has_no_network_and_shares_no_user():
    """The executor runs as nobody else does, reaches no network, and cannot see the store."""
    service = _service("flywheel-executor.service")
    assert service["User"] not in {_service(name)["User"] for name in OURS}
    assert service["PrivateNetwork"] == "yes"
    assert "AF_INET" not in service["RestrictAddressFamilies"]
    assert "/var/lib/flywheel" in service["InaccessiblePaths"]


def test_the_executors_profile_gives_user_namespaces_to_it_alone():
    """The AppArmor profile has the name that the unit asks for, and is attached to no program: others gain nothing."""
    profile = (UNITS[0].parent / "apparmor" / "flywheel-executor").read_text()
    name = _service("flywheel-executor.service")["AppArmorProfile"].removeprefix("-")
    assert re.search(rf"^profile {name} flags=\(unconfined\) \{{$", profile, re.MULTILINE)
    assert re.search(r"^  userns,$", profile, re.MULTILINE)


@needs_parser
def test_the_profile_can_be_loaded():
    """AppArmor's own parser understands the profile."""
    argv = ["apparmor_parser", "--skip-kernel-load", "--skip-cache", "--skip-read-cache"]
    profile = UNITS[0].parent / "apparmor" / "flywheel-executor"
    found = subprocess.run([*argv, str(profile)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_a_stop_of_the_daemon_lets_it_leave_first():
    """The daemon leaves in order before what is left of its group is killed; a run out of memory is not its end."""
    service = _service("flywheel.service")
    assert service["KillMode"] == "mixed"
    assert service["OOMPolicy"] == "continue"


def test_the_gateway_depends_on_nothing_of_ours():
    """Nothing but its own socket is tied to the gateway's unit: it serves on without daemon and model server."""
    unit = _read(next(unit for unit in UNITS if unit.name == "flywheel-gateway.service"))["Unit"]
    ties = ("Requires", "Requisite", "BindsTo", "PartOf", "Wants", "After", "Upholds")
    said = " ".join(unit.get(tie, "") for tie in ties).replace("flywheel-gateway.socket", "")
    assert not re.search(r"flywheel|vllm", said)


@pytest.mark.parametrize("name", [*OURS, *ONCE])
def test_home_is_where_the_state_is(name):
    """The services live in the folder that systemd makes for them."""
    service = _service(name)
    assert service["StateDirectory"] == "flywheel"
    text = next(unit for unit in UNITS if unit.name == name).read_text()
    assert "Environment=FLYWHEEL_HOME=/var/lib/flywheel" in text


def test_the_model_server_listens_on_the_loopback():
    """The example keeps vLLM's keyless routes on this machine and lets adapters be loaded while it runs."""
    service = _service("vllm.service")
    assert "--host 127.0.0.1" in service["ExecStart"]
    assert "--enable-lora" in service["ExecStart"]
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True" in (UNITS[-1]).read_text()
