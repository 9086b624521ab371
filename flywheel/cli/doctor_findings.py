"""What the doctor says: one sentence about one thing, and how to mend it where it is not well. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

from flywheel.core.frozen import Frozen

State = Literal["ok", "warn", "fail"]
WORST: tuple[State, ...] = ("fail", "warn", "ok")


class Finding(Frozen):
    """One thing that was looked at: `fail` keeps flywheel from working, `warn` may some day."""

    check: str
    state: State
    sentence: str
    mend: str = ""
    seconds: float = 0.0


def well(check: str, sentence: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(check=check, state="ok", sentence=sentence)


def odd(check: str, sentence: str, mend: str) -> Finding:
    """Return that something should be looked at."""
    return Finding(check=check, state="warn", sentence=sentence, mend=mend)


def ill(check: str, sentence: str, mend: str) -> Finding:
    """Return that something does not work."""
    return Finding(check=check, state="fail", sentence=sentence, mend=mend)


def needed(check: str, sentence: str, mend: str, *, now: bool) -> Finding:
    """Return that something is missing: it fails when it is needed now, else it is only told."""
    return ill(check, sentence, mend) if now else odd(check, sentence, mend)


def summary(findings: Iterable[Finding]) -> str:
    """Return how many things are in which state, in words."""
    counts = Counter(one.state for one in findings)
    told = [f"{counts['ok']} ok", f"{counts['warn']} to look at" if counts["warn"] else "",
            f"{counts['fail']} failing" if counts["fail"] else ""]  # fmt: skip
    return ", ".join(word for word in told if word)


def as_document(findings: list[Finding], settings: str, seconds: float) -> dict[str, Any]:
    """Return everything as one document for programs."""
    counts = Counter(one.state for one in findings)
    return {
        "well": not counts["fail"],
        "settings": settings,
        "seconds": round(seconds, 3),
        "counts": {state: counts[state] for state in WORST},
        "findings": [one.model_dump() for one in findings],
    }
