"""One test in a process that was started for it: how the double runs what the fork server runs warm."""

import json
import os
import sys
from typing import Any, NoReturn

from . import performances


def main(asked: int, told: int) -> None:
    """Perform the test that descriptor `asked` holds, say what came of it on `told`, and leave."""
    with open(asked, encoding="utf-8") as source:
        test = json.load(source)

    def say(word: dict[str, Any]) -> None:
        os.write(told, json.dumps(word).encode())

    os._exit(performances.perform(test, say))


def command(told: int) -> NoReturn:
    """Become the command in our own arguments; it says its value on descriptor 3."""
    os.dup2(told, 3)
    argv = sys.argv[1:]
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - a command is a list, and no shell's
    except OSError:
        os.write(3, json.dumps({"raised": f"there is no program {argv[0]!r} in the box"}).encode())
        os._exit(127)
