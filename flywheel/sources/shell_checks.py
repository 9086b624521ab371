"""What a finished command proves about the work before it: did tests, a build or a linter pass. Pure.

The exit status counts where it is the checking program's own (`cargo test | tail` ends with the status of `tail`);
where it is not, the summary that test runners print decides, with less weight.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Literal, NamedTuple

from flywheel.sources.shell_words import Command, commands_of, ending

Kind = Literal["test", "build"]

NOT_FOUND = frozenset({126, 127})  # the shell could not run it at all
STOPPED = frozenset({124, 130, 137, 143})  # timed out, interrupted or killed: nothing was found out

_TEST, _BUILD = 0.9, 0.7  # what a passing check is worth: a build says that it compiles, not that it works
_FAILED, _BY_OUTPUT, _NOTHING_RAN = 0.8, 0.7, 0.4


def _all(text: str, kind: Kind) -> dict[str, Kind]:
    return dict.fromkeys(text.split(), kind)


# Programs that are checks whatever they are told, and those that are with these first words.
_ALWAYS: Mapping[str, Kind] = MappingProxyType(
    _all("pytest jest vitest mocha rspec phpunit tox nox ctest busted nextest", "test")
    | _all("tsc mypy pyright ruff eslint rubocop javac rustc swiftlint flake8 gcc g++ clang", "build")
)  # fmt: skip
_TOLD: Mapping[str, Mapping[str, Kind]] = MappingProxyType(
    {
        "cargo": {"test": "test", "nextest": "test", "t": "test", "check": "build", "build": "build", "clippy": "build",
                  "b": "build", "c": "build"},
        "go": {"test": "test", "build": "build", "vet": "build"},
        "swift": {"test": "test", "build": "build"},
        "dotnet": {"test": "test", "build": "build"},
        "mix": {"test": "test", "compile": "build"},
        "zig": {"test": "test", "build": "build"},
        "deno": {"test": "test", "check": "build", "lint": "build"},
        "node": {"--test": "test"},
        "rake": {"test": "test", "spec": "test"},
        "rails": {"test": "test"},
        "make": {"test": "test", "tests": "test", "check": "test", "lint": "build", "build": "build", "all": "build"},
        "just": {"test": "test", "check": "test", "build": "build", "lint": "build"},
        "xcodebuild": {"test": "test", "build": "build"},
        "stack": {"test": "test", "build": "build"},
        "sbt": {"test": "test", "compile": "build"},
    }
)  # fmt: skip
_SCRIPTS: Mapping[str, Kind] = MappingProxyType(
    {"test": "test", "tests": "test", "t": "test", "build": "build", "lint": "build", "typecheck": "build",
     "type-check": "build", "check": "build"}
)  # fmt: skip
_RUNNERS = frozenset({"npm", "yarn", "pnpm", "bun"})  # they run what the project calls `test`
_CARRIERS = frozenset({"npx", "bunx", "pnpx", "bundle", "poetry", "uv", "pipenv", "python", "python3", "hatch"})
_CARRIED = frozenset({"exec", "run", "-m"})
_JVM = frozenset({"mvn", "mvnw", "gradle", "gradlew"})
_JVM_TOLD: Mapping[str, Kind] = MappingProxyType(
    {"test": "test", "verify": "test", "check": "test", "build": "build", "compile": "build", "package": "build"}
)

_FAILING = re.compile(
    r"^test result: FAILED|^# fail [1-9]|^not ok \d|^=+ .*\b[1-9]\d* (?:failed|errors?)\b|^Tests:?\s.*\b[1-9]\d* failed"
    r"|^--- FAIL|^FAIL\b|\d+ examples?, [1-9]\d* failures?|^FAILED \(|\bBUILD FAIL(?:URE|ED)\b|^error(?:\[E\d+\])?:"
    r"|\berror TS\d+|Tests run: .*(?:Failures|Errors): [1-9]|Executed \d+ tests?, with [1-9]|\b[1-9]\d* failing\b",
    re.MULTILINE,
)
_PASSING = re.compile(
    r"^test result: ok\. [1-9]|^# pass [1-9]|^=+ .*\b[1-9]\d* passed\b|^Tests:?\s.*\b[1-9]\d* passed|^ok\s+\S+\s"
    r"|\b[1-9]\d* examples?, 0 failures|^OK(?: \(|$)|\bBUILD SUCCESS|Executed [1-9]\d* tests?, with 0 failures"
    r"|Tests run: [1-9]\d*, Failures: 0, Errors: 0|\b[1-9]\d* passing\b",
    re.MULTILINE,
)
_NONE_RAN = re.compile(
    r"no tests ran|collected 0 items|^running 0 tests$|^# tests 0$|No tests? found|no test files|no tests to run"
    r"|^0 examples|Executed 0 tests|^Ran 0 tests",
    re.MULTILINE | re.IGNORECASE,
)
_LONGEST_OUTPUT = 100_000


class Check(NamedTuple):
    """A check that was run: whether it passed (None: nobody can say), and how much that proves."""

    kind: Kind
    passed: bool | None
    strength: float


def check_of(line: str, status: int | None, output: str) -> Check | None:
    """Return what a finished command line checked; None when it checked nothing."""
    commands = commands_of(line)
    kinds = [found for command in commands if (found := _kind(command.words))]
    if not kinds:
        return None
    kind: Kind = "test" if "test" in kinds else "build"
    if status is None or status in NOT_FOUND | STOPPED:
        return Check(kind, None, 0.0)
    proven, failing = ending(commands)
    text = output[-_LONGEST_OUTPUT:]
    if status == 0 and _any_check(proven):
        return _passed(kind, text)
    if status != 0 and _any_check(failing):
        return Check(kind, passed=False, strength=_FAILED)
    return _by_output(kind, text)


def _passed(kind: Kind, text: str) -> Check:
    if kind == "build":
        return Check(kind, passed=True, strength=_BUILD)
    if _FAILING.search(text):
        return Check(kind, None, 0.0)  # the status and the summary contradict each other
    nothing = _NONE_RAN.search(text) and not _PASSING.search(text)
    return Check(kind, passed=True, strength=_NOTHING_RAN if nothing else _TEST)


def _by_output(kind: Kind, text: str) -> Check:
    if _FAILING.search(text):
        return Check(kind, passed=False, strength=_BY_OUTPUT)
    if _PASSING.search(text):
        return Check(kind, passed=True, strength=_BY_OUTPUT)
    return Check(kind, None, 0.0)


def _any_check(commands: Sequence[Command]) -> bool:
    return any(_kind(command.words) for command in commands)


def _kind(words: Sequence[str]) -> Kind | None:
    """Return what kind of check a command is, looking through those that only carry another (`npx`, `bundle exec`)."""
    program = PurePosixPath(words[0]).name
    told = list(words[1:])
    if program in _CARRIERS:
        while told and (told[0] in _CARRIED or told[0] in {"-y", "--yes"}):
            told = told[1:]
        if told and told[0] == "unittest":
            return "test"
        return _kind(told) if told and told[0] not in _CARRIERS else None
    if program in _RUNNERS:
        scripts = [word for word in told if word not in {"run", "run-script"} and not word.startswith("-")]
        name = scripts[0].partition(":")[0] if scripts else ""
        return _SCRIPTS.get(name) or _ALWAYS.get(name)
    if program in _JVM:
        return next((kind for word in told if (kind := _JVM_TOLD.get(word.rpartition(":")[2]))), None)
    if program in _TOLD:
        return next((kind for word in told[:3] if (kind := _TOLD[program].get(word))), None)
    return _ALWAYS.get(program)
