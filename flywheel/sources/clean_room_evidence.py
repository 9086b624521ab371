"""What a clean-room run really left behind, from its rows and those of the runs around it. Pure.

The agent's own words part with the truth in known ways: a run that went wrong can be called complete, a right answer is
rolled back with a wrong test, a validation hangs on whatever attempt came last, even another run's. So an attempt is
called good only when its run's status, its own part's validation, its own applied patch, the git mode and the
neighbouring runs agree; every disagreement is a doubt, told by name.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import NamedTuple

from flywheel.sources.clean_room_names import TaskName
from flywheel.sources.clean_room_rewrites import says_otherwise, was_answered_otherwise
from flywheel.sources.clean_room_rows import Attempt, History, Run, Slot, Validation

CODE, TEST = "impl", "test_impl"
COMPLETE, PARTIAL, FAILED, RUNNING = "complete", "partial", "failed", "running"


class Fate(StrEnum):
    """What became of an attempt, as far as its own evidence goes."""

    PASSED = "passed"
    FAILED = "failed"
    SHARED = "shared"  # rolled back together with others: nobody can tell whose fault it was
    NOT_APPLIED = "not_applied"
    UNSURE = "unsure"


class Finding(NamedTuple):
    """An attempt's fate and what speaks against believing it; `proved` tells that the same tests failed before it."""

    fate: Fate
    doubts: tuple[str, ...] = ()
    proved: bool = False

    @property
    def is_good(self) -> bool:
        """Tell whether everything agrees that it worked and stayed."""
        return self.fate is Fate.PASSED and not self.doubts


class Evidence(NamedTuple):
    """What is known of one root's run.

    `passed_parts`: code was logged for them, passed its tests and stayed. `validated_parts`: tests were, whatever wrote
    the code; the agent logs no attempt for single functions. `whole`: every part that was planned passed.
    """

    status: str = ""
    findings: Mapping[TaskName, Finding] = MappingProxyType({})
    passed_parts: frozenset[str] = frozenset()
    validated_parts: frozenset[str] = frozenset()
    whole: bool = False

    @property
    def goes_on(self) -> bool:
        """Tell whether the run says that it has not ended."""
        return self.status == RUNNING


class _Scene(NamedTuple):
    """What every attempt of a run is seen against."""

    run: Run
    around: Sequence[Run]
    parts: Mapping[str, Sequence[Attempt]]
    verdicts: Mapping[str, Fate]
    doubts: tuple[str, ...]
    later: Sequence[Attempt]


def weigh(
    run: Run, around: Sequence[Run], history: History, accepted: Mapping[int, Sequence[Attempt]] | None = None
) -> Evidence:
    """Return the evidence about a run.

    `around` are the runs of its repo near it, itself included, in order; `accepted` is what `accepted_code` says of
    each, when the caller has asked already.
    """
    doubts = run_doubts(run, around, history)
    parts = _parts(run)
    verdicts = {part: _part_fate(run, attempts) for part, attempts in parts.items()}
    following = [other for other in around if other.id > run.id and other.root != run.root]
    later = [one for other in following for one in (accepted[other.id] if accepted else accepted_code(other))]
    scene = _Scene(run, around, parts, verdicts, doubts, later)
    findings = {attempt.name: _finding(scene, attempt) for attempt in run.attempts if attempt.name.kind in {CODE, TEST}}
    validated = frozenset(part for part in verdicts if all(one.is_good for one in _final_findings(part, run, findings)))
    good = frozenset(
        part for part in validated if any(name.kind == CODE for name in findings if part_key(name) == part)
    )
    whole = run.status == COMPLETE and bool(good) and run.parts == len(good)
    return Evidence(run.status, findings, good, validated, whole)


def run_doubts(run: Run, around: Sequence[Run], history: History) -> tuple[str, ...]:
    """Return why nothing this run did may be believed to have stayed."""
    found = []
    if run.status != COMPLETE and not (run.status == PARTIAL and run.git is False):
        found.append(f"the run is called {run.status or 'nothing'}, so its edits may be gone")
    if any(_overlap(run, other) for other in around if other.id != run.id):
        found.append("another run was at work at the same time")
    if any(_has_stray_validation(attempts) for attempts in _parts(run).values()):
        found.append("a validation hangs where none of its own can be")
    if run.git is not False and _may_be_on_a_dead_branch(run, around):
        found.append("an earlier run died on its branch, this one may have been merged into it")
    if run.git and run.status == COMPLETE and not _is_confirmed(run, around, history):
        found.append("no later look at the repo has seen its commits")
    return tuple(found)


