"""Which files and symbols a piece of work turned out to need: those that its proven edits touched. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from flywheel.sources.clean_room_answers import Edit
from flywheel.sources.clean_room_evidence import CODE, TEST, Evidence, part_key
from flywheel.sources.clean_room_names import TaskName

_DEFINITION = re.compile(
    r"^(?P<indent>[ \t]*)(?:export\s+|default\s+|public\s+|private\s+|static\s+|async\s+|pub(?:\([^)]*\))?\s+)*"
    r"(?:def|class|function|fn|func|struct|enum|interface|trait|impl|type|module)\s+(?P<name>[A-Za-z_$][\w$]*)"
)


class Touched(NamedTuple):
    """What one edit touched: its file, the symbol it stands in, and those around that. Unknown symbols are None."""

    file: str
    symbol: str | None
    around: frozenset[str] = frozenset()


class Need(NamedTuple):
    """What was needed for sure, and the files that may or may not have been."""

    touched: tuple[Touched, ...]
    aside: frozenset[str] = frozenset()

    @property
    def files(self) -> frozenset[str]:
        """Return the files that were needed."""
        return frozenset(one.file for one in self.touched)

    def needs_symbol(self, file: str, symbol: str) -> bool | None:
        """Tell whether a symbol was changed; None when nobody can tell."""
        here = [one for one in self.touched if one.file == file]
        if file in self.aside or any(one.symbol is None or symbol in one.around for one in here):
            return True if any(one.symbol == symbol for one in here) else None
        return any(one.symbol == symbol for one in here)


class Proven(NamedTuple):
    """A good attempt: its name, and what it touched."""

    name: TaskName
    touched: tuple[Touched, ...]


def need_of(name: TaskName, proven: Sequence[Proven], evidence: Evidence) -> Need | None:
    """Return what the work under this id needed; None as long as that work is not proven."""
    code = [one for one in proven if one.name.kind == CODE]
    tests = [one for one in proven if one.name.kind == TEST]
    if name.kind in {CODE, TEST}:
        own = code if name.kind == CODE else tests
        return _need([one for one in own if one.name.slot == name.slot], tests if name.kind == CODE else code)
    if name.kind == "meta_plan":
        return _need(code, tests) if evidence.whole else None
    part = [one for one in code if part_key(one.name) == name.part]
    if not name.part or name.part not in evidence.passed_parts or name.kind not in {"part_plan", "test_plan"}:
        return None
    return _need(part, tests)


def _need(work: Iterable[Proven], others: Iterable[Proven]) -> Need | None:
    touched = tuple(one for piece in work for one in piece.touched)
    aside = frozenset(one.file for piece in others for one in piece.touched)
    return Need(touched, aside - {one.file for one in touched}) if touched else None


def touched_by(edits: Iterable[Edit], shown: str) -> tuple[Touched, ...]:
    """Return what edits touched, going by the code that was shown with the question."""
    return tuple(_touched(edit, shown) for edit in edits)


def _touched(edit: Edit, shown: str) -> Touched:
    at = shown.find(edit.search)
    several = sum(_DEFINITION.match(line) is not None for line in edit.search.splitlines()) > 1
    if at < 0 or several or shown.find(edit.search, at + 1) >= 0:
        return Touched(edit.file, None)
    start = shown.rfind("\n", 0, at) + 1
    lines = shown[:start].splitlines()[-2000:]
    first = shown[start:].splitlines()[0]
    chain = _definitions([*lines, first])
    return Touched(edit.file, chain[0], frozenset(chain[1:])) if chain else Touched(edit.file, None)


def _definitions(lines: Sequence[str]) -> list[str]:
    """Return the definitions that the last line stands in, the innermost first."""
    found: list[str] = []
    depth = len(lines[-1]) - len(lines[-1].lstrip())
    if definition := _DEFINITION.match(lines[-1]):
        found.append(definition["name"])
    for line in reversed(lines[:-1]):
        if line.startswith(("<code", "## ", "</code")) or depth == 0:
            break
        definition = _DEFINITION.match(line)
        if definition and len(definition["indent"]) < depth:
            found.append(definition["name"])
            depth = len(definition["indent"])
    return found


def proven_attempts(evidence: Evidence, work: Mapping[TaskName, tuple[Sequence[Edit], str]]) -> list[Proven]:
    """Return the good attempts with what they touched; `work` is each one's edits and the code it was shown."""
    good = [name for name, finding in evidence.findings.items() if finding.is_good and name in work]
    return [Proven(name, touched_by(*work[name])) for name in good]
