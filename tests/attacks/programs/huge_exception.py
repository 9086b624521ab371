"""Raises an error whose words fill the memory, and whose name is no name."""


def solve(number):
    raise type("E\n" + "x" * 10_000_000, (Exception,), {})("y" * 200_000_000)
