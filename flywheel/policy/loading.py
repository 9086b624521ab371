"""Reads a policies folder: the only part of the room that touches the disk.

The set is loaded whole or not at all, and whoever mends it hears of everything that is wrong at once.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from flywheel.core.frozen import Frozen
from flywheel.core.lines import Gate, Line, RolloutPlan
from flywheel.policy.abilities import line_problems
from flywheel.policy.cases import CaseResult, Cases, run_case
from flywheel.policy.guardrails import Guardrail, PolicySet
from flywheel.policy.meanings import meaning_of
from flywheel.policy.problems import PolicyError, Problem
from flywheel.policy.remedies import Remedy
from flywheel.policy.translating import problems_of
from flywheel.policy.words import hint, nearest

#: The folders below `policies/` and what a file in each declares.
FOLDERS: Mapping[str, type[Frozen]] = MappingProxyType(
    {"guardrails": Guardrail, "lines": Line, "gates": Gate, "rollouts": RolloutPlan, "remedies": Remedy}
)
CASES_SUFFIX = ".cases.toml"

_SUFFIX = ".toml"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

T = TypeVar("T", bound=Frozen)
Read = tuple[dict[str, T], list[Problem]]


def load_policies(directory: Path) -> PolicySet:
    """Return everything a policies folder declares; raises PolicyError with all that is wrong."""
    policies, problems = _read(directory)
    if problems:
        raise PolicyError(problems)
    return policies


def check_policies(directory: Path) -> list[Problem]:
    """Return everything that is wrong with a policies folder, test files included."""
    policies, problems = _read(directory)
    return [*problems, *line_problems(policies.lines.values()), *_read_cases(directory)[1]]


def run_cases(directory: Path) -> list[CaseResult]:
    """Ask each guardrail about the cases in the file beside it; raises PolicyError when they cannot be read."""
    policies = load_policies(directory)
    cases, problems = _read_cases(directory)
    if problems:
        raise PolicyError(problems)
    tested = [each for each in policies.guardrails if each.name in cases]
    return [run_case(each, case) for each in tested for case in cases[each.name].cases]


def load_cases(directory: Path) -> dict[str, Cases]:
    """Return the test files of a policies folder by the guardrail they stand beside."""
    cases, problems = _read_cases(directory)
    if problems:
        raise PolicyError(problems)
    return cases


def _read(directory: Path) -> tuple[PolicySet, list[Problem]]:
    problems = _layout(directory)
    if not directory.is_dir():
        return PolicySet(), problems
    guardrails, wrong_guardrails = _read_folder(directory, Guardrail)
    lines, wrong_lines = _read_folder(directory, Line)
    gates, wrong_gates = _read_folder(directory, Gate)
    rollouts, wrong_rollouts = _read_folder(directory, RolloutPlan)
    remedies, wrong_remedies = _read_folder(directory, Remedy)
    problems += wrong_guardrails + wrong_lines + wrong_gates + wrong_rollouts + wrong_remedies
    problems += _references(directory, lines) + _line_references(directory, remedies)
    return PolicySet(
        guardrails=tuple(guardrails.values()), lines=lines, gates=gates, rollouts=rollouts, remedies=remedies
    ), problems


def _layout(directory: Path) -> list[Problem]:
    """Find what would silently not be read: no folder, a misspelt one, a file beside the folders."""
    if not directory.is_dir():
        return [Problem(file=str(directory), wrong="there is no such policies folder")]
    missing = [] if (directory / "guardrails").is_dir() else ["guardrails"]
    problems = [Problem(file=name, wrong="the folder is missing, so nothing would be guarded") for name in missing]
    for path in sorted(directory.iterdir()):
        close = nearest(path.name, FOLDERS) if path.is_dir() and path.name not in FOLDERS else None
        if close:
            problems.append(Problem(file=path.name, wrong=f"this folder is not read, did you mean '{close}'?"))
        if path.suffix == _SUFFIX and path.is_file():
            problems.append(Problem(file=path.name, wrong=f"not read here: it belongs into {', '.join(FOLDERS)}"))
    return problems


def _folder_of(model: type[Frozen]) -> str:
    return next(folder for folder, declared in FOLDERS.items() if declared is model)


def _files(directory: Path, folder: str) -> list[Path]:
    """Return the TOML files of a folder in order; hidden ones are an editor's."""
    try:
        inside = sorted((directory / folder).iterdir())
    except FileNotFoundError:
        return []
    return [path for path in inside if path.name.endswith(_SUFFIX) and not path.name.startswith(".")]


