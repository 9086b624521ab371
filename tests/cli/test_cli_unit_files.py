"""The units that are filled in: systemd has nothing to say, they stay closed, and they see what they need."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.cli.server_commands import ServerCommand
from flywheel.cli.unit_files import (
    UnitPlaces,
    assigned,
    bundle,
    checked,
    filled,
    filled_server,
    first_steps,
    headed,
    quoted,
    unit_name,
)
from flywheel.core.errors import MisuseError
from flywheel.daemon.places import shipped

SYSTEM = UnitPlaces(program=Path("/opt/flywheel/bin/flywheel"), home=Path("/var/lib/flywheel"),
                    config=Path("/etc/flywheel/flywheel.toml"), envs=Path("/opt/flywheel/envs"))  # fmt: skip
PERSON = UnitPlaces(
    program=Path("/home/me/flywheel/bin/flywheel"), home=Path("/home/me/.local/share/flywheel"),
    config=Path("/home/me/.config/flywheel/flywheel.toml"), envs=Path("/home/me/.cache/flywheel/envs"),
    code=(Path("/home/me/flywheel"), Path("/usr")), user="me", group="mine", backups=Path("/home/me/backups"),
    credentials=Path("/home/me/.config/flywheel/credentials"),
)  # fmt: skip
ELSEWHERE = SYSTEM.model_copy(update={"home": Path("/srv/flywheel"), "user": "me", "group": "mine"})
SOCKET = SYSTEM.model_copy(update={"socket": Path("/run/flywheel/gateway.sock"), "reached": ("192.0.2.7",)})
PLACES = {"system": SOCKET, "person": PERSON, "elsewhere": ELSEWHERE}
OURS = [path.name for path in sorted(shipped("systemd").glob("flywheel*.service"))]
OTHERS = [
    path.name for path in sorted(shipped("systemd").glob("flywheel*")) if path.suffix in {".socket", ".slice", ".timer"}
]
AS_THE_PERSON = [name for name in OURS if name != "flywheel-executor.service"]
COMMAND = ServerCommand(
    server="http://127.0.0.1:8000", base="base", environment={"A": "1", "B": "a b$c%d"},
    groups=(("/env/bin/vllm", "serve", "/srv/a base/50%"), ("--middleware", "x.Y")),
)  # fmt: skip
#: What the shipped units may be exposed at most: see tests/systemd/test_units.py.
MOST_EXPOSED = {
    "flywheel": 1.2, "flywheel-gateway": 1.0, "flywheel-web": 1.0, "flywheel-backup": 1.0, "flywheel-verify": 1.0,
    "flywheel-executor": 1.5, "vllm": 4.0,
}  # fmt: skip

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine (package systemd)"
)


def units(places: UnitPlaces) -> dict[str, str]:
    """Every unit for these places."""
    texts = {name: (shipped("systemd") / name).read_text() for name in (*OURS, "vllm.service")}
    server = filled_server(texts.pop("vllm.service"), COMMAND, places, (Path("/env"), Path("/home/me/base")))
    return {**{name: filled(name, text, places) for name, text in texts.items()}, "vllm.service": server}


def said(unit: str, key: str) -> list[str]:
    """The values of a key."""
    return re.findall(rf"^{key}=(.*)$", unit, re.MULTILINE)


@needs_systemd
@pytest.mark.parametrize("name", PLACES)
def test_systemd_finds_nothing_to_complain_about(name: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` says nothing about the units, and none is more exposed than the shipped one may be."""
    files = []
    for other in OTHERS:
        (tmp_path / other).write_text(filled(other, (shipped("systemd") / other).read_text(), PLACES[name]))
    for unit, text in units(PLACES[name]).items():
        files.append(tmp_path / unit)
        files[-1].write_text(headed(re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", text, flags=re.MULTILINE), ["a note"]))
    argv = ["systemd-analyze", "verify", "--man=no", *map(str, [*files, *(tmp_path / other for other in OTHERS)])]
    found = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (found.returncode, (found.stdout + found.stderr).strip()) == (0, "")
    more = 0.1 if PLACES[name].reached else 0.0  # who reaches addresses elsewhere is a little more exposed
    assert {path.stem: exposure(path) <= MOST_EXPOSED[path.stem] + more for path in files} == dict.fromkeys(
        MOST_EXPOSED, True
    )


def exposure(unit: Path) -> float:
    """How exposed systemd takes a unit to be."""
    argv = ["systemd-analyze", "security", "--no-pager", "--offline=true", str(unit)]
    found = subprocess.run(argv, capture_output=True, text=True, check=False)
    if "--offline" in found.stderr:
        pytest.skip("this systemd-analyze is too old to judge a unit that is not loaded")
    match = re.search(r"exposure level for .*: ([\d.]+)", found.stdout)
    assert match, found.stdout + found.stderr
    return float(match.group(1))


def test_where_everything_is_as_shipped_the_units_are_as_shipped() -> None:
    """The usual places leave every unit of ours byte for byte."""
    for name in (*OURS, *OTHERS):
        text = (shipped("systemd") / name).read_text()
        assert filled(name, text, SYSTEM) == text


@pytest.mark.parametrize("name", OURS)
def test_no_shipped_place_is_left(name: str) -> None:
    """Program, settings, home and environments are those of the machine, wherever they stood."""
    text = units(PERSON)[name]
    assert not re.search(r"/opt/flywheel/bin|/opt/flywheel/envs|/var/lib/flywheel|/etc/flywheel|/var/backups", text)
    assert said(text, "ExecStart")[0].startswith("/home/me/flywheel/bin/flywheel ")
    assert "FLYWHEEL_CONFIG=/home/me/.config/flywheel/flywheel.toml" in said(text, "Environment")


def test_services_run_as_whom_they_should() -> None:
    """Daemon and gateway as the person, the executor as nobody else does and in their group."""
    made = units(PERSON)
    assert said(made["flywheel-executor.service"], "User") == ["flywheel-executor"]
    assert {name: said(made[name], "User") for name in AS_THE_PERSON} == {name: ["me"] for name in AS_THE_PERSON}
    assert {name: said(made[name], "Group") for name in OURS} == {name: ["mine"] for name in OURS}
    assert (said(made["vllm.service"], "User"), said(made["vllm.service"], "SupplementaryGroups")) == (
        ["vllm"],
        ["mine"],
    )


def test_in_a_home_each_sees_what_it_needs_and_no_more() -> None:
    """The home is hidden from all but the daemon; what is needed is shown, and only the state may be written."""
    made = units(PERSON)
    assert said(made["flywheel.service"], "ProtectHome") == ["read-only"]
    home = str(PERSON.home)
    assert said(made["flywheel-backup.service"], "BindPaths") == [home, "/home/me/backups"]
    for name in ("flywheel-gateway.service", "flywheel-executor.service"):
        assert said(made[name], "ProtectHome") == ["tmpfs"]
        assert said(made[name], "BindPaths") == ([home] if "gateway" in name else [])
        assert said(made[name], "BindReadOnlyPaths") == [str(PERSON.config), "/home/me/flywheel"]
    assert said(made["vllm.service"], "BindReadOnlyPaths") == [f"{home}/adapters", "/home/me/base"]
    assert f"-{home}/flywheel.db" in said(made["vllm.service"], "InaccessiblePaths")[0]


def test_the_state_is_systemd_s_to_make_or_may_be_written() -> None:
    """Below /var/lib systemd makes the folder; anywhere else it is named, and a person is told to make it."""
    below = SYSTEM.model_copy(update={"home": Path("/var/lib/team/flywheel")})
    for name in ("flywheel.service", "flywheel-gateway.service"):
        assert said(units(below)[name], "StateDirectory") == ["team/flywheel"]
        assert said(units(ELSEWHERE)[name], "StateDirectory") == []
        assert said(units(ELSEWHERE)[name], "ReadWritePaths") == ["/srv/flywheel"]
    assert first_steps(below) == []
    assert first_steps(ELSEWHERE) == ["install -d -m 750 -o me -g mine /srv/flywheel /srv/flywheel/adapters"]
    assert "temporary" in first_steps(SYSTEM.model_copy(update={"config": Path("/tmp/x.toml")}))[0]


def test_the_server_gets_its_command_and_its_environment() -> None:
    """Words as systemd reads them back; nothing of the example's command or variables stays."""
    unit = units(SYSTEM)["vllm.service"]
    start = re.search(r"^ExecStart=((?:.*\\\n)*.*)$", unit, re.MULTILINE)
    assert start
    assert start[1] == '/env/bin/vllm serve "/srv/a base/50%%" \\\n    --middleware x.Y'
    assert said(unit, "Environment") == ["A=1", '"B=a b$c%%d"', "HOME=/var/lib/vllm"]


@pytest.mark.parametrize("odd", ["/srv/a b", '/srv/"', "/srv/50%", "/srv/$x", "/srv/a;b"])
def test_a_path_that_systemd_would_read_otherwise_is_refused(odd: str) -> None:
    """No unit is written that means something else than it says."""
    with pytest.raises(MisuseError, match="cannot stand in a unit"):
        filled(OURS[0], "", SYSTEM.model_copy(update={"home": Path(odd)}))
    assert checked(Path("/srv/flywheel-1.0_x@y")) == "/srv/flywheel-1.0_x@y"


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20))
def test_quoting_comes_undone(word: str) -> None:
    """Unquoted by systemd's rules, every word is itself."""
    inner = quoted(word)
    plain = inner[1:-1] if inner[:1] == '"' else inner
    assert re.sub(r"\\(.)", r"\1", plain).replace("%%", "%").replace("$$", "$") == word
    assert (inner[:1] == '"') is bool(re.search(r"[\s\"'\\%$;]", word) or not word)
    assert assigned("A", word).replace("$", "$$").strip('"').startswith("A=")


