"""What the evidence says about each call of a clean-room task. Pure.

Each call is labelled by its own evidence, never by the run's fate: code and tests by the validation of their own
applied attempt, plans by whether what they planned was built, retrieval by whether it found what the proven edits
touched.
Two promises: more negative evidence never makes a label better, and without positive evidence nothing is positive.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from flywheel.core.labels import judge
from flywheel.core.outcomes import Labelled, Signal
from flywheel.sources.clean_room_answers import complaint, edits_of, plan_kind, plan_of
from flywheel.sources.clean_room_documents import document_signals
from flywheel.sources.clean_room_evidence import CODE, COMPLETE, TEST, Evidence, Fate, Finding, part_key
from flywheel.sources.clean_room_hacks import asks_for_the_tests_values
from flywheel.sources.clean_room_names import TaskName
from flywheel.sources.clean_room_needs import Need, need_of, proven_attempts
from flywheel.sources.clean_room_retrievals import analysis_signals, precision_signals, refilter_signals, scope_signals

DOUBT = 0.49  # just too weak to decide alone, just strong enough to take any positive evidence below deciding
_SURE, _LIKELY, _LIGHT = 0.9, 0.85, 0.75

_VALIDATED = Signal(name="validated", points=1, strength=_LIKELY, note="its own part passed its tests and stayed")
_PROVED = Signal(name="validated", points=1, strength=0.95, note="it stayed and passed tests that had failed before it")
_HACK = "it asks for the very values of a test"
_CODE_CALLS = frozenset({"execute_implement", "execute_test_implement"})
_BETWEEN_PARTS = frozenset({"part_dependency", "part_grouping_binary"})
_BETWEEN_STEPS = frozenset({"step_dependency"})


class RootCall(NamedTuple):
    """What labelling needs to know of a call."""

    name: TaskName
    call_type: str
    sub_stage: str
    system: str
    prompt: str
    response: str
    trusted: bool | None = None


class Setting(NamedTuple):
    """What all calls of a root are seen against."""

    evidence: Evidence
    needs: Mapping[TaskName, Need | None]
    found: Mapping[TaskName, frozenset[str] | None]
    tries: Mapping[tuple[str, str, str], int]


def label_calls(
    calls: Sequence[RootCall], evidence: Evidence, found: Mapping[TaskName, frozenset[str] | None]
) -> list[Labelled]:
    """Label the calls of one root, in order; `found` are the files each piece of work was shown in the end."""
    evidence = _doubting_hacks(evidence, calls)
    work = {call.name: (edits_of(call.response) or (), call.prompt) for call in calls if call.call_type in _CODE_CALLS}
    proven = proven_attempts(evidence, work)
    names = {call.name for call in calls}
    tries: Counter[tuple[str, str, str]] = Counter()
    for name in names:
        tries[name.slot] = max(tries[name.slot], name.attempt)
    setting = Setting(evidence, {name: need_of(name, proven, evidence) for name in names}, found, tries)
    passes = _passes(calls)
    return [judge(_signals(call, setting, nth)) for call, nth in zip(calls, passes, strict=True)]


def _doubting_hacks(evidence: Evidence, calls: Sequence[RootCall]) -> Evidence:
    """Return the evidence with a doubt about code that was made to pass a test, and about what rests on it."""
    made = {
        call.name
        for call in calls
        if call.call_type == "execute_implement" and call.name in evidence.findings
        and asks_for_the_tests_values(edits_of(call.response) or (), call.prompt)
    }  # fmt: skip
    if not made:
        return evidence
    parts = {part_key(name) for name in made}
    findings = {
        name: one._replace(doubts=(*one.doubts, _HACK)) if name in made else one
        for name, one in evidence.findings.items()
    }
    passed, validated = evidence.passed_parts - parts, evidence.validated_parts - parts
    return evidence._replace(findings=findings, passed_parts=passed, validated_parts=validated, whole=False)


def _passes(calls: Sequence[RootCall]) -> list[int]:
    """Return how often each question had been asked before within its task: the passes of a stage repeat it."""
    seen: Counter[tuple[TaskName, str, str]] = Counter()
    passes = []
    for call in calls:
        key = (call.name, call.call_type, call.prompt)
        passes.append(seen[key])
        seen[key] += 1
    return passes


def _signals(call: RootCall, setting: Setting, nth: int) -> tuple[Signal, ...]:
    if setting.evidence.goes_on:
        return (Signal(name="task_open", points=0, strength=0.0, note="the run has not said how it ended"),)
    problem = complaint(call.call_type, call.sub_stage, call.name, call.system, call.response)
    if problem:
        return (Signal(name="unreadable_answer", points=-1, strength=_SURE, note=problem), *_trusted(call))
    judged = _BY_CALL.get(call.call_type, _nothing)(call, setting, nth)
    return (*judged, *_trusted(call))


def _trusted(call: RootCall) -> tuple[Signal, ...]:
    """Return what the agent's own word says, where the settings trust it."""
    if call.trusted is None:
        return ()
    name = "task_succeeded" if call.trusted else "task_failed"
    return (Signal(name=name, points=1 if call.trusted else -1, strength=_SURE, note="the agent's own word"),)


def _nothing(call: RootCall, setting: Setting, nth: int) -> tuple[Signal, ...]:  # noqa: ARG001 - one shape for all
    return (Signal(name="no_evidence", points=0, strength=0.0, note="nothing tells whether this was right"),)


