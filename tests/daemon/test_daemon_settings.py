"""Settings: one file, the environment wins, and every mistake is one line that says how to mend it."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flywheel.core.errors import SettingsError
from flywheel.daemon.houses import IdleWindow
from flywheel.daemon.settings import find_settings, load_settings

GOOD = """
home = "/srv/flywheel"
lines = ["tool-calling"]

[bases.tiny]
path = "/srv/tiny"
served_as = "tiny"
parameters_billion = 0.5

[[sources]]
name = "agent"
path = "/srv/agent.db"

[daemon]
look_seconds = 30
"""


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FLYWHEEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flywheel.toml"
    path.write_text(GOOD)
    return path


def test_a_file_is_read(file: Path) -> None:
    """What stands there is in force; what does not has its default."""
    settings = load_settings(file)
    assert (settings.home, settings.lines) == (Path("/srv/flywheel"), ("tool-calling",))
    assert settings.store_url == "sqlite:////srv/flywheel/flywheel.db"
    assert (settings.daemon.look_seconds, settings.daemon.poll_seconds) == (30, 0.5)
    base = settings.base_models()["tiny"]
    assert (base.name, base.path, base.served_as, base.parameters) == ("tiny", "/srv/tiny", "tiny", 0.5)


def test_no_file_is_all_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without settings nothing is switched on and everything lies in the user's home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = load_settings(None)
    assert (settings.lines, settings.sources) == ((), ())
    assert settings.home == tmp_path / ".local" / "share" / "flywheel"


def test_the_home_sign_is_understood_everywhere(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path may begin with ~ wherever a path may stand."""
    monkeypatch.setenv("HOME", str(tmp_path))
    file.write_text(GOOD.replace('"/srv', '"~/srv') + "[gateway]\nport = 1\n")
    settings = load_settings(file)
    found = [settings.home, settings.sources[0].path, Path(settings.base_models()["tiny"].path)]
    assert [path.parent for path in found] == [tmp_path / "srv"] * 3


def test_the_environment_wins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable overrides its one setting, deep ones too; the file's others stay."""
    monkeypatch.setenv("FLYWHEEL_HOME", "/elsewhere")
    monkeypatch.setenv("FLYWHEEL_DAEMON__POLL_SECONDS", "2.5")
    monkeypatch.setenv("FLYWHEEL_LINES", '["plan", "scope"]')
    settings = load_settings(file)
    assert (settings.home, settings.lines) == (Path("/elsewhere"), ("plan", "scope"))
    assert (settings.daemon.poll_seconds, settings.daemon.look_seconds) == (2.5, 30)
    assert settings.sources[0].name == "agent"