def _read_folder(directory: Path, model: type[T]) -> Read[T]:
    folder = _folder_of(model)
    try:
        paths = [path for path in _files(directory, folder) if not path.name.endswith(CASES_SUFFIX)]
    except OSError as error:
        return {}, [Problem(file=folder, wrong=f"the folder cannot be read: {error.strerror}")]
    found: dict[str, T] = {}
    problems: list[Problem] = []
    for path in paths:
        value, wrong = _read_named(path, model)
        problems += wrong
        if value is not None:
            found[path.stem] = value
    return found, problems


def _read_named(path: Path, model: type[T]) -> tuple[T | None, list[Problem]]:
    """Read a file that declares one thing, which is called as the file is."""
    file = _shown(path)
    table = _parse(path)
    if isinstance(table, Problem):
        return None, [table]
    problems = _name_problems(path.stem, file, table, model)
    value, wrong = _validate({**table, "name": path.stem}, file, model)
    return (None if problems else value), problems + wrong


def _name_problems(stem: str, file: str, table: Mapping[str, Any], model: type[Frozen]) -> list[Problem]:
    problems = []
    if _NAME.fullmatch(stem) is None:
        wrong = "the file's name becomes a name: use small letters, digits and single hyphens"
        problems.append(Problem(file=file, wrong=wrong))
    if "name" in table:
        wrong = f"the file is already called '{stem}': remove this key"
        problems.append(Problem(file=file, key="name", meaning=meaning_of(model, "name"), wrong=wrong))
    return problems


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _parse(path: Path) -> dict[str, Any] | Problem:
    """Return the table a file holds, or why there is none."""
    file = _shown(path)
    if not path.is_file():
        return Problem(file=file, wrong="it is not a file")
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        return Problem(file=file, wrong=f"it cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return Problem(file=file, wrong=f"it is not UTF-8 text (byte {error.start + 1})")
    except (ValueError, RecursionError) as error:
        return Problem(file=file, wrong=f"it is not valid TOML: {error}")


def _validate(table: Mapping[str, Any], file: str, model: type[T]) -> tuple[T | None, list[Problem]]:
    """Validate strictly, as JSON: a text is never taken for a number, a list may become a tuple."""
    try:
        return model.model_validate_json(json.dumps(table, default=str), strict=True), []
    except ValidationError as error:
        return None, problems_of(error, file, model)


def _references(directory: Path, lines: Mapping[str, Line]) -> list[Problem]:
    """Find lines that name a gate or a rollout nobody declared; a broken one is told of where it is broken."""
    gates, rollouts = _names(directory, "gates"), _names(directory, "rollouts")
    return [
        Problem(
            file=f"lines/{line.name}{_SUFFIX}",
            key=key,
            meaning=meaning_of(Line, key),
            wrong=f"no {key} is called '{wanted}'{hint(wanted, names)}",
        )
        for line in lines.values()
        for key, wanted, names in (("gate", line.gate, gates), ("rollout", line.rollout, rollouts))
        if wanted not in names
    ]


def _line_references(directory: Path, remedies: Mapping[str, Remedy]) -> list[Problem]:
    """Find remedies for lines that nobody declared."""
    lines = _names(directory, "lines")
    return [
        Problem(
            file=f"remedies/{remedy.name}{_SUFFIX}",
            key="lines",
            meaning=meaning_of(Remedy, "lines"),
            wrong=f"no line is called '{wanted}'{hint(wanted, lines)}",
        )
        for remedy in remedies.values()
        for wanted in remedy.lines
        if wanted not in lines
    ]


def _names(directory: Path, folder: str) -> set[str]:
    try:
        return {path.stem for path in _files(directory, folder)}
    except OSError:  # told of where the folder itself is read
        return set()


def _read_cases(directory: Path) -> Read[Cases]:
    try:
        paths = _files(directory, "guardrails")
    except OSError:  # told of where the guardrails are read
        return {}, []
    guardrails = {path.name.removesuffix(_SUFFIX) for path in paths if not path.name.endswith(CASES_SUFFIX)}
    return _read_case_files([path for path in paths if path.name.endswith(CASES_SUFFIX)], guardrails)


def _read_case_files(paths: Iterable[Path], guardrails: set[str]) -> Read[Cases]:
    found: dict[str, Cases] = {}
    problems: list[Problem] = []
    for path in paths:
        name = path.name.removesuffix(CASES_SUFFIX)
        if name not in guardrails:
            wrong = f"there is no guardrail '{name}' beside it{hint(name, guardrails)}"
            problems.append(Problem(file=_shown(path), wrong=wrong))
        table = _parse(path)
        cases, bad = (None, [table]) if isinstance(table, Problem) else _validate(table, _shown(path), Cases)
        problems += bad
        if cases is not None:
            found[name] = cases
    return found, problems
