"""Proving programs: every test there and passed, or no proof; and wrong ones are proved to be wrong."""

import asyncio

import pytest
from datasets_house import ADDS, SUBTRACTS, Instant

from flywheel.bootstrap.dataset_rows import Proof
from flywheel.bootstrap.proofs import FAILS, NO_FAULT, NO_TESTS, REFUSED, SLOW, NotProvedError, prove
from flywheel.core.errors import MisuseError, UnavailableError
from flywheel.sandbox.doubles import PlainExecutor
from flywheel.sandbox.programs import Ending, Run

SUMS = [{"stdin": f"{n} {n}\n", "stdout": f"{2 * n}\n"} for n in range(1, 41)]


def proved(program, runner=None, **changes):
    told = {"tests": {"tests": SUMS[:3]}} | changes
    return asyncio.run(prove(Proof(program=program, **told), runner or Instant()))


def refused(program, runner=None, **changes):
    with pytest.raises(NotProvedError) as error:
        proved(program, runner, **changes)
    return str(error.value)


@pytest.mark.parametrize("runner", [Instant, PlainExecutor])
def test_a_program_that_passes_every_test_is_proved(runner):
    """Programs, functions, methods and asserts: each way of testing proves what is right."""
    assert proved(ADDS, runner()).strength == 0.95
    calls = {
        "entry": "Solution.add",
        "tests": [{"args": [1, 2], "returns": 3}, {"args": [[1], [2]], "returns": [1, 2]}],
    }
    assert proved("class Solution:\n    def add(self, a, b):\n        return a + b", runner(), tests=calls).points == 1
    asserts = ("assert add(1, 2) == 3", "for n in range(3):\n    assert add(n, n) == 2 * n")
    assert proved("def add(a, b):\n    return a + b", runner(), tests=None, asserts=asserts).strength == 0.95


@pytest.mark.parametrize("runner", [Instant, PlainExecutor])
def test_a_program_that_fails_a_test_is_not(runner):
    """One test that fails is enough, however it is tested."""
    assert refused(SUBTRACTS, runner()) == FAILS
    assert refused("raise SystemExit(3)", runner()) == FAILS
    assert refused("def add(a, b):\n    return a", runner(), tests=None, asserts=("assert add(1, 2) == 3",)) == FAILS
    assert refused("x = 1", runner(), tests={"entry": "add", "tests": [{"args": [], "returns": 1}]}) == FAILS


def test_a_single_test_is_worth_less():
    """Too many wrong programs pass a single test."""
    assert proved(ADDS, tests={"tests": SUMS[:1]}).strength == 0.9


@pytest.mark.parametrize("tests", [None, {}, {"tests": []}, {"entry": "f", "tests": []}])
def test_nothing_is_proved_by_no_test(tests):
    """0 of 0 is not valid."""
    assert refused(ADDS, tests=tests) == NO_TESTS


def test_a_wrong_program_has_to_be_wrong():
    """What a dataset has as wrong counts as wrong when it fails a test, and not at all when it passes."""
    assert proved(SUBTRACTS, shows="fault").points == -1
    assert refused(ADDS, shows="fault") == NO_FAULT


@pytest.mark.parametrize(
    ("ending", "reason"), [(Ending.TIMED_OUT, SLOW), (Ending.TOO_MUCH, SLOW), (Ending.REFUSED, REFUSED)]
)
def test_what_a_slow_machine_shows_is_no_fault(ending, reason):
    """Too slow here, or not run at all, proves neither that a program works nor that it is wrong."""

    class Ends(Instant):
        async def run(self, program):
            return tuple(Run(ending=ending) for _ in program.inputs)

    assert refused(ADDS, Ends()) == reason
    assert refused(SUBTRACTS, Ends(), shows="fault") == reason


def test_a_wrong_program_costs_one_test():
    """The first test goes alone; what passes it is run on few at a time."""
    wrong, right = Instant(), Instant()
    refused(SUBTRACTS, wrong, tests={"tests": SUMS})
    proved(ADDS, right, tests={"tests": SUMS})
    assert [len(one.inputs) for one in wrong.asked] == [1]
    assert [len(one.inputs) for one in right.asked] == [1, 16, 16, 7]


def test_what_is_expected_never_enters():
    """The runner is given inputs and arguments, never an output."""
    runner = Instant()
    proved("print(int(input().split()[0]) * 2)", runner, tests={"tests": [{"stdin": "21 0", "stdout": "42"}]})
    assert "42" not in str(runner.asked)


def test_an_executor_that_is_away_says_nothing_about_a_program():
    """Its absence is raised as what it is; a program that it turns down is refused."""

    class Away(Instant):
        async def run(self, program):
            raise UnavailableError("gone")

    class Strict(Instant):
        async def run(self, program):
            raise MisuseError("too large")

    with pytest.raises(UnavailableError):
        proved(ADDS, Away())
    assert refused(ADDS, Strict()) == REFUSED
