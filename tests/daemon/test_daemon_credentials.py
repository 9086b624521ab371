"""Secrets that systemd hands over: a bare name is a credential, alone or one of a folder of them."""

from pathlib import Path

import pytest

from flywheel.core.errors import SettingsError
from flywheel.daemon.notification_settings import NotifySettings
from flywheel.web.tokens import read_token


def test_a_folder_of_credentials_is_found_by_its_files_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit loads a folder as `flywheel`: systemd calls its file NAME flywheel_NAME, and settings call it NAME."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    target = NotifySettings(name="ops", url="http://127.0.0.1:1/x", secret_file=Path("team"))
    with pytest.raises(SettingsError, match="team"):
        target.secret()
    (tmp_path / "flywheel_team").write_text("of the folder, and long enough\n")
    assert target.secret() == read_token(Path("team")) == "of the folder, and long enough"
    (tmp_path / "team").write_text("of its own, and long enough\n")
    assert target.secret() == read_token(Path("team")) == "of its own, and long enough"
