"""How an effect ended, as a value: done, try again later, or failed for good."""

from datetime import datetime
from typing import Any

from pydantic import Field

from flywheel.core.frozen import Frozen


class Done(Frozen):
    """It happened; the sentence says what."""

    sentence: str
    changed: bool = True
    body: dict[str, Any] = Field(default_factory=dict)


class Retry(Frozen):
    """It did not happen yet; the next try is not before `at`."""

    at: datetime
    reason: str


class Failed(Frozen):
    """It did not happen and will not without a change; `mend` says which."""

    reason: str
    mend: str = ""


Attempt = Done | Retry | Failed
