"""What guardrails ask of examples that a cold start made of somebody else's work: whose it was, and who may have it.

An outcome's `extra` tells it, as `flywheel.core.makings` was laid down. The agent's own work has none of this.
"""

from collections.abc import Mapping
from typing import Any

from flywheel.core.frozen import Frozen
from flywheel.core.makings import UNKNOWN_LICENCE


class Provenance(Frozen):
    """What an example was made from: a repository not the person's own, and whether its licence is not known.

    `domain` and `organisation` are empty and `lines` is 0 where nothing says it. What is `private` must not be passed
    on, and nothing that was trained on it.
    """

    mined: bool = False
    domain: str = ""
    organisation: str = ""
    lines: int = 0
    private: bool = False


def provenance_of(extra: Mapping[str, Any]) -> Provenance | None:
    """Return what is to be asked of an example; nothing for what is the person's own, or passed on freely."""
    foreign, recipe = bool(extra.get("foreign")), extra.get("recipe")
    private = (foreign or recipe == "import") and extra.get("licence") == UNKNOWN_LICENCE
    of_a_repo = recipe == "mine" or (recipe == "teach" and "lines" in extra)  # a teacher spoke about what was mined
    if not (foreign and of_a_repo):
        return Provenance(private=True) if private else None
    return Provenance(
        mined=True,
        domain=str(extra.get("domain") or ""),
        organisation=str(extra.get("organisation") or ""),
        lines=int(extra.get("lines") or 0),
        private=private,
    )
