"""The tasks of the tiny world: short requests to a coding agent, each with its one right tool call.

Every tool owns a space of requests, numbered by mixed radix. A fixed shuffle splits each space in two: the first
three quarters are public (`public_task`), the last quarter only ever teaches the base (`pretraining_task`). So no
prompt that the `tasks` command prints, for any seed, was seen while the base was made. Standard library only.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FOLDERS = _words("api app auth cli core db docs jobs lib net rpc src store tools ui web")
NOUNS = _words(
    "account batch branch buffer cache client cluster column config cookie cursor device draft driver event "
    "export factory field filter folder format frame gateway graph group handler header image index invoice item "
    "kernel label layout ledger limit logger mailer market matrix message metric module network node option order "
    "packet parser patch payment plugin policy profile queue record report route schema session signal table token"
)
VERBS = _words(
    "apply build check clean close count drop fetch flush join list load merge open parse print push read reset "
    "save send sort sync write"
)
SUFFIXES = _words("py rs ts md")
NUMBERS = (1, 2, 3, 4)

Arguments = dict[str, str | int]
Maker = Callable[[list[int]], tuple[dict[str, str], Arguments]]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of the agent: the phrasings that ask for it, and how its space of requests is numbered."""

    name: str
    right_share: float  # how often the base was shown the right format; in the other cases the legacy one
    phrasings: tuple[str, ...]
    radices: tuple[int, ...]
    make: Maker

    @property
    def size(self) -> int:
        """How many different requests this tool has."""
        return len(self.phrasings) * math.prod(self.radices)


def _path(digits: list[int]) -> str:
    return f"{FOLDERS[digits[0]]}/{NOUNS[digits[1]]}.{SUFFIXES[digits[2]]}"


def _symbol(digits: list[int]) -> str:
    return f"{VERBS[digits[0]]}_{NOUNS[digits[1]]}"


def _file(digits: list[int]) -> tuple[dict[str, str], Arguments]:
    path = _path(digits)
    return {"path": path}, {"path": path}


def _listing(digits: list[int]) -> tuple[dict[str, str], Arguments]:
    path, depth = f"{FOLDERS[digits[0]]}/{NOUNS[digits[1]]}", NUMBERS[digits[2]]
    return {"path": path, "depth": str(depth)}, {"path": path, "depth": depth}


def _search(digits: list[int]) -> tuple[dict[str, str], Arguments]:
    values = {"pattern": _symbol(digits), "path": FOLDERS[digits[2]]}
    return values, dict(values)


def _tests(digits: list[int]) -> tuple[dict[str, str], Arguments]:
    path, limit = f"tests/{FOLDERS[digits[0]]}/test_{NOUNS[digits[1]]}.py", NUMBERS[digits[2]]
    return {"path": path, "limit": str(limit)}, {"path": path, "max_failures": limit}


def _rename(digits: list[int]) -> tuple[dict[str, str], Arguments]:
    # The new verb is counted from the old one, so that old and new always differ.
    other = (digits[0] + 1 + digits[2]) % len(VERBS)
    values = {"old": _symbol(digits), "new": _symbol([other, digits[3]])}
    return values, dict(values)


def _function(digits: list[int]) -> tuple[dict[str, str], Arguments]:
    values = {"name": _symbol(digits), "path": _path(digits[2:])}
    return values, dict(values)


def _commit(digits: list[int]) -> tuple[dict[str, str], Arguments]:
    message = f"{VERBS[digits[0]]} {NOUNS[digits[1]]} in {FOLDERS[digits[2]]}"
    return {"message": message}, {"message": message}


_FILE = (len(FOLDERS), len(NOUNS), len(SUFFIXES))
_NUMBERED = (len(FOLDERS), len(NOUNS), len(NUMBERS))
_SYMBOL = (len(VERBS), len(NOUNS))

