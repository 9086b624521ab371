"""Whom a role stands for, by hash: what makes an answer that was drawn once the answer that would be drawn again."""

from collections.abc import Mapping

from sqlmodel import Session

from flywheel.gate.evidence import Role
from flywheel.store.runs import adapter_by_name


def identities(session: Session, models: Mapping[Role, str], original: str) -> dict[Role, str]:
    """Return who stands behind each role; a role that nobody vouches for is left out and never taken from before.

    An adapter is its files on its base. A base is known by the fingerprint that the candidate was trained on; one
    below the layers of that is not.
    """
    found: dict[Role, str] = {}
    for role, name in models.items():
        adapter = adapter_by_name(session, name)
        if adapter is None:
            continue
        manifest = adapter.manifest
        found[role] = f"{manifest.hash} on {manifest.base_fingerprint}"
        if role == "candidate" and manifest.base_name == original:
            found["base"] = f"{models['base']} {manifest.base_fingerprint}"
    return found