def _parts(run: Run) -> dict[str, list[Attempt]]:
    """Return the attempts of each part; where no part is named each attempt was validated alone."""
    found: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in run.attempts:
        if attempt.name.kind in {CODE, TEST}:
            found[attempt.name.part or f":{attempt.name.attempt}"].append(attempt)
    return found


def part_key(name: TaskName) -> str:
    """Return the key of the part that an attempt was validated with."""
    return name.part or f":{name.attempt}"


def _own_validation(attempts: Sequence[Attempt]) -> Validation | None:
    """Return the part's own: the first one on its last attempt; later ones are of runs that logged no attempt."""
    last = max(attempts, key=lambda attempt: attempt.id)
    return min(last.validations, key=lambda one: one.id, default=None)


def _finals(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the last logged attempt at each step."""
    last: dict[Slot, Attempt] = {}
    for attempt in sorted(attempts, key=lambda one: (one.name.attempt, one.id)):
        last[attempt.name.slot] = attempt
    return list(last.values())


def _part_fate(run: Run, attempts: Sequence[Attempt]) -> Fate:
    """Return what became of a part: its tests and its flags must tell the same."""
    own, finals = _own_validation(attempts), _finals(attempts)
    part = attempts[0].name.part
    if own is None or own.success is None:
        return Fate.NOT_APPLIED if _was_never_applied(run, attempts) else Fate.UNSURE
    if own.success:
        kept = all(attempt.applied for attempt in finals) or _unmarked_by_a_sibling(run, part)
        return Fate.PASSED if kept and part not in run.rolled_back else Fate.UNSURE
    return Fate.UNSURE if any(attempt.applied for attempt in attempts) else Fate.FAILED


def _was_never_applied(run: Run, attempts: Sequence[Attempt]) -> bool:
    part = attempts[0].name.part
    ended = run.status in {COMPLETE, PARTIAL, FAILED}
    return ended and part not in run.rolled_back and not any(attempt.applied for attempt in attempts)


def _unmarked_by_a_sibling(run: Run, part: str) -> bool:
    """Tell whether a rolled back part's name, taken as a pattern, covers this one: the agent unmarks both."""
    failed = {name for name, attempts in _parts(run).items() if (own := _own_validation(attempts)) and not own.success}
    return any(other != part and fnmatchcase(part, _as_glob(other)) for other in failed | run.rolled_back)


def _as_glob(name: str) -> str:
    return name.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]").replace("_", "?").replace("%", "*")


def _finding(scene: _Scene, attempt: Attempt) -> Finding:
    run, part = scene.run, part_key(attempt.name)
    fate = scene.verdicts[part]
    if not attempt.applied and run.was_tried_after(attempt.name) and (attempt.name.part or fate is not Fate.FAILED):
        return _retried(attempt)
    if fate is Fate.PASSED:
        return Finding(fate, scene.doubts + _own_doubts(run, attempt, scene.later), _failed_before(run, attempt))
    if fate is Fate.FAILED:
        return Finding(Fate.FAILED if _is_to_blame(scene, attempt) else Fate.SHARED)
    return Finding(fate)


def _retried(attempt: Attempt) -> Finding:
    """Return the fate of an answer that another one had to follow; a pass on it is somebody else's."""
    if any(validation.success for validation in attempt.validations):
        return Finding(Fate.UNSURE, ("a passing validation hangs on it, yet it was tried again",))
    return Finding(Fate.NOT_APPLIED)


def _own_doubts(run: Run, attempt: Attempt, later: Sequence[Attempt]) -> tuple[str, ...]:
    found = []
    if not attempt.edits:
        found.append("its edits cannot be read")
    elif all(_says(edit.search) == _says(edit.replacement) for edit in attempt.edits):
        found.append("it changes nothing")
    if attempt.commit and attempt.commit == attempt.commit_before:
        found.append("its commit is the one before it, so it changed nothing")
    if attempt.name.kind != CODE:
        return tuple(found)
    if any(says_otherwise(attempt, other) for other in _did_not_fit(run, attempt)):
        found.append("an earlier answer to the same question, which did not fit the files, said something else")
    if was_answered_otherwise(attempt, later):
        found.append("a later task put something else in its place")
    return tuple(found)


def _failed_before(run: Run, attempt: Attempt) -> bool:
    """Tell whether these tests have shown that they can fail: for an earlier answer to the same question they did."""
    earlier = [one for one in run.attempts if one.name.slot == attempt.name.slot and one.id < attempt.id]
    return any(validation.success is False for one in earlier for validation in one.validations)


