"""pass@k without bias: the chance that one of k samples is right, from n of which c were. Pure."""

import math
from collections.abc import Iterable


def pass_at_k(drawn: int, right: int, k: int) -> float | None:
    """Return 1 - C(n-c, k) / C(n, k); None when fewer than k samples were drawn, or k asks for none."""
    if not 1 <= k <= drawn or not 0 <= right <= drawn:
        return None
    return 1 - math.comb(drawn - right, k) / math.comb(drawn, k)


def mean_pass_at_k(counts: Iterable[tuple[int, int]], k: int) -> float | None:
    """Return the mean over problems of (samples drawn, samples right); None when any drew fewer than k, or none is."""
    each = [pass_at_k(drawn, right, k) for drawn, right in counts]
    known = [value for value in each if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(each) else None
