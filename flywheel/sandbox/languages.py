"""What a program becomes for the box: one plain trial for each input or call, whatever its language. Pure."""

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field

from flywheel.core.errors import MisuseError
from flywheel.core.frozen import Frozen
from flywheel.sandbox.programs import Call, Limits, Program

_NEEDS_NODE = "node is not installed where the executor runs: install nodejs"
_NEEDS_STRIPPING = "this node runs no TypeScript: node 22.6 or newer does (--experimental-strip-types)"
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)?")
_SOURCES = {"javascript": "solution.js", "typescript": "solution.ts"}
#: Runs the entry in the same file, where exported and plain names are both in reach; the value leaves by descriptor 3.
_CALLER = """
;(async () => {{
  const {{ writeSync }} = (process.getBuiltinModule ?? require)("fs");
  const say = (word) => writeSync(3, JSON.stringify(word));
  try {{
    const value = await {entry}(...{args});
    say({{ value: JSON.stringify(value === undefined ? null : value) }});
  }} catch (error) {{
    say({{ raised: String(error).slice(0, 500) }});
    process.exitCode = 1;
  }}
}})();
"""


class UnsupportedError(Exception):
    """The program's language cannot be run here; says what is missing."""


class Runtimes(Frozen):
    """What can be run beside Python."""

    node: str = ""
    strips_types: bool = False


class Trial(Frozen):
    """One thing to do in a box: a script, a call, or a command. This is what crosses into it, as JSON."""

    kind: Literal["script", "call", "command"]
    code: str = ""
    entry: str = ""
    stdin: str = ""
    call: Call | None = None
    files: dict[str, str] = Field(default_factory=dict)
    argv: tuple[str, ...] = ()
    limits: Limits = Limits()

    @property
    def returns(self) -> bool:
        """Tell whether it is to say a value: a call does, and a command that calls an entry of its own."""
        return self.kind == "call" or (self.kind == "command" and bool(self.entry))


def is_inside(name: str) -> bool:
    """Tell whether a file's name stays in the folder it is written to."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def trials_of(program: Program, runtimes: Runtimes) -> tuple[Trial, ...]:
    """Return a program's tests, in order; MisuseError where it contradicts itself, UnsupportedError where none run."""
    _check_texts(program)
    if program.inputs and program.calls:
        raise MisuseError("a program has inputs or calls, not both", "send two programs")
    if program.calls and not program.entry:
        raise MisuseError("a program with calls names its entry", "name the function as `entry`")
    if program.command:
        return _commands(program, program.files, program.command)
    if program.language != "python":
        return _node_tests(program, runtimes)
    if program.calls:
        return tuple(_trial(program, "call", call=call) for call in program.calls)
    return tuple(_trial(program, "script", stdin=stdin) for stdin in program.inputs or ("",))


def said(value: Program | Trial) -> dict[str, Any]:
    """Return a value as the JSON object that crosses a wire; MisuseError where it is nested too deep to be said.

    Not by pydantic's own JSON, which says null for a number that is not finite.
    """
    try:
        return value.model_dump()
    except ValueError as error:
        raise MisuseError(f"a program cannot be sent: {error}", "nest its arguments less deep") from error


def count_runs(program: Program) -> int:
    """Return how many runs a program has: one for each input or call, one where it has neither."""
    return len(program.inputs or program.calls) or 1


def _check_texts(program: Program) -> None:
    for name in program.files:
        if not is_inside(name):
            raise MisuseError(f"the file {name!r} leads out of the program's folder", "name it relative to the folder")
    texts = (program.code, program.entry, *program.inputs, *program.command, *program.files, *program.files.values())
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError as error:
        raise MisuseError("a text of the program holds half a character", "send whole Unicode text") from error
    if any("\0" in word for word in program.command):
        raise MisuseError("a word of the command holds a null", "send a command that can be run")


def _trial(program: Program, kind: Literal["script", "call"], stdin: str = "", call: Call | None = None) -> Trial:
    return Trial(
        kind=kind,
        code=program.code,
        entry=program.entry,
        stdin=stdin,
        call=call,
        files=program.files,
        limits=program.limits,
    )


def _commands(program: Program, files: dict[str, str], argv: tuple[str, ...]) -> tuple[Trial, ...]:
    if program.calls:
        raise MisuseError("a program with a command has inputs, not calls", "send the calls without a command")
    return tuple(
        Trial(kind="command", files=files, argv=argv, stdin=stdin, limits=program.limits)
        for stdin in program.inputs or ("",)
    )


def _node_tests(program: Program, runtimes: Runtimes) -> tuple[Trial, ...]:
    if not runtimes.node:
        raise UnsupportedError(_NEEDS_NODE)
    if program.language == "typescript" and not runtimes.strips_types:
        raise UnsupportedError(_NEEDS_STRIPPING)
    name = _SOURCES[program.language]
    stripping = ("--experimental-strip-types", "--no-warnings") if program.language == "typescript" else ()
    argv = (runtimes.node, *stripping, name)
    if not program.calls:
        return _commands(program, {**program.files, name: program.code}, argv)
    return tuple(
        Trial(
            kind="command", files={**program.files, name: program.code + _caller(program.entry, call)}, argv=argv,
            entry=program.entry, limits=program.limits,
        )
        for call in program.calls
    )  # fmt: skip


def _caller(entry: str, call: Call) -> str:
    if not _IDENTIFIER.fullmatch(entry):
        raise MisuseError(f"{entry!r} is no name of a function", "name the function as `entry`")
    if call.kwargs:
        raise MisuseError("a call of JavaScript or TypeScript has no keyword arguments", "pass them in args")
    first, _, method = entry.partition(".")
    return _CALLER.format(entry=f"(new {first}()).{method}" if method else entry, args=json.dumps(list(call.args)))


def find_runtimes() -> Runtimes:
    """Return what this machine can run beside Python, by asking it."""
    import shutil
    import subprocess

    found = shutil.which("node")
    if found is None:
        return Runtimes()
    node = str(Path(found).resolve())
    asked = [node, "--experimental-strip-types", "--version"]
    try:
        strips = subprocess.run(asked, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return Runtimes()
    return Runtimes(node=node, strips_types=strips)
