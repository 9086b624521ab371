"""What the tests of the command line share: what a command left behind, and the settings of a home."""

from pathlib import Path
from typing import NamedTuple

LINE = "tool-calling"


class Said(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str

    def refused(self, status: int, *words: str) -> None:
        """It was one line on standard error, with these words."""
        assert self.status == status, self
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self
        assert lines[0].startswith("flywheel: "), self
        for word in words:
            assert word in lines[0], self
        assert "Traceback" not in self.out + self.err


def write_settings(folder: Path, more: str = "") -> Path:
    """Write the settings of a home with one line, its base, a server nobody answers at, and a source; return them."""
    (folder / "base").mkdir(exist_ok=True)
    config = folder / "flywheel.toml"
    config.write_text(
        f'home = "{folder}"\nlines = ["{LINE}"]\n{more}[bases.main]\npath = "{folder / "base"}"\nserved_as = "m"\n'
        '[[servers]]\nurl = "http://127.0.0.1:1"\n[[sources]]\nname = "agent"\nkind = "generic"\n'
        f'path = "{folder / "agent.db"}"\n'
    )
    return config
