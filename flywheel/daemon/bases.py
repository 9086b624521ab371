"""Every base there is: those of the settings, and those that adapters were fused into here."""

from collections.abc import Mapping
from pathlib import Path

from flywheel.core.bases import LINEAGE
from flywheel.core.training import Base
from flywheel.daemon.settings import Settings
from flywheel.train.fingerprints import lineage_of

FOLDER = "bases"


def known_bases(settings: Settings) -> dict[str, Base]:
    """Return the bases by name, each fused one with its lineage; a lineage that cannot be read is a CorruptError.

    A fused base is served under its own name, unless the settings describe it.
    """
    named = settings.base_models()
    found = {name: base.model_copy(update={"lineage": lineage_of(Path(base.path))}) for name, base in named.items()}
    for folder in sorted((settings.home / FOLDER).glob(f"*/{LINEAGE}")):
        name, lineage = folder.parent.name, lineage_of(folder.parent)
        if name not in found and lineage is not None and not name.startswith("."):
            original = named.get(lineage.original)
            size = original.parameters if original else None
            path = str(folder.parent.absolute())
            found[name] = Base(name=name, path=path, served_as=name, parameters=size, lineage=lineage)
    return found


def fused_in(bases: Mapping[str, Base]) -> frozenset[str]:
    """Return the adapters that these bases were made with."""
    lineages = [base.lineage for base in bases.values() if base.lineage is not None]
    return frozenset(layer.adapter for lineage in lineages for layer in lineage.layers)
