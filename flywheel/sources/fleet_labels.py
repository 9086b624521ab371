"""What a fleet's log says about an answer. Pure.

Only tests that ran speak for a program, and only when everything agrees: the run ended well, its own last validation
has tests, all of them passed, none was left out, and the program they passed on stands in this answer. A success that
no test confirms is no evidence. A failure speaks against a program only where the test shows the program's own fault;
where the machinery around it failed, nobody knows.
"""

import ast
from collections.abc import Mapping
from typing import Any, NamedTuple

from flywheel.core.labels import judge
from flywheel.core.outcomes import Labelled, Signal

_SURE, _NEARLY_SURE = 0.95, 0.9  # a single test is passed by too many wrong programs to be worth more
_SLOW = frozenset({"timeout", "timed_out", "time_limit_exceeded", "tle", "memory_limit_exceeded", "mle"})
_PASSED = frozenset({"passed", "pass", "ok", "accepted", "success"})
_WRONG = frozenset({"wrong_answer", "wrong", "failed", "fail", "mismatch"})
_OWN_FAULT = ("Traceback (most recent call last)", "SyntaxError", "IndentationError", "TabError")


class Verdict(NamedTuple):
    """What a validation came to: tests passed, tests that show a fault of the program, tests that show nothing."""

    passed: int
    faults: int
    doubtful: int
    needed: int
    says_passed: bool

    @property
    def all_passed(self) -> bool:
        """Tell whether there were tests and all of them passed: none of none is not enough."""
        return (
            self.says_passed
            and self.passed > 0
            and not self.faults
            and not self.doubtful
            and self.passed >= self.needed
        )


class Evidence(NamedTuple):
    """What is known of one answer that was to be a program."""

    answered: bool
    failed: bool
    passed_over: bool
    tests: Verdict | None
    succeeded: bool
    final: Verdict | None
    ended_well: bool
    contradicted: bool


def verdict_of(validation: object, needed: int, *, asks_function: bool) -> Verdict | None:
    """Return what a validation says test by test; totals that its tests do not bear out make it doubtful."""
    if not isinstance(validation, Mapping):
        return None
    tests = validation.get("test_results")
    results = [_result(test, asks_function=asks_function) for test in tests] if isinstance(tests, list) else []
    passed, faults = results.count("passed"), results.count("fault")
    total = _count(validation.get("total_passed")) + _count(validation.get("total_failed"))
    missing = abs(total - len(results)) if total else 0
    doubtful = results.count("doubt") + missing + (_count(validation.get("total_passed")) != passed)
    says = validation.get("passed") is True and not validation.get("error")
    return Verdict(passed, faults, doubtful, needed, says)


def label_program(evidence: Evidence) -> Labelled:
    """Label one answer that was to be a program."""
    return judge(tuple(_signals(evidence)))


def label_other(*, answered: bool, failed: bool) -> Labelled:
    """Label an answer that is no program: nothing in a log says whether a plan was good."""
    signals = [*_own(answered=answered, failed=failed), Signal(name="not_tested", points=0, strength=0.0)]
    return judge(tuple(signals))


def _signals(evidence: Evidence) -> list[Signal]:
    found = _own(answered=evidence.answered, failed=evidence.failed)
    if evidence.passed_over:
        found.append(Signal(name="no_program", points=-1, strength=0.8, note="no program was taken from it"))
    for name, verdict in (("tests", evidence.tests), ("final_tests", evidence.final)):
        found += _tested(name, verdict, contradicted=evidence.contradicted)
    if evidence.succeeded and evidence.final is None:
        found.append(Signal(name="called_success", points=0, strength=0.0, note="no test confirms it"))
    if not evidence.ended_well:
        found.append(Signal(name="run_not_completed", points=0, strength=0.0, note="it did not end well, or not yet"))
    if evidence.final is not None and evidence.final.all_passed:
        found.append(_passed(evidence, evidence.final))
    return found


def _passed(evidence: Evidence, final: Verdict) -> Signal:
    agrees = evidence.succeeded and evidence.ended_well and not evidence.contradicted
    strength = (_SURE if final.passed > 1 else _NEARLY_SURE) if agrees else 0.3
    note = f"{final.passed} of {final.passed} tests" + ("" if agrees else ", and something else disagrees")
    return Signal(name="tests_passed", points=1, strength=strength, note=note)


def _tested(name: str, verdict: Verdict | None, *, contradicted: bool) -> list[Signal]:
    if verdict is None:
        return []
    if verdict.faults:
        note = "the same program also passed" if contradicted else f"{verdict.faults} tests show a fault"
        return [Signal(name=f"{name}_failed", points=-1, strength=0.4 if contradicted else _SURE, note=note)]
    if not verdict.all_passed:
        return [Signal(name=f"{name}_doubtful", points=-1, strength=0.4, note="not the program's own fault for sure")]
    return []


def _own(*, answered: bool, failed: bool) -> list[Signal]:
    found = []
    if not answered:
        found.append(Signal(name="empty_response", points=-1, strength=1.0))
    if failed:
        found.append(Signal(name="error_response", points=-1, strength=1.0))
    return found


def _result(test: object, *, asks_function: bool) -> str:
    """Return whether a test passed, shows a fault of the program, or shows nothing."""
    if not isinstance(test, Mapping):
        return "doubt"
    status = str(test.get("status")).lower()
    if status in _PASSED:
        return "doubt" if _text(test.get("expected_output")) and not _text(test.get("actual_output")) else "passed"
    if status in _SLOW:
        return "fault"
    if status in _WRONG and _differs(test, asks_function=asks_function):
        return "fault"
    message = str(test.get("error_message"))
    return "fault" if any(mark in message for mark in _OWN_FAULT) else "doubt"


def _differs(test: Mapping[str, Any], *, asks_function: bool) -> bool:
    """Tell whether the output really is another one; a value compared with its own text is not."""
    actual, expected = _text(test.get("actual_output")), test.get("expected_output")
    if not actual:
        return isinstance(expected, str) and bool(expected.split()) and not asks_function
    if isinstance(expected, str):
        return actual.split() != expected.split()
    try:
        return bool(ast.literal_eval(actual) != expected)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return False


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else "" if value is None else str(value)


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
