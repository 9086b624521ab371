"""Which programming language a stretch of work is about, by the files it touched, what it ran and what it saw. Pure.

Each piece of evidence leaves a set of languages possible; pieces of one rank must agree. What was edited decides before
what was read, that before what was run, and that before what was printed. Where the deciding rank does not agree the
work is mixed and nobody gets it.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType

from flywheel.core.frozen import Frozen
from flywheel.sources.shell_words import words_of

LANGUAGES = (
    "c", "cpp", "csharp", "dart", "elixir", "go", "haskell", "java", "javascript", "kotlin", "lua", "php", "python",
    "ruby", "rust", "scala", "shell", "sql", "swift", "typescript", "zig",
)  # fmt: skip

Possible = frozenset[str]

_C = frozenset({"c", "cpp"})
_NODE = frozenset({"javascript", "typescript"})
_JVM = frozenset({"java", "kotlin", "scala"})


def _by_words(**names: str) -> dict[str, Possible]:
    return {word: frozenset({name}) for name, words in names.items() for word in words.split()}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EXTENSIONS: Mapping[str, Possible] = MappingProxyType(
    _by_words(
        c="c", cpp="cc cpp cxx hpp hh hxx", csharp="cs csx", dart="dart", elixir="ex exs", go="go", haskell="hs",
        java="java", javascript="js jsx mjs cjs", kotlin="kt kts", lua="lua", php="php", python="py pyi ipynb",
        ruby="rb rake gemspec", rust="rs", scala="scala sbt", sql="sql", swift="swift",
        typescript="ts tsx mts cts", zig="zig",
    )
    | {"h": _C, **dict.fromkeys(_words("sh bash zsh fish"), frozenset({"shell"}))}
)  # fmt: skip

_FILES: Mapping[str, Possible] = MappingProxyType(
    {
        "cargo.toml": frozenset({"rust"}), "cargo.lock": frozenset({"rust"}),
        "tsconfig.json": frozenset({"typescript"}),
        "package.json": _NODE, "package-lock.json": _NODE, "pnpm-lock.yaml": _NODE, "yarn.lock": _NODE,
        "pyproject.toml": frozenset({"python"}), "requirements.txt": frozenset({"python"}),
        "gemfile": frozenset({"ruby"}), "gemfile.lock": frozenset({"ruby"}), "rakefile": frozenset({"ruby"}),
        "go.mod": frozenset({"go"}), "go.sum": frozenset({"go"}), "pom.xml": _JVM, "build.gradle": _JVM,
        "cmakelists.txt": _C, "mix.exs": frozenset({"elixir"}), "composer.json": frozenset({"php"}),
    }
)  # fmt: skip

_PROGRAMS: Mapping[str, Possible] = MappingProxyType(
    _by_words(
        cpp="g++ clang++",
        csharp="dotnet",
        dart="dart flutter",
        elixir="mix iex",
        haskell="ghc cabal stack",
        kotlin="kotlinc ktlint",
        lua="luarocks busted",
        php="php composer phpunit",
        python="pip pip3 pytest ruff mypy pyright tox nox poetry uv pipenv black flake8",
        ruby="bundle bundler gem rspec rake rails rubocop irb",
        rust="cargo rustc rustfmt rustup",
        scala="sbt scalac",
        swift="swiftc xcodebuild swiftlint",
        typescript="tsc ts-node tsx",
        zig="zig",
    )
    | dict.fromkeys(_words("npm yarn pnpm bun node jest vitest mocha eslint"), _NODE)
    | dict.fromkeys(_words("gcc clang cmake ctest"), _C)
    | dict.fromkeys(_words("mvn mvnw gradle gradlew"), _JVM)
    | dict.fromkeys(_words("javac jar"), frozenset({"java"}))
)

# Words that are programs and ordinary words alike count only with what they are told to do.
_WITH_COMMAND: Mapping[str, tuple[Possible, frozenset[str]]] = MappingProxyType(
    {
        "go": (frozenset({"go"}), _words("build test run vet mod get fmt generate install work tool list")),
        "swift": (frozenset({"swift"}), _words("build test run package format")),
    }
)
_CARRIERS = frozenset({"npx", "bunx", "pnpx"})
_INTERPRETERS: Mapping[str, Possible] = MappingProxyType(_by_words(python="python python3", ruby="ruby", java="java"))

_MENTION = re.compile(r"(?<![\w.])[\w./\\-]*?[\w-]\.([A-Za-z]{1,6})(?![\w])")
_PHRASES: tuple[tuple[re.Pattern[str], Possible], ...] = tuple(
    (re.compile(pattern, re.MULTILINE), frozenset({name}))
    for pattern, name in (
        (r"^error\[E\d{4}\]", "rust"),
        (r"^\s*Compiling [\w-]+ v\d+\.\d+", "rust"),
        (r"\berror TS\d{3,5}\b", "typescript"),
        (r"^Traceback \(most recent call last\):", "python"),
        (r"^={3,} .*\b(?:passed|failed|error|errors)\b.* in [\d.]+s", "python"),
        (r"^\d+ examples?, \d+ failures?", "ruby"),
        (r"^\?? ?(?:ok|FAIL)\s+\S+\s+[\d.]+s$", "go"),
    )
)
_PRODUCTS = _words("node next nuxt vue react express three d3 chart socket")  # `Node.js` is no file
_LONGEST_OUTPUT = 20_000  # characters: what a tool printed tells its language at once or not at all


class Evidence(Frozen):
    """What was touched, run and printed in one stretch of work."""

    edited: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    printed: tuple[str, ...] = ()


def language_of(evidence: Evidence) -> str | None:
    """Return the one language the work is about, or None when nothing tells or the evidence does not agree."""
    ranks = (
        [found for path in evidence.edited if (found := of_path(path))],
        [found for path in evidence.read if (found := of_path(path))],
        [found for command in evidence.commands for found in of_command(command)],
        [found for text in evidence.printed if (found := of_output(text))],
    )
    possible: Possible | None = None
    for rank in ranks:
        agreed = _agreed(rank, possible)
        if agreed is not None and not agreed:
            return None
        possible = agreed if agreed is not None else possible
        if possible is not None and len(possible) == 1:
            return next(iter(possible))
    return None


def of_path(path: str) -> Possible | None:
    """Return which languages a file may be of; None for what is of no language (prose, data, configuration)."""
    name = PurePosixPath(path.replace("\\", "/").strip()).name.lower()
    if name in _FILES:
        return _FILES[name]
    stem, dot, extension = name.rpartition(".")
    return _EXTENSIONS.get(extension) if dot and stem else None


def of_command(command: str) -> list[Possible]:
    """Return for each program the command line runs which languages it speaks of."""
    return [found for words in words_of(command) if (found := _of_words(words))]


def of_output(text: str) -> Possible | None:
    """Return which languages a tool's output speaks of: by phrases of compilers and runners, else by files named."""
    text = text[:_LONGEST_OUTPUT]
    for pattern, possible in _PHRASES:
        if pattern.search(text):
            return possible
    named = {found for match in _MENTION.finditer(text) if (found := _mentioned(match))}
    agreed = _agreed(named, None)
    return agreed or None


