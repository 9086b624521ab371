"""Returns more than anybody wants to read."""


def solve(number):
    return ["x" * 1_000_000] * 300
