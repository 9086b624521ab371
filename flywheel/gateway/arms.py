"""Which arm of an alias answers a session. Pure.

Every session has a fixed point in [0, 1) for an alias and its canary; the canary takes the points below its share.
So a session keeps its arm, raising the share only moves sessions from the active arm to the canary, and a new canary
draws other sessions than the one before.
"""

import hashlib

from flywheel.core.routing import Alias, Arm

_BITS = 53  # what a float holds exactly: the point is never rounded up to 1.0


def choose(name: str, alias: Alias, session: str) -> Arm:
    """Return the arm of alias `name` that answers this session."""
    canary = alias.canary
    if canary is not None and point(name, canary.model, session) < canary.share:
        return canary
    return alias.active


def point(name: str, salt: str, session: str) -> float:
    """Return the session's place in [0, 1): the same on every machine, unrelated between salts."""
    # Names hold no control characters, so that the zero byte keeps the three parts apart.
    key = f"{name}\0{salt}\0{session}".encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
    return float(number >> (64 - _BITS)) / float(1 << _BITS)