def test_names_of_servers() -> None:
    """The first is called as the settings call it, others by their port."""
    assert unit_name(8000, 0, None) == "vllm.service"
    assert unit_name(8000, 0, "models") == unit_name(8000, 0, "models.service") == "models.service"
    assert unit_name(8001, 1, "models") == "vllm-8001.service"


def test_a_bundle_tells_the_units_apart() -> None:
    """Shown together, each has its name above."""
    assert bundle({"a": "x\n", "b": "y\n"}) == "# ===== a\nx\n\n# ===== b\ny\n"


def test_a_socket_has_a_folder_and_servers_elsewhere_are_reached() -> None:
    """The gateway may make its socket, in a folder that systemd makes below /run; addresses elsewhere are allowed."""
    made = units(SOCKET)
    assert said(made["flywheel-gateway.service"], "RuntimeDirectory") == ["flywheel"]
    for name in ("flywheel.service", "flywheel-gateway.service"):
        assert said(made[name], "IPAddressAllow") == ["localhost", "192.0.2.7"]
    assert said(made["flywheel-executor.service"], "IPAddressAllow") == []
    srv = units(SYSTEM.model_copy(update={"socket": Path("/srv/door/gateway.sock")}))["flywheel-gateway.service"]
    assert said(srv, "ReadWritePaths") == ["/srv/door"]
    home = units(SYSTEM.model_copy(update={"socket": SYSTEM.home / "gateway.sock"}))["flywheel-gateway.service"]
    assert (said(home, "ReadWritePaths"), said(home, "RuntimeDirectory")) == ([], [])


