"""Asks git about somebody's clone: never writes, runs nothing that the clone configures."""

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flywheel.core.errors import MisuseError, PermanentError

# A clone's own configuration may name programs: none of them is run.
_QUIET = (
    "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-c", "core.pager=cat", "-c", "diff.external=",
    "-c", "log.showSignature=false", "-c", "core.hooksPath=/dev/null",
)  # fmt: skip
_PIECE = 256 * 1024
_PIPE = 60_000  # bytes that a pipe takes in any case


def git(repo: Path, *arguments: str, given: bytes | None = None) -> bytes:
    """Return what a command of git says; raises PermanentError with git's own last line."""
    done = subprocess.run(_argv(repo, arguments), input=given, capture_output=True, check=False, env=_env())
    if done.returncode:
        raise _failed(repo, done.stderr)
    return done.stdout


def fields_of(repo: Path, *arguments: str, given: Iterable[str] | None = None) -> Iterator[bytes]:
    """Yield what stands between the zero bytes of git's answer, holding no more than a piece of it."""
    told = None if given is None else "\n".join(given).encode()
    with _running(repo, arguments, told) as process:
        assert process.stdout is not None
        rest = b""
        while piece := process.stdout.read(_PIECE):
            *whole, rest = (rest + piece).split(b"\0")
            yield from whole
        if rest:
            yield rest


def lines_of(repo: Path, *arguments: str) -> Iterator[str]:
    """Yield the lines of git's answer."""
    with _running(repo, arguments, None) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield line.decode("utf-8", "surrogateescape").rstrip("\n")


def check_clone(repo: Path) -> None:
    """Raise MisuseError where there is no history that can be read."""
    if not repo.is_dir():
        raise MisuseError(f"there is no folder {repo}", "name a local clone of a repository")
    try:
        git(repo, "rev-parse", "--verify", "HEAD^{commit}")
    except PermanentError as error:
        raise MisuseError(f"{repo} has no history that can be mined: {error.message}", error.mend) from error


def head_of(repo: Path) -> str:
    """Return the commit that the clone stands on."""
    return git(repo, "rev-parse", "--verify", "HEAD^{commit}").decode().strip()


def has_commit(repo: Path, name: str) -> bool:
    """Tell whether a commit is there, and one that HEAD comes from: a history may have been written anew."""
    try:
        git(repo, "merge-base", "--is-ancestor", name, "HEAD")
    except PermanentError:
        return False
    return True


def strays(repo: Path, names: Sequence[str], head: str) -> set[str]:
    """Return which of some hundreds of commits are not there any more, or do not lead to `head`."""
    told = git(repo, "cat-file", "--batch-check", given="\n".join(names).encode()).decode().splitlines()
    gone = {line.partition(" ")[0] for line in told if line.endswith(" missing")}
    there = [name for name in names if name not in gone]
    return gone | ({*lines_of(repo, "rev-list", *there, "--not", head)} & {*there} if there else set())


def file_at(repo: Path, commit: str, path: str) -> bytes | None:
    """Return a file as it was in a commit; None where it was not."""
    try:
        return git(repo, "cat-file", "blob", f"{commit}:{path}")
    except PermanentError:
        return None


@contextmanager
def _running(repo: Path, arguments: Sequence[str], given: bytes | None) -> "Iterator[subprocess.Popen[bytes]]":
    assert given is None or len(given) <= _PIPE  # or git would wait for us while we wait for git
    pipe = subprocess.PIPE
    with subprocess.Popen(_argv(repo, arguments), env=_env(), stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        process.stdin.write(given or b"")
        process.stdin.close()
        try:
            yield process
        except GeneratorExit:
            process.kill()
            raise
        told = process.stderr.read() if process.stderr else b""
        if process.wait():
            raise _failed(repo, told)


def _argv(repo: Path, arguments: Sequence[str]) -> list[str]:
    return ["git", "-C", str(repo), *_QUIET, *arguments]


def _env() -> dict[str, str]:
    return {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", "GIT_PAGER": "cat"}


def _failed(repo: Path, told: bytes) -> PermanentError:
    lines = told.decode("utf-8", "replace").strip().splitlines() or ["git said nothing"]
    mend = (
        "git config --global --add safe.directory PATH"
        if "dubious ownership" in told.decode("utf-8", "replace")
        else ""
    )
    return PermanentError(f"{repo.name}: {lines[0].removeprefix('fatal: ')}"[:300], mend)
