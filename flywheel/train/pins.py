"""A base is pinned when it is first trained on: by one fingerprint, and by one for each part, to name what changed."""

from pathlib import Path

from sqlmodel import Session

from flywheel.core.bases import what_changed
from flywheel.core.events import Event
from flywheel.core.facts import Value
from flywheel.core.frozen import Frozen
from flywheel.core.training import Base
from flywheel.store import runs as rows
from flywheel.store.ledger import append
from flywheel.store.stores import Store
from flywheel.train.fingerprints import Prints, holds_adapter, prints, signature


class Looked:
    """Fingerprints of bases; while a base's files look the same, their bytes are not read again."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[str, tuple[str, Prints]] = {}

    def at(self, base: Path) -> Prints:
        """Return a base's fingerprints; raises UnavailableError when it cannot be read."""
        looks, known = signature(base), self._known.get(str(base))
        if known is None or known[0] != looks or not looks:
            known = self._known[str(base)] = (looks, prints(base))
        return known[1]

    def forget(self) -> None:
        """Read every byte anew at the next look."""
        self._known.clear()


class Standing(Frozen):
    """Whether a base is the one that was pinned; if not, what changed, in words."""

    frozen: bool
    changed: str = ""


def standing(session: Session, base: Base, found: Prints) -> Standing:
    """Compare a base with its pin, and with the bytes that the settings say it must have."""
    if base.fingerprint not in {None, found.whole}:
        return Standing(
            frozen=False, changed=f"base {base.name!r} is not the one that bases.{base.name}.fingerprint names"
        )
    if rows.pinned_base(session, base.name) in {None, found.whole}:
        return Standing(frozen=True)
    return Standing(frozen=False, changed=what_changed(base.name, rows.pinned_parts(session, base.name), found.parts))


class Watch:
    """Tells other rooms what of a base is not as it was pinned."""

    def __init__(self, store: Store) -> None:
        """Compare with the pins of this store."""
        self._store = store
        self._looked = Looked()

    def changed(self, base: Base) -> str:
        """Return what changed, in words; raises UnavailableError when the base cannot be read."""
        found = self._looked.at(Path(base.path))
        with self._store.read() as session:
            return standing(session, base, found).changed


def pin(session: Session, base: Base, found: Prints, told: Event) -> None:
    """Pin a base where it is not, and tell the ledger once; a pin without its parts gets those of the same bytes.

    `told` says when, for which line and by what cause.
    """
    known = rows.pinned_base(session, base.name)
    if known is None:
        body = {"fingerprint": found.whole, "parts": found.parts, "revision": base.revision}
        event = told.model_copy(update={"kind": "train.base_pinned", "subject": base.name, "body": body})
        rows.pin_base(session, base.name, base.path, found.whole, append(session, event))
    if known in {None, found.whole}:
        rows.pin_parts(session, base.name, found.parts)


def base_facts(base: Base, pinned: Standing) -> dict[str, Value]:
    """Return the readings that guardrails judge a base by."""
    return {
        "base.fingerprint_is_frozen": pinned.frozen,
        "base.is_adapter": holds_adapter(Path(base.path)),
        "base.layers": len(base.lineage.layers) if base.lineage else 0,
        "base.parameters_billion": base.parameters,
    }
