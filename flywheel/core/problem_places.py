"""Where a problem of a contest stands: the contest that its address names, so that one contest stays together. Pure."""

from urllib.parse import urlsplit

_CONTESTS = ("contest", "contests", "problemset", "gym")


def contest_of_address(url: str) -> str:
    """Return the contest that a problem's address names; empty where it names none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    steps = [step for step in parts.path.split("/") if step]
    for place, step in enumerate(steps):
        if step in _CONTESTS:
            following = [one for one in steps[place + 1 :] if one != "problem"]
            return f"{parts.netloc}/{following[0]}" if following else ""
    return ""
