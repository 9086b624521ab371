"""What is wrong with the policies, a line each; all of them at once. Pure."""

from collections.abc import Iterable

from flywheel.core.errors import SettingsError
from flywheel.core.frozen import Frozen


class Problem(Frozen):
    """One thing that is wrong: in which file, at which key, and what the key means."""

    file: str
    key: str = ""
    meaning: str = ""
    wrong: str

    @property
    def sentence(self) -> str:
        """Return the one line a person reads."""
        meaning = f" ({self.meaning})" if self.meaning else ""
        return ": ".join(part for part in (self.file, f"{self.key}{meaning}", self.wrong) if part)

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence


class PolicyError(SettingsError):
    """The policies cannot be loaded; none of them is. `problems` holds every reason."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Say the first and how many more there are."""
        self.problems = tuple(problems)
        first, more = self.problems[0].sentence, len(self.problems) - 1
        super().__init__(
            f"{first} (and {more} more)" if more else first,
            "mend the file; `flywheel policy check` lists everything that is wrong",
        )
