"""A frozen base and its layers: which parts its bytes have, what changed in words, which adapters were fused. Pure."""

from collections.abc import Mapping

from flywheel.core.frozen import Frozen

#: What is told apart when a base is pinned; together they are its fingerprint.
PARTS = ("weights", "tokenizer", "quantisation", "configuration")
#: The file in a base's folder that tells which adapters were fused into it.
LINEAGE = "lineage.json"


class Layer(Frozen):
    """One adapter that was fused into a base."""

    adapter: str
    hash: str
    onto: str


class Lineage(Frozen):
    """What a fused base was made of: the base that was never trained by us, then the adapters, oldest first."""

    original: str
    original_fingerprint: str
    layers: tuple[Layer, ...]

    @property
    def words(self) -> str:
        """Return it as one line: `main + tool-calling@1 + tool-calling@4`."""
        return " + ".join([self.original, *(layer.adapter for layer in self.layers)])


def what_changed(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return which part of a base is another than it was: `the tokenizer of base 'main' changed`."""
    changed = [part for part in PARTS if before.get(part) != now.get(part)] if before and now else []
    return f"the {' and the '.join(changed or ['bytes'])} of base {name!r} changed"
