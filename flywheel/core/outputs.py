"""What a program printed, compared as judges do: white space at the ends of lines and of the text aside. Pure."""

from itertools import zip_longest

from flywheel.core.json_values import near, shown


def output_difference(wanted: str, seen: str, tolerance: float | None = None) -> str:
    """Return where two outputs part, in a few words; empty when they do not.

    With a tolerance, words that are numbers may differ by it, absolutely or relatively, and blanks between words do
    not count.
    """
    for number, (left, right) in enumerate(zip_longest(_lines(wanted), _lines(seen)), 1):
        if left is None:
            return f"line {number} was not expected: {shown(right)}"
        if right is None:
            return f"line {number} is missing, expected {shown(left)}"
        if left != right and not (tolerance is not None and _near(left, right, tolerance)):
            return f"line {number} is {shown(right)}, expected {shown(left)}"
    return ""


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _near(left: str, right: str, tolerance: float) -> bool:
    wanted, seen = left.split(), right.split()
    return len(wanted) == len(seen) and all(
        a == b or near(_number(a), _number(b), tolerance, tolerance) for a, b in zip(wanted, seen, strict=True)
    )


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
