"""Prints lines for ever."""

while True:
    print("a line like any other")