def _mentioned(match: re.Match[str]) -> Possible | None:
    name = match[0].lower()
    if name.startswith("//") or name.rpartition(".")[0] in _PRODUCTS:  # a host of a URL, a product
        return None
    return _EXTENSIONS.get(match[1].lower())


def _of_words(words: list[str]) -> Possible | None:
    program = PurePosixPath(words[0]).name
    if program in _CARRIERS:
        carried = [word for word in words[1:] if not word.startswith("-")]
        return (_of_words(carried) if carried else None) or _NODE
    if program in _WITH_COMMAND:
        possible, commands = _WITH_COMMAND[program]
        return possible if any(word in commands for word in words[1:2]) else None
    if program in _INTERPRETERS:  # `python3 -c …` is everybody's helper; a module or a file of its own is the work
        told = [word for word in words[1:] if not word.startswith("-")]
        named = "-m" in words[1:] or any(of_path(word) == _INTERPRETERS[program] for word in told)
        return _INTERPRETERS[program] if named else None
    return _PROGRAMS.get(program)


def _agreed(rank: Iterable[Possible], before: Possible | None) -> Possible | None:
    """Return what all of a rank leave possible, None when the rank is empty; a lower rank only narrows a higher one."""
    agreed: Possible | None = None
    for possible in rank:
        agreed = possible if agreed is None else agreed & possible
    if agreed is None or before is None:
        return agreed
    return agreed & before or before
