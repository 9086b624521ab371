"""Returns numbers that are no JSON, and text that is no text."""


def solve(number):
    return [float("nan"), float("inf"), "\ud800", "\0", 10**5000, -0.0]
