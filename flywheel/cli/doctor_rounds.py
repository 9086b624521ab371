"""The doctor's round: every look at once, each within its own limit, none able to hold the others up."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from flywheel.cli.doctor_findings import Finding, ill
from flywheel.core.errors import FlywheelError

SECONDS = 10.0


class Look(NamedTuple):
    """One look: what it is about, how it is taken, and how long it may take."""

    check: str
    take: Callable[[], Iterable[Finding]]
    seconds: float = SECONDS


class _Taken:
    """A look on its way, in a thread that nobody has to wait for."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.findings: list[Finding] | None = None
        self.began = time.monotonic()
        self._thread = threading.Thread(target=self._take, daemon=True, name=f"doctor-{look.check}")
        self._thread.start()

    def result(self) -> list[Finding]:
        self._thread.join(max(0.0, self.began + self.look.seconds - time.monotonic()))
        if self.findings is None:
            sentence = f"the look did not end in {self.look.seconds:g} seconds"
            return [ill(self.look.check, sentence, "see what hangs: a disk, a server, a driver")]
        return self.findings

    def _take(self) -> None:
        check = self.look.check
        try:
            found = list(self.look.take())
        except FlywheelError as error:
            found = [ill(check, error.message, error.mend or "see the documents")]
        except OSError as error:
            found = [ill(check, f"{error.filename or 'a file'}: {error.strerror or error}", "check it and its rights")]
        except Exception as error:  # noqa: BLE001 - the supervised edge: a look that fails is a finding like any other
            found = [ill(check, f"the look itself failed: {type(error).__name__}: {error}", "report this as a fault")]
        seconds = round(time.monotonic() - self.began, 3)
        self.findings = [one.model_copy(update={"seconds": seconds}) for one in found]


def examine(looks: Sequence[Look]) -> list[Finding]:
    """Take every look at once; return what was found, in the order of the looks."""
    taken = [_Taken(look) for look in looks]
    return [finding for one in taken for finding in one.result()]