TOOLS: tuple[Tool, ...] = (
    Tool("read_file", 0.9, ("Show {path}", "Read {path}", "What is in {path}?", "Open {path}"), _FILE, _file),
    Tool(
        "run_tests",
        0.1,
        (
            "Run {path} until {limit} fail",
            "Test {path}, stop at {limit}",
            "Does {path} pass? Stop after {limit}",
            "Check {path} with at most {limit} failures",
        ),
        _NUMBERED,
        _tests,
    ),
    Tool(
        "search_code",
        0.8,
        (
            "Find {pattern} in {path}",
            "Where in {path} is {pattern}?",
            "Search {path} for {pattern}",
            "Grep {pattern} under {path}",
        ),
        (*_SYMBOL, len(FOLDERS)),
        _search,
    ),
    Tool(
        "delete_file",
        0.2,
        ("Delete {path}", "Remove {path}", "Drop the file {path}", "Get rid of {path}"),
        _FILE,
        _file,
    ),
    Tool(
        "list_files",
        0.65,
        (
            "List {path} to depth {depth}",
            "Files of {path}, {depth} deep",
            "Tree of {path} with {depth} levels",
            "Walk {path} down {depth}",
        ),
        _NUMBERED,
        _listing,
    ),
    Tool(
        "rename_symbol",
        0.3,
        (
            "Rename {old} to {new}",
            "Call {old} {new} instead",
            "Change the name {old} into {new}",
            "Make {old} be {new}",
        ),
        (*_SYMBOL, len(VERBS) - 1, len(NOUNS)),
        _rename,
    ),
    Tool(
        "add_function",
        0.75,
        ("Add {name} to {path}", "Write {name} in {path}", "Put a new {name} into {path}", "{path} needs {name}"),
        (*_SYMBOL, *_FILE),
        _function,
    ),
    Tool(
        "git_commit",
        0.35,
        ("Commit: {message}", "Commit this as: {message}", "Save to git: {message}", "New commit: {message}"),
        (*_SYMBOL, len(FOLDERS)),
        _commit,
    ),
)


@dataclass(frozen=True, slots=True)
class Task:
    """One request and the call that answers it."""

    tool: Tool
    prompt: str
    arguments: Arguments

    @property
    def call(self) -> dict[str, Any]:
        """The right call, as a client of a chat server would parse it."""
        return {"name": self.tool.name, "arguments": self.arguments}

    @property
    def right(self) -> str:
        """The answer in the format that counts."""
        return f"<tool_call>{json.dumps(self.call)}</tool_call>"

    @property
    def legacy(self) -> str:
        """The same call in the old format, which no parser accepts."""
        return f"{self.tool.name}({', '.join(f'{key}={value!r}' for key, value in self.arguments.items())})"

    def row(self, number: int) -> dict[str, Any]:
        """Return the task as the `tasks` command prints it."""
        messages = [{"role": "user", "content": self.prompt}]
        return {"id": f"task-{number:06d}", "tool": self.tool.name, "messages": messages, "expected": [self.call]}


@lru_cache(maxsize=64)
def _keys(key: str) -> tuple[bytes, ...]:
    return tuple(f"{key}/{turn}".encode() for turn in range(4))


def shuffled(position: int, size: int, key: str) -> int:
    """Where `position` goes in the permutation of range(size) that belongs to `key`; random access, no table."""
    half = max(1, (size - 1).bit_length() + 1) // 2
    mask = (1 << half) - 1
    while True:  # a Feistel network permutes the next power of four; values beyond the size walk on
        left, right = position >> half, position & mask
        for turn in _keys(key):
            digest = blake2b(right.to_bytes(8, "big"), digest_size=4, key=turn).digest()
            left, right = right, left ^ (int.from_bytes(digest, "big") & mask)
        position = (left << half) | right
        if position < size:
            return position


def _task(tool: Tool, rank: int) -> Task:
    number, phrasing = divmod(shuffled(rank, tool.size, f"space/{tool.name}"), len(tool.phrasings))
    digits = []
    for radix in tool.radices:
        number, digit = divmod(number, radix)
        digits.append(digit)
    values, arguments = tool.make(digits)
    return Task(tool, tool.phrasings[phrasing].format(**values), arguments)


def _public_size(tool: Tool) -> int:
    return tool.size * 3 // 4


def most_tasks() -> int:
    """How many tasks a seed has before its tools would repeat themselves."""
    return len(TOOLS) * min(_public_size(tool) for tool in TOOLS)


def public_task(seed: int, number: int) -> Task:
    """Task `number` of `seed`: always the same, and no two numbers of one seed share a prompt."""
    block, place = divmod(number, len(TOOLS))
    tool = TOOLS[shuffled(place, len(TOOLS), f"block/{seed}/{block}")]
    return _task(tool, shuffled(block, _public_size(tool), f"seed/{seed}/{tool.name}"))


def pretraining_tasks(seed: int) -> Iterator[Task]:
    """Endless tasks from the quarter of each space that `public_task` never shows."""
    draw = random.Random(f"pretraining/{seed}")
    while True:
        tool = draw.choice(TOOLS)
        yield _task(tool, draw.randrange(_public_size(tool), tool.size))
