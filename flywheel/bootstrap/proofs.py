"""Proving programs in the sandbox before they count: every test there and passed, or no proof. 0 of 0 proves nothing.

A program is first tried on one test and then on few at a time, so that a wrong one costs little. What is expected never
enters the sandbox.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from flywheel.bootstrap.dataset_rows import Proof
from flywheel.core.errors import CorruptError, MisuseError
from flywheel.core.foreign_rows import clean
from flywheel.core.json_values import equal, read_json
from flywheel.core.outcomes import Signal
from flywheel.core.outputs import output_difference
from flywheel.sandbox.clients import Runner
from flywheel.sandbox.programs import Call, Ending, Limits, Program, Run

NO_TESTS = "no tests: nothing proves it"
FAILS = "its program fails a test"
SLOW = "its program takes too long or too much"
NO_FAULT = "its wrong program passes every test"
REFUSED = "its program cannot be run here"
#: As strongly as of the agent's own programs: a single test is passed by too many wrong ones.
_SURE, _NEARLY_SURE = 0.95, 0.9
_FIRST, _NEXT = 1, 16
_ENTRY = "flywheel_holds"
_HOLDS = """

def flywheel_holds(number):
    exec(compile(_FLYWHEEL_ASSERTS[number], "<test>", "exec"), globals())
    return True
"""
_SAID: Mapping[Ending, str] = {Ending.REFUSED: REFUSED, Ending.TIMED_OUT: SLOW, Ending.TOO_MUCH: SLOW}


class NotProvedError(Exception):
    """The sandbox does not bear out what a row says of a program; the reason can be counted."""


class _Test(NamedTuple):
    """One test: what goes in, and how what comes out is judged."""

    given: Any
    wanted: Any


async def prove(proof: Proof, runner: Runner) -> Signal:
    """Return the evidence of a program that does what it is given for; raises NotProvedError for any other.

    Raises UnavailableError when the executor is away: that says nothing about the program.
    """
    tests = _tests(proof)
    if not tests:
        raise NotProvedError(NO_TESTS)
    for part in _parts(tests):
        wrong = await _first_wrong(proof, part, runner)
        if wrong is None:
            continue
        if proof.shows == "works":
            raise NotProvedError(wrong)
        if wrong != FAILS:  # too slow for this machine, or not run at all, is no fault that was seen
            raise NotProvedError(wrong)
        return Signal(name="tests_failed", points=-1, strength=_SURE, note="it fails a test, as the dataset says")
    if proof.shows == "fault":
        raise NotProvedError(NO_FAULT)
    count = len(tests)
    strength = _SURE if count > 1 else _NEARLY_SURE
    return Signal(name="tests_passed", points=1, strength=strength, note=f"{count} of {count} tests")


def _tests(proof: Proof) -> list[_Test]:
    if proof.asserts:
        return [_Test(Call(args=(number,)), True) for number in range(len(proof.asserts))]
    told = proof.tests or {}
    tests = told.get("tests") or []
    if told.get("entry"):
        return [_Test(_call(test), test["returns"]) for test in tests]
    return [_Test(clean(test["stdin"]), test["stdout"]) for test in tests]


def _call(test: Mapping[str, Any]) -> Call:
    return Call(args=tuple(test.get("args", ())), kwargs=test.get("kwargs", {}))


def _parts(tests: Sequence[_Test]) -> Iterator[Sequence[_Test]]:
    yield tests[:_FIRST]
    for begin in range(_FIRST, len(tests), _NEXT):
        yield tests[begin : begin + _NEXT]


async def _first_wrong(proof: Proof, tests: Sequence[_Test], runner: Runner) -> str | None:
    """Return why a program is not right in some tests; None when it is."""
    try:
        runs = await runner.run(_program(proof, tests))
    except (MisuseError, CorruptError, ValueError) as error:  # nests too deep, or is larger than a message may be
        raise NotProvedError(REFUSED) from error
    if len(runs) != len(tests):
        return REFUSED
    wrong = [_wrong(test, run, proof) for test, run in zip(tests, runs, strict=True)]
    return next((one for one in wrong if one is not None), None)


def _program(proof: Proof, tests: Sequence[_Test]) -> Program:
    given = tuple(test.given for test in tests)
    code, entry = clean(proof.program), str((proof.tests or {}).get("entry") or "")
    if proof.asserts:
        held = [clean(one) for one in proof.asserts]
        code, entry = f"{code}\n\n_FLYWHEEL_ASSERTS = {held!r}\n{_HOLDS}", _ENTRY
    inputs, calls = ((), given) if entry else (given, ())
    limits = Limits(seconds=proof.seconds)
    return Program(code=code, language=proof.language, entry=entry, inputs=inputs, calls=calls, limits=limits)


def _wrong(test: _Test, run: Run, proof: Proof) -> str | None:
    if run.ending is not Ending.FINISHED:
        return _SAID.get(run.ending, FAILS)
    if isinstance(test.given, str):
        return FAILS if output_difference(test.wanted, run.output, proof.tolerance) else None
    readable, seen = read_json(run.value or "")
    return None if readable and equal(test.wanted, seen) else FAILS
