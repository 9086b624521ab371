"""Reading a shell command line well enough to know which programs it runs and whose exit status it ends with. Pure.

Never raises: what a shell would refuse is read as far as it goes.
"""

import re
from itertools import pairwise
from typing import NamedTuple

_HERE_DOCUMENT = re.compile(r"<<-?\s*(['\"]?)(\w+)\1[^\n]*\n.*?^\s*\2\s*$", re.DOTALL | re.MULTILINE)
_TOKEN = re.compile(
    r"""(?P<space>(?:[^\S\n]|\\\n)+)
    |(?P<comment>(?<![^\s;&|])\#[^\n]*)
    |(?P<redirect>\d*(?:>>?|<)(?:&\d+|&-|&)?|&>>?)
    |(?P<operator>&&|\|\||\|&|;;|[;&|\n()]|\{(?=\s)|\}(?=[\s;&|)]|\Z))
    |(?P<word>(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|\$\((?:[^()]|\([^()]*\))*\)|\$\{[^}]*\}|[^\s;&|<>(){}'"\\]|['"\\]|\{\w*\})+)""",
    re.VERBOSE | re.DOTALL,
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_QUOTES = re.compile(r"'([^']*)'|\"((?:\\.|[^\"\\])*)\"")
_WRAPPERS = frozenset(
    {"sudo", "time", "env", "nohup", "exec", "command", "nice", "stdbuf", "xargs", "then", "do", "else"}
)
_WITH_VALUE = frozenset({"timeout"})  # its first operand is no program
_SHELLS = frozenset({"bash", "sh", "zsh", "dash"})
_BRANCHES = frozenset({"if", "for", "while", "until", "case"})  # what is inside may never have run
_CLOSERS = frozenset({"fi", "done", "esac"})
_LONGEST = 20_000  # characters: longer ones hold data, not commands


class Command(NamedTuple):
    """A program with its words, and the operator that stands before it (empty for the first)."""

    words: tuple[str, ...]
    after: str


def commands_of(line: str) -> list[Command]:
    """Return the commands of a line in order, each with the operator that joins it to the one before."""
    return [inner for command in _read(line) for inner in _opened(command)]


def words_of(line: str) -> list[list[str]]:
    """Return each command's words, without assignments and wrappers such as `sudo` or `timeout 60`."""
    return [list(command.words) for command in commands_of(line)]


def ending(commands: list[Command]) -> tuple[list[Command], list[Command]]:
    """Return the commands whose success an exit status of zero proves, and those whose failure a non-zero one may be.

    Of `cd x && cargo test` both count; of `cargo test | tail` and `cargo test; echo done` only the last; after `||` or
    inside a branch nobody knows who succeeded.
    """
    pipes = (
        frozenset()
        if any(command.words[:1] == ("set",) and "pipefail" in command.words for command in commands)
        else frozenset({"|", "|&"})
    )
    start = max((index for index, command in enumerate(commands) if command.after in {";", "\n", "&"}), default=0)
    chain = commands[start:]
    heads = [one for one, following in pairwise([*chain, Command((), "")]) if following.after not in pipes]
    unsure = any(one.after == "||" for one in chain) or any(one.words[0] in _BRANCHES for one in commands)
    return ([] if unsure else heads), heads


def _read(line: str) -> list[Command]:
    found: list[Command] = []
    words: list[str] = []
    after, skip = "", False
    for match in _TOKEN.finditer(_HERE_DOCUMENT.sub("\n", line[:_LONGEST])):
        kind = match.lastgroup
        if kind == "operator":
            if words:
                found.append(Command(tuple(words), after))
                words, after = [], match[0]
            elif after in {"", ";", "\n"}:
                after = match[0] if found else ""
            skip = False
        elif kind == "redirect":
            skip = not match[0].endswith(("-", "&")) and not match[0][-1].isdigit()
        elif kind == "word":
            if not skip:
                words.append(_unquoted(match[0]))
            skip = False
    if words:
        found.append(Command(tuple(words), after))
    return [command for command in map(_bare, found) if command.words and command.words[0] not in _CLOSERS]


def _unquoted(word: str) -> str:
    return _QUOTES.sub(lambda match: match[1] if match[1] is not None else (match[2] or ""), word)


def _bare(command: Command) -> Command:
    words = list(command.words)
    while words and (_ASSIGNMENT.match(words[0]) or words[0] in _WRAPPERS or words[0] in _WITH_VALUE):
        words = words[2:] if words[0] in _WITH_VALUE else words[1:]
        while words and words[0].startswith("-"):
            words = words[1:]
    return Command(tuple(words), command.after)


def _opened(command: Command) -> list[Command]:
    """Return what a shell is told to run with `-c`, in the place of that shell."""
    words = command.words
    if words[0] in _SHELLS and len(words) > 2 and words[1] in {"-c", "-lc", "-ec"}:  # noqa: PLR2004 - shell, flag, line
        inner = _read(words[2])
        return [inner[0]._replace(after=command.after), *inner[1:]] if inner else []
    return [command]
