"""The key of a teacher's API: from the environment, a private file, or a credential that systemd hands over."""

from collections.abc import Mapping
from pathlib import Path

from flywheel.bootstrap.teachers import Teacher
from flywheel.core.errors import SettingsError

_OTHERS = 0o077
_NONE = "none"  # servers of one's own ask for nothing, the client always sends something


def read_key(teacher: Teacher, env: Mapping[str, str]) -> str:
    """Return a teacher's key; raises SettingsError where the settings name one that is not there."""
    if teacher.key_env is not None:
        return _told(teacher, env.get(teacher.key_env, ""), f"the environment variable {teacher.key_env}")
    if teacher.key_file is not None:
        if _read_by_others(teacher.key_file):
            raise SettingsError(f"{teacher.key_file} can be read by others", f"chmod 600 {teacher.key_file}")
        return _told(teacher, _read(teacher.key_file), str(teacher.key_file))
    if teacher.key_credential is not None:
        folder = env.get("CREDENTIALS_DIRECTORY", "")
        text = _read(Path(folder) / teacher.key_credential) if folder else ""
        return _told(teacher, text, f"the credential {teacher.key_credential} (LoadCredential= of the unit)")
    return _NONE


def _told(teacher: Teacher, text: str, place: str) -> str:
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise SettingsError(f"teacher {teacher.name!r} has no key in {place}", "put it there: one line, nothing else")
    return key


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _read_by_others(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False
