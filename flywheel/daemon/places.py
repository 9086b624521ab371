"""Where everything lies: in the home, in the package, beside the checkout."""

from pathlib import Path

from flywheel.core.errors import SettingsError
from flywheel.daemon.settings import Settings

_PACKAGE = Path(__file__).parent.parent


def shipped(name: str) -> Path:
    """Return a folder that ships with flywheel (`policies`, `systemd`), from a wheel or from a checkout."""
    for folder in (_PACKAGE / "shipped" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise SettingsError(f"the shipped folder {name!r} is missing", "install flywheel again")


def policies_folder(settings: Settings) -> Path:
    """Return the policies in force: the operator's own, else the shipped ones."""
    return settings.policies or shipped("policies")
