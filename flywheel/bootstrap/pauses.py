"""How long to wait before a teacher is asked again. Pure."""

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0
_LONGEST_ASKED = 600.0
_DOUBLINGS = 16


def pause_before(attempt: int, asked_for: float | None, chance: float) -> float | None:
    """Return the pause before another try, the first being attempt 1; `chance` from 0 to 1 spreads it.

    It doubles up to a minute and is drawn from its upper half; what the server asks for is the least. None when that is
    more than ten minutes: then it is given up for now.
    """
    if asked_for is not None and asked_for > _LONGEST_ASKED:
        return None
    whole = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** min(attempt - 1, _DOUBLINGS))
    drawn = whole / 2 + chance * whole / 2
    return drawn if asked_for is None else asked_for + chance * min(drawn, 1 + asked_for / 10)
