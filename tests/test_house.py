"""The house rules that no linter knows."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.core.events import EVENTS
from flywheel.core.facts import FACTS
from flywheel.core.intents import INTENTS

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "flywheel").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
LONGEST_FUNCTION, MOST_ARGUMENTS, LONGEST_FILE = 60, 6, 400
#: Facts that only a source of a later kind can read; guardrails ask for them and treat them as unknown until then.
NOT_READ_YET = {"dataset.largest_domain_share"}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file."""
    tree = ast.parse(path.read_text())
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def words_of(name: str) -> str:
    """The sources of one room, as text."""
    return "\n".join(path.read_text() for path in SOURCES if path.is_relative_to(ROOT / "flywheel" / name))


def test_functions_and_files_stay_small() -> None:
    """No function is over 60 lines or takes more than 6 arguments (commands excepted), no file is over 400 lines."""
    found = [str(path) for path in SOURCES if path.read_text().count("\n") > LONGEST_FILE]
    for path in SOURCES:
        for node in functions(path):
            if (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION + 10:
                found.append(f"{path}:{node.lineno} is long")
            arguments = [a for a in node.args.args + node.args.kwonlyargs if a.arg not in {"self", "cls"}]
            if len(arguments) > MOST_ARGUMENTS and "cli" not in path.parts:
                found.append(f"{path}:{node.lineno} takes {len(arguments)} arguments")
    assert not found, found


def test_every_test_says_its_promise() -> None:
    """Each test has a docstring: the promise it checks."""
    silent = [f"{path.name}:{node.name}" for path in TESTS for node in functions(path)
              if node.name.startswith("test_") and not ast.get_docstring(node)]  # fmt: skip
    assert not silent


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_happens_somewhere(kind: str) -> None:
    """An event of the registry is written by some room; its name says which."""
    everything = words_of("")
    assert everything.count(f'"{kind}"') > 1 or everything.count(f"'{kind}'") > 0, f"nobody writes {kind}"


@pytest.mark.parametrize("kind", INTENTS)
def test_every_intent_is_proposed_somewhere(kind: str) -> None:
    """An intent of the registry is proposed and performed by some room."""
    assert words_of("").count(f'"{kind}"') > 1, f"nobody proposes {kind}"


@pytest.mark.parametrize("name", sorted(set(FACTS) - NOT_READ_YET))
def test_every_fact_is_read_somewhere(name: str) -> None:
    """A fact of the registry is read by some room."""
    noun, _, what = name.partition(".")
    text = words_of("")
    assert text.count(f'"{name}"') > 1 or (noun == "dataset" and text.count(f'"{what}"') > 0), f"nobody reads {name}"


def test_nothing_names_a_machine() -> None:
    """No tracked file holds a path of somebody's machine or the address of a package registry."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    leak = re.compile(r"(^|[\s\"'=(:])/(work|farm|root)/|https?://\S+/(simple|packages|debian)/")
    found = [
        f"{name}:{number}"
        for name in files
        if (ROOT / name).suffix in {".py", ".md", ".toml", ".lock", ".service", ".sh", ""} and (ROOT / name).is_file()
        for number, line in enumerate((ROOT / name).read_text(errors="replace").splitlines(), 1)
        if leak.search(line) and "leak = re" not in line
    ]
    assert not found