def _did_not_fit(run: Run, attempt: Attempt) -> list[Attempt]:
    """Return the earlier tries at the same step that no test has judged: only their search texts were wrong."""
    return [
        other
        for other in run.attempts
        if other.name.slot == attempt.name.slot and other.id < attempt.id and not other.validations
    ]


def _says(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def accepted_code(run: Run) -> list[Attempt]:
    """Return, in order, the code of a run that passed its own tests."""
    passed = [attempts for attempts in _parts(run).values() if _part_fate(run, attempts) is Fate.PASSED]
    return [one for attempts in passed for one in _finals(attempts) if one.name.kind == CODE and one.applied]


def _is_to_blame(scene: _Scene, attempt: Attempt) -> bool:
    """Tell whether the tests that failed can only have failed because of this answer."""
    run, around, verdicts, key = scene.run, scene.around, scene.verdicts, part_key(attempt.name)
    own = scene.parts[key]
    validation, finals = _own_validation(own), _finals(own)
    alone = attempt.name.kind == CODE and [one.id for one in finals if one.name.kind == CODE] == [attempt.id]
    siblings = [part for part in verdicts if part != key] if attempt.name.part else []
    if validation is None or not alone or any(verdicts[part] is Fate.FAILED for part in siblings):
        return False
    if any(_overlap(run, other) for other in around if other.id != run.id) or _found_leftovers(run, around):
        return False
    if _passed_later(run, attempt, verdicts):
        return True
    return _is_green_at_times(around) and _fails_what_was_there(validation, finals)


def _passed_later(run: Run, attempt: Attempt, verdicts: Mapping[str, Fate]) -> bool:
    """Tell whether another answer to the very same question made the same tests pass."""
    later = [one for one in run.attempts if one.name.slot == attempt.name.slot and one.id > attempt.id]
    return not attempt.name.part and any(verdicts[part_key(one.name)] is Fate.PASSED for one in later)


def _fails_what_was_there(validation: Validation, finals: Iterable[Attempt]) -> bool:
    """Tell whether a test failed that the part did not write itself."""
    written = "\n".join(edit.replacement for one in finals if one.name.kind == TEST for edit in one.edits)
    return any(_test_name(test) not in written for test in validation.failing or ())


def _test_name(test: str) -> str:
    return test.rsplit("::", 1)[-1].split("[", 1)[0]


def _is_green_at_times(around: Iterable[Run]) -> bool:
    """Tell whether the tests of this repo can pass at all."""
    return any(one.success for run in around for attempt in run.attempts for one in attempt.validations)


def _found_leftovers(run: Run, around: Sequence[Run]) -> bool:
    """Tell whether an earlier run left edits in the tree that no passing test run has cleared since."""
    left = False
    for other in around:
        if other.id >= run.id:
            break
        for attempts in _parts(other).values():
            own = _own_validation(attempts)
            passed = own is not None and own.success is True
            loose = other.git is not True and own is None and any(attempt.applied for attempt in attempts)
            left = (left or loose) and not passed
    return left


def _final_findings(part: str, run: Run, findings: Mapping[TaskName, Finding]) -> list[Finding]:
    own = [attempt for attempt in run.attempts if part_key(attempt.name) == part and attempt.name in findings]
    return [findings[one.name] for one in _finals(own)]


def _has_stray_validation(attempts: Sequence[Attempt]) -> bool:
    """Tell whether a validation hangs on an attempt that is not its part's last."""
    last = max(attempt.id for attempt in attempts)
    return any(attempt.validations for attempt in attempts if attempt.id != last)


def _overlap(run: Run, other: Run) -> bool:
    if run.repo != other.repo:
        return False
    mine, theirs = (run.started, run.ends), (other.started, other.ends)
    if None in mine or None in theirs:
        return False
    return _before(mine[0], theirs[1]) and _before(theirs[0], mine[1])


def _before(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one < other


def _may_be_on_a_dead_branch(run: Run, around: Sequence[Run]) -> bool:
    """Tell whether a run that died left the repo on its branch, and nobody has touched the repo since.

    What was merged into such a branch is not on the main one. A base that neither the dead run nor one after it made
    shows that a person was there; whether what followed was kept is then for a later look to confirm.
    """
    dead: set[str] = set()
    for other in around:
        if other.id == run.id:
            break
        if other.status == RUNNING and other.git is not False:
            dead |= {other.base, *other.commits}
        elif other.base in dead:
            dead |= set(other.commits)
    return run.base in dead


def _is_confirmed(run: Run, around: Sequence[Run], history: History) -> bool:
    """Tell whether its last commit was seen again: by the index, or as the base of a later run."""
    if not run.commits:
        return False
    last = run.commits[-1]
    return last in history.commits or any(other.id > run.id and other.base == last for other in around)
