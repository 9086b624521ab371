"""The schedule's wish to tidy: the same request that a person makes with `flywheel gc`."""

from flywheel.daemon.houses import Ground
from flywheel.store.requests import open_requests
from flywheel.store.wishes import Wish, write_wish

TIDY = "tidy"


def ask_to_tidy(base: Ground, name: str) -> str:
    """Write the request, unless one is open; return the reason to look."""
    with base.store.read() as session:
        waits = bool(open_requests(session, "tidy"))
    if not waits:
        wish = Wish(kind="tidy", subject="home", reason="the schedule of [keep]")
        write_wish(base.store, "", wish, "the schedule", base.clock.now())
    return name
