"""The tiny world: a toy coding agent small enough to train on one core, for the demo and the tests.

    tiny_world.py tasks --count N --seed S [--start K]    tasks as JSON lines; standard library only
    tiny_world.py build --out DIR [--seed 0]              the tiny base model, whole or absent

It proves the machinery, not learning capacity: an adapter here brings out a format that the base already knows.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import tiny_tasks


def _whole(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tiny_world.py", description="Tasks and base model of the tiny world.")
    commands = parser.add_subparsers(dest="command", required=True)
    tasks = commands.add_parser("tasks", help="print tasks as JSON lines")
    tasks.add_argument("--count", type=_whole, required=True)
    tasks.add_argument("--seed", type=int, required=True)
    tasks.add_argument("--start", type=_whole, default=0, help="number of the first task")
    build = commands.add_parser("build", help="build the tiny base model")
    build.add_argument("--out", type=Path, required=True)
    build.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def _print_tasks(count: int, seed: int, start: int) -> int:
    limit = tiny_tasks.most_tasks()
    if start + count > limit:
        print(f"tiny_world.py: one seed has {limit} tasks; --start + --count is {start + count}", file=sys.stderr)
        return 2
    for number in range(start, start + count):
        print(json.dumps(tiny_tasks.public_task(seed, number).row(number)))
    return 0


def main(argv: list[str]) -> int:
    """Run one command; the exit status is 0, 1 when building failed, or 2 for misuse."""
    arguments = _arguments(argv)
    if arguments.command == "tasks":
        return _print_tasks(arguments.count, arguments.seed, arguments.start)
    import tiny_base  # imports torch only where it must: after it has seen that there is something to build

    return tiny_base.build(arguments.out, arguments.seed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
