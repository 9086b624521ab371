"""How much of a dataset was mined from repositories that are not the person's own, and how varied they are. Pure."""

from collections import Counter
from collections.abc import Sequence

from flywheel.core.examples import PoolExample
from flywheel.core.facts import Value


def provenance_facts(chosen: Sequence[PoolExample]) -> dict[str, Value]:
    """Return the facts `dataset.…` about what was mined; those that need something mined are absent without it.

    A domain or an organisation that is not known counts for none, but as one domain when it is asked which is largest.
    """
    made = [example.made for example in chosen if example.made is not None]
    mined = [one for one in made if one.mined]
    total = len(chosen)
    found: dict[str, Value] = {
        "mined_share": round(len(mined) / total, 4) if total else 0.0,
        "private_examples": sum(one.private for one in made),
    }
    if not mined:
        return found
    domains = Counter(one.domain for one in mined)
    sizes = [one.lines for one in mined if one.lines]
    return found | {
        "mined_domains": len(set(domains) - {""}),
        "mined_organisations": len({one.organisation for one in mined} - {""}),
        "largest_mined_domain_share": round(max(domains.values()) / total, 4),
        "fewest_mined_lines": min(sizes, default=None),
        "most_mined_lines": max(sizes, default=None),
    }