def test_systemd_opens_what_the_settings_say() -> None:
    """Ports and sockets of the settings are those of the socket unit; a group is let in only where one is named."""
    text = (shipped("systemd") / "flywheel-gateway.socket").read_text()
    both = PERSON.model_copy(update={"ports": ("[::1]:9000",), "socket": Path("/run/x/s"), "socket_group": "agents"})
    made = filled("flywheel-gateway.socket", text, both)
    assert said(made, "ListenStream") == ["[::1]:9000", "/run/x/s"]
    assert (said(made, "SocketUser"), said(made, "SocketGroup"), said(made, "SocketMode")) == (
        ["me"],
        ["agents"],
        ["0660"],
    )
    alone = filled("flywheel-gateway.socket", text, both.model_copy(update={"ports": (), "socket_group": None}))
    assert (said(alone, "ListenStream"), said(alone, "SocketMode")) == (["/run/x/s"], ["0600"])


def test_daemon_and_executor_are_told_where_they_meet() -> None:
    """Where the settings name no socket of the executor, both units name the same one."""
    meeting = SYSTEM.model_copy(update={"executor_socket": Path("/run/flywheel-executor/executor.sock")})
    for name in ("flywheel.service", "flywheel-executor.service"):
        told = said(filled(name, (shipped("systemd") / name).read_text(), meeting), "Environment")
        assert "FLYWHEEL_EXECUTOR__SOCKET=/run/flywheel-executor/executor.sock" in told
        assert "FLYWHEEL_EXECUTOR__GROUP=flywheel" in told
