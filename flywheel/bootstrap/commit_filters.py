"""Which commits are lessons: small, by a person, of code, and saying what they do. Pure.

A commit is rejected for its first reason in the order below, so that the counts of a history add up to its commits.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from flywheel.bootstrap.commit_messages import fault_of, subject_of
from flywheel.bootstrap.commit_words import BOTS

MOST_FILES = 5
MOST_LINES = 199

_CODE = frozenset({".py", ".pyi", ".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs"})
_OWN_CODE = _CODE | {".rs", ".rb", ".swift"}  # one's own specialists' languages
_DOCS = frozenset({".md", ".rst", ".txt", ".adoc", ".markdown", ".png", ".svg", ".jpg", ".gif", ".ipynb"})
_DOC_NAMES = re.compile(r"(?i)(licen[cs]e|copying|authors|contributors|changelog|changes|news|history|readme|notice)")
_CI_FOLDERS = frozenset({".github", ".circleci", ".gitlab", ".buildkite", ".azure-pipelines", ".woodpecker"})
_CI_NAMES = frozenset({
    ".travis.yml", ".gitlab-ci.yml", "appveyor.yml", ".appveyor.yml", "azure-pipelines.yml", "jenkinsfile",
    ".pre-commit-config.yaml", "codecov.yml", ".codecov.yml", "dependabot.yml", "renovate.json", ".cirrus.yml",
})  # fmt: skip
_VERSION_NAMES = frozenset({
    "version", "version.py", "_version.py", "__about__.py", "version.txt", "package.json", "package-lock.json",
    "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "pdm.lock", "uv.lock", "pipfile.lock", "setup.cfg",
    ".bumpversion.cfg",
})  # fmt: skip
_VERSION = r"v?\d+\.\d+(?:\.\d+)*(?:[-.]?(?:a|b|rc|alpha|beta|dev|post)\.?\d*)?"
_BUMP = re.compile(
    rf"(?i)^(?:{_VERSION}$"
    rf"|(?:bump|release|prepare|tag|start|begin|back to)\b.*\b(?:{_VERSION}|version|release|development)"
    r"|.*\bversion bump\b|bump\s+\S+\s+(?:from|to)\b)"
)


class Change(NamedTuple):
    """What a commit did to one file."""

    path: str
    added: int
    deleted: int


class Commit(NamedTuple):
    """What is known of a commit before its trees are read; `own` ones may be in more languages."""

    message: str
    author: str
    email: str
    parents: int
    changes: tuple[Change, ...]
    own: bool = False


REASONS = (
    "merge", "bot", "revert", "no file", "more than five files", "200 lines or more", "version bump", "CI only",
    "docs only", "no Python, TypeScript or JavaScript", "no language that is read",
    "message of fewer than three words", "generic message", "message does not begin with an imperative verb",
    "message without an object",
)  # fmt: skip


def reason_against(commit: Commit) -> str:
    """Return the first reason against a commit; nothing when it is a lesson."""
    return _by_whom(commit) or _by_size(commit) or _by_kind(commit) or fault_of(commit.message)


def is_poor_message_alone(commit: Commit) -> bool:
    """Tell whether all but the message speaks for a commit, so that a better message would make it a lesson."""
    return not (_by_whom(commit) or _by_size(commit) or _by_kind(commit)) and bool(fault_of(commit.message))


def is_bot(author: str, email: str) -> bool:
    """Tell whether a program made the commit."""
    names = {author.lower().strip(), email.lower().partition("@")[0].rpartition("+")[2]}
    if any(name.endswith(("[bot]", "-bot", " bot")) for name in names):
        return True
    return not BOTS.isdisjoint({name.removesuffix("[bot]").replace(" ", "-") for name in names})


def _by_whom(commit: Commit) -> str:
    if commit.parents > 1:
        return "merge"
    if is_bot(commit.author, commit.email):
        return "bot"
    return "revert" if commit.message.lstrip().lower().startswith(('revert "', "revert '", "this reverts")) else ""


def _by_size(commit: Commit) -> str:
    if not commit.changes:
        return "no file"
    if len(commit.changes) > MOST_FILES:
        return "more than five files"
    lines = sum(change.added + change.deleted for change in commit.changes)
    return "200 lines or more" if lines > MOST_LINES else ""


def _by_kind(commit: Commit) -> str:
    paths = [PurePosixPath(change.path) for change in commit.changes]
    if _BUMP.match(subject_of(commit.message)) or all(path.name.lower() in _VERSION_NAMES for path in paths):
        return "version bump"
    if all(_is_ci(path) for path in paths):
        return "CI only"
    if all(_is_doc(path) or _is_ci(path) for path in paths):
        return "docs only"
    if commit.own:
        return "" if any(is_code(path, _OWN_CODE) for path in paths) else "no language that is read"
    return "" if any(map(is_code, paths)) else "no Python, TypeScript or JavaScript"


def is_code(path: PurePosixPath, kinds: Collection[str] = _CODE) -> bool:
    """Tell whether a file is in one of the languages that lessons are made of."""
    return path.suffix.lower() in kinds and not path.name.endswith((".min.js", ".d.ts"))


def _is_ci(path: PurePosixPath) -> bool:
    return path.parts[0] in _CI_FOLDERS or path.name.lower() in _CI_NAMES


def _is_doc(path: PurePosixPath) -> bool:
    in_docs = path.parts[0].lower() in {"doc", "docs", "documentation"} and not is_code(path, _OWN_CODE)
    return in_docs or path.suffix.lower() in _DOCS or bool(_DOC_NAMES.match(path.name))


def count_reasons(commits: Sequence[Commit]) -> dict[str, int]:
    """Return how many commits were rejected for each reason, in the order of the reasons; `kept` are the others."""
    counts = dict.fromkeys(("kept", *REASONS), 0)
    for commit in commits:
        counts[reason_against(commit) or "kept"] += 1
    return counts