def test_variables_that_are_not_settings_do_no_harm(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file lies and where the environments are is told by variables of the same beginning."""
    for name in ("CONFIG", "ENVS", "KILL_FILE", "TRAIN_TEST"):
        monkeypatch.setenv(f"FLYWHEEL_{name}", "/x")
    assert load_settings(file).home == Path("/srv/flywheel")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\nhome = = 3", "not valid TOML.*line 2.*mend that line"),
        ("hoem = '/x'", "unknown setting 'hoem'; did you mean 'home'\\?"),
        ("[daemon]\nlook_second = 3", "unknown setting 'daemon.look_second'; did you mean 'look_seconds'\\?"),
        ("[bases.b]\npath = '/x'\nserved_at = 'b'", "bases.b.served_as: Field required"),
        ("[bases.b]\npath = '/x'\nserved_as = 'b'\nzzz = 1", "unknown setting 'bases.b.zzz' —"),
        ("[daemon]\nlook_seconds = 'often'", "daemon.look_seconds: .*valid number"),
        ("[daemon]\nlook_seconds = 0", "daemon.look_seconds: .*greater than 0"),
        ("[daemon]\nidle_window = 'night'", "daemon.idle_window"),
        ("lines = 'plan'", "lines: "),
        ("daemon = 3", "daemon: "),
        ("sources = [3]", "sources.0: "),
        ("[[sources]]\nname = 'a'\npath = 'relative.db'", "sources.0.path: .*absolute"),
        (
            "[[sources]]\nname = 'a'\npath = '/a'\n[[sources]]\nname = 'a'\npath = '/b'",
            "two sources have the same name",
        ),
        ("[gateway]\nport = 70000", "gateway.port: .*65535"),
    ],
)
def test_every_mistake_is_one_line_with_its_mend(file: Path, text: str, says: str) -> None:
    """The file, the setting's full name, what is wrong, the nearest right word, and where to read on."""
    file.write_text(text)
    with pytest.raises(SettingsError, match=says) as caught:
        load_settings(file)
    assert "\n" not in str(caught.value)
    assert str(file) in caught.value.message
    assert caught.value.mend


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("FLYWHEEL_DAEMON__LOOK_SECONDS", "often", "daemon.look_seconds: .*valid number"),
        ("FLYWHEEL_DAEMON__LOOK_SECOND", "3", "unknown setting 'daemon.look_second'; did you mean 'look_seconds'"),
        ("FLYWHEEL_LINES", "plan", "lines"),
        ("FLYWHEEL_SOURCES", "{not json", "sources"),
    ],
)
def test_a_mistake_in_the_environment_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    """Without a file the environment is named as the place."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=says) as caught:
        load_settings(None)
    assert "\n" not in str(caught.value)
    assert "the environment" in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a folder, or not text: each is told with its mend."""
    with pytest.raises(SettingsError, match=r"there is no settings file .*--config"):
        load_settings(tmp_path / "nowhere.toml")
    with pytest.raises(SettingsError, match=r"cannot be read: .*readable UTF-8"):
        load_settings(tmp_path)
    (tmp_path / "x.toml").write_bytes(b"home = '\xff'")
    with pytest.raises(SettingsError, match=r"cannot be read: .*readable UTF-8"):
        load_settings(tmp_path / "x.toml")


def test_the_file_is_found_by_name_variable_or_place(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An argument wins over the variable, the variable over the user's own place."""
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("flywheel.daemon.settings.PLACES", ("~/.config/flywheel/flywheel.toml",))
    assert find_settings() is None
    own = home / ".config" / "flywheel" / "flywheel.toml"
    own.parent.mkdir(parents=True)
    own.write_text("")
    assert find_settings() == own
    monkeypatch.setenv("FLYWHEEL_CONFIG", str(file))
    assert find_settings() == file
    assert find_settings(tmp_path / "named.toml") == tmp_path / "named.toml"


@pytest.fixture
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_utc")
@pytest.mark.parametrize(
    ("window", "hour", "inside"),
    [
        (None, "12:00", True),
        ("09:00-17:00", "09:00", True),
        ("09:00-17:00", "16:59", True),
        ("09:00-17:00", "17:00", False),
        ("09:00-17:00", "08:59", False),
        ("22:00-06:00", "23:30", True),
        ("22:00-06:00", "00:00", True),
        ("22:00-06:00", "05:59", True),
        ("22:00-06:00", "06:00", False),
        ("22:00-06:00", "12:00", False),
        ("00:00-00:00", "12:00", True),
    ],
)
def test_the_idle_window(window: str | None, hour: str, inside: bool) -> None:  # noqa: FBT001
    """The beginning belongs to it and the end does not; it may pass midnight; from an hour to itself is a day."""
    now = datetime.fromisoformat(f"2026-01-01T{hour}").replace(tzinfo=UTC)
    assert IdleWindow.parse(window).holds(now) is inside


@pytest.mark.usefixtures("_utc")
def test_the_idle_window_is_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's night is where the person lives."""
    monkeypatch.setenv("TZ", "XXX-5")
    time.tzset()
    assert IdleWindow.parse("22:00-06:00").holds(datetime(2026, 1, 1, 18, tzinfo=UTC))
    assert not IdleWindow.parse("22:00-06:00").holds(datetime(2026, 1, 1, 3, tzinfo=UTC))


@pytest.mark.parametrize("text", ["", "22:00", "night", "25:00-06:00", "22:00-06:61"])
def test_a_window_that_is_none_is_named(text: str) -> None:
    """Hours that do not exist are told with the form they should have."""
    with pytest.raises(SettingsError, match=r"is not a window.*22:00-06:00"):
        IdleWindow.parse(text)