def _code(call: RootCall, setting: Setting, nth: int) -> tuple[Signal, ...]:
    finding = setting.evidence.findings.get(call.name)
    if finding is None:
        return _never_logged(call, setting) or _function(call, setting) or _nothing(call, setting, nth)
    doubts = (Signal(name="doubt", points=-1, strength=DOUBT, note=reason) for reason in finding.doubts)
    return (_fate(finding), *doubts)


def _never_logged(call: RootCall, setting: Setting) -> tuple[Signal, ...]:
    if setting.tries.get(call.name.slot, 0) <= call.name.attempt:
        return ()
    return (Signal(name="tried_again", points=-1, strength=_LIKELY, note="another answer had to follow"),)


def _function(call: RootCall, setting: Setting) -> tuple[Signal, ...]:
    """Judge what was written for a scaffold: it has no attempt of its own, its part's tests have."""
    evidence = setting.evidence
    if call.name.kind not in {"func_impl", "scaffold"} or evidence.status != COMPLETE:
        return ()
    return (_VALIDATED,) if call.name.part in evidence.validated_parts else ()


def _fate(finding: Finding) -> Signal:
    if finding.fate is Fate.PASSED:
        return _PROVED if finding.proved else _VALIDATED
    if finding.fate is Fate.FAILED:
        return Signal(
            name="failed_tests", points=-1, strength=_LIKELY, note="tests failed that only it can have broken"
        )
    if finding.fate is Fate.NOT_APPLIED:
        return Signal(name="not_applied", points=-1, strength=_LIKELY, note="its edits did not fit the files")
    return Signal(name=finding.fate.value, points=0, strength=0.0, note="nobody can tell whose fault it was")


def _plan(call: RootCall, setting: Setting, nth: int) -> tuple[Signal, ...]:
    kind = plan_kind(call.name, call.sub_stage)
    plan = plan_of(call.response, kind) if kind else {}
    if plan is None or not _was_built(call, kind, plan, setting):
        return _nothing(call, setting, nth)
    return (Signal(name="built", points=1, strength=_LIKELY, note="what it planned was built and passed its tests"),)


def _was_built(call: RootCall, kind: str, plan: Mapping[str, object], setting: Setting) -> bool:
    """Tell whether everything a plan asks for was done, proven and kept."""
    evidence = setting.evidence
    if not kind:
        small = call.sub_stage in _BETWEEN_PARTS and evidence.whole
        return small or (call.sub_stage in _BETWEEN_STEPS and call.name.part in evidence.passed_parts)
    if kind in {"meta_plan", "part_grouping"}:
        return evidence.whole and _ids(plan, "parts") == evidence.passed_parts
    if kind in {"change_point_enum", "symbol_targeting"}:
        need = setting.needs.get(call.name)
        listed = plan.get("change_points" if kind == "change_point_enum" else "targets")
        named = {item.get("file_path") for item in listed} if isinstance(listed, list) else set()
        return need is not None and need.files == named
    part, work = call.name.part, TEST if kind == "test_plan" else CODE
    done = {
        name.step
        for name, one in evidence.findings.items()
        if (name.kind, name.part, one.is_good) == (work, part, True)
    }
    if kind in {"adjust", "adjustment_finalize"}:
        revised = _ids(plan, "revised_steps")
        return part in evidence.passed_parts and revised <= done
    return part in evidence.passed_parts and bool(done) and _ids(plan, "steps") == done


def _ids(plan: Mapping[str, object], key: str) -> frozenset[str]:
    items = plan.get(key)
    return frozenset(str(item.get("id")) for item in items) if isinstance(items, list) else frozenset()


def _document(call: RootCall, setting: Setting, nth: int) -> tuple[Signal, ...]:
    kept = call.name.part in setting.evidence.passed_parts
    return document_signals(call.prompt, edits_of(call.response) or (), kept=kept) or _nothing(call, setting, nth)


def _scope(call: RootCall, setting: Setting, nth: int) -> tuple[Signal, ...]:
    need = setting.needs.get(call.name)
    return (scope_signals(call.prompt, call.response, need) if need else ()) or _nothing(call, setting, nth)


def _precision(call: RootCall, setting: Setting, nth: int) -> tuple[Signal, ...]:
    need = setting.needs.get(call.name)
    return (precision_signals(call.prompt, call.response, need, nth) if need else ()) or _nothing(call, setting, nth)


def _analysis(call: RootCall, setting: Setting, nth: int) -> tuple[Signal, ...]:
    need, found = setting.needs.get(call.name), setting.found.get(call.name)
    return (analysis_signals(need, found) if need and found is not None else ()) or _nothing(call, setting, nth)


def _refilter(call: RootCall, setting: Setting, nth: int) -> tuple[Signal, ...]:
    need = setting.needs.get(call.name)
    return (refilter_signals(call.response, need) if need else ()) or _nothing(call, setting, nth)


_BY_CALL: Mapping[str, Callable[[RootCall, Setting, int], tuple[Signal, ...]]] = MappingProxyType(
    {
        "execute_implement": _code,
        "execute_test_implement": _code,
        "execute_function_implement": _code,
        "execute_scaffold": _code,
        "execute_plan": _plan,
        "execute_adjust": _plan,
        "documentation": _document,
        "scope": _scope,
        "precision": _precision,
        "task_analysis": _analysis,
        "assembly_refilter": _refilter,
    }
)
