"""What holds for every verdict, whatever was measured: order, names and repetition decide nothing."""

import random
from dataclasses import replace

import numpy as np
import pytest
from gate_house import call_text, make_gate
from gate_simulations import World, draw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.core.lines import Planted, Sampling
from flywheel.core.verdicts import Problem, Verdict
from flywheel.gate.evidence import Answer, Compared, Samples, compare
from flywheel.gate.suspicions import suspect
from flywheel.gate.triggers import judge_planted, plant
from flywheel.gate.verdicts import Subject, judge

SUBJECT = Subject(adapter="a", suite="s", alpha=0.03)
CALM = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SCORES = st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=2).map(tuple)
SAMPLES = st.builds(
    Samples, scores=SCORES, unusable=st.lists(st.booleans(), min_size=2, max_size=2).map(tuple),
    seconds=st.lists(st.floats(0.01, 10), min_size=2, max_size=2).map(tuple),
    in_format=st.lists(st.booleans(), min_size=2, max_size=2).map(tuple),
    texts=st.lists(st.sampled_from(["", "a", "b c", "call it"]), min_size=2, max_size=2).map(tuple),
)  # fmt: skip
EVIDENCE = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("123456"), SAMPLES, SAMPLES), max_size=40).map(
    lambda rows: [
        Compared(f"p{at}", category, group, {"base": base, "candidate": candidate}, "exact")
        for at, (category, group, base, candidate) in enumerate(rows)
    ]
)
GATE = make_gate(
    minimum_problems=5, minimum_gain=0.01, judge_latency=True, minimum_score=0.3, targets={"a": 0.3},
    of_base={"*": 1.0}, sampling=Sampling(),
)  # fmt: skip


def verdict_on(evidence, gate=GATE):
    return judge(evidence, gate, SUBJECT, suspect(evidence, [], gate))


@CALM
@given(EVIDENCE, st.randoms(use_true_random=False))
def test_the_order_of_problems_is_nothing(evidence, rng):
    """Shuffled evidence gives the very same numbers and verdict, to the last digit."""
    shuffled = list(evidence)
    rng.shuffle(shuffled)
    first, second = verdict_on(evidence), verdict_on(shuffled)
    assert first.numbers == second.numbers
    assert [(c.name, c.verdict, c.seen, c.low) for c in first.checks] == [
        (c.name, c.verdict, c.seen, c.low) for c in second.checks
    ]
    assert first.categories == second.categories


PROBLEMS = [
    Problem(id=f"p{n}", kind="exact", category=f"c{n % 3}", group=f"g{n % 12}", prompt_key=f"k{n}",
            expected=f"answer {n}", messages=({"role": "user", "content": f"question {n}"},))
    for n in range(48)
]  # fmt: skip


@settings(CALM, max_examples=12)
@given(st.integers(0, 10**6), st.floats(0.1, 0.9))
def test_the_order_in_which_answers_came_is_nothing(seed, chance):
    """The log of a measurement may be read in any order, planted questions and all: the report is the same."""
    rng, gate = random.Random(seed), make_gate(planted=Planted(problems=6))
    asked = [
        *((one.id, draw) for one in PROBLEMS for draw in range(2)),
        *((o.id, 0) for o in plant(PROBLEMS, "s", gate.planted)),
    ]
    answers = [
        Answer(problem=problem, role=role, sample=sample, seconds=rng.random() + 0.1,
               text=f"answer {problem[1:]}" if rng.random() < chance else call_text(f"{rng.random()}"))
        for problem, sample in asked for role in ("base", "candidate")
    ]  # fmt: skip
    shuffled = list(answers)
    rng.shuffle(shuffled)
    reports = []
    for log in (answers, shuffled):
        evidence = compare(PROBLEMS, log, "text")
        triggered = judge_planted(evidence, log, "s", gate)
        assert triggered is not None
        reports.append(judge(evidence, gate, SUBJECT, (*suspect(evidence, PROBLEMS, gate), triggered)))
    assert reports[0] == reports[1]


@CALM
@given(EVIDENCE, st.permutations("abc"))
def test_the_names_of_categories_are_nothing(evidence, names):
    """Called otherwise, with the targets called otherwise alike, everything is judged the same."""
    called = dict(zip("abc", names, strict=True))
    renamed = [replace(one, category=called[one.category]) for one in evidence]
    first = verdict_on(evidence)
    second = verdict_on(renamed, GATE.model_copy(update={"targets": {called["a"]: 0.3}}))
    assert first.numbers == second.numbers
    assert [(c.name, c.verdict, c.seen) for c in first.checks] == [(c.name, c.verdict, c.seen) for c in second.checks]
    assert {called[name]: one for name, one in first.categories.items()} == second.categories


@CALM
@given(EVIDENCE, st.permutations("123456"))
def test_the_names_of_groups_are_nothing(evidence, names):
    """Which repo is called what changes nothing."""
    called = dict(zip("123456", names, strict=True))
    renamed = [replace(one, group=called[one.group]) for one in evidence]
    assert verdict_on(evidence) == verdict_on(renamed)


def again(evidence, times):
    """More evidence of the very same kind: every group of problems once more, under other names."""
    return [
        replace(one, problem=f"{one.problem}-{turn}", group=f"{one.group}-{turn}")
        for turn in range(times) for one in evidence
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("effect", [0.0, 0.06, 0.1])
def test_more_of_the_same_never_turns_a_pass_into_a_fail(seed, effect):
    """Twice and four times the same results: what passed passes, but for a category whose loss is now believed."""
    evidence = draw(World(problems=120, groups=40, effect=effect), np.random.default_rng(seed))
    gate = make_gate(judge_latency=True, largest_error_rate=0.05, minimum_score=0.3, of_base={"*": 1.0})
    before = {check.name: check.verdict for check in verdict_on(evidence, gate).checks}
    for times in (2, 4):
        after = {check.name: check.verdict for check in verdict_on(again(evidence, times), gate).checks}
        lost = {name for name, verdict in before.items() if verdict is Verdict.PASS and after[name] is not Verdict.PASS}
        assert lost <= {"categories", "kept"}
        failed = {name for name, verdict in before.items() if verdict is Verdict.FAIL}
        assert {name for name in failed if after[name] is Verdict.PASS} <= {"categories"}


def test_an_open_verdict_is_decided_by_as_many_problems_as_it_asks_for():
    """What is missing is said, and with about that many more of the same kind the check is no longer open."""
    evidence = draw(World(problems=100, groups=100, effect=0.08, samples=1), np.random.default_rng(5))
    gate = make_gate(minimum_gain=0.01)
    strict = Subject(adapter="a", suite="s", alpha=1e-6)
    found = next(c for c in judge(evidence, gate, strict).checks if c.name == "points gained")
    assert found.verdict is Verdict.INSUFFICIENT
    more = int(found.sentence.split("about ")[1].split(" ")[0])
    enough = again(evidence, 2 + more // 100)
    assert next(c for c in judge(enough, gate, strict).checks if c.name == "points gained").verdict is Verdict.PASS


@CALM
@given(EVIDENCE, st.sampled_from([0.0, 0.01, 0.05]))
def test_the_very_same_answers_never_pass(evidence, gain):
    """A candidate with the base's own answers gained nothing, whatever the gate asks for."""
    clone = [replace(one, roles={**one.roles, "candidate": one.roles["base"]}) for one in evidence]
    gate = GATE.model_copy(update={"minimum_gain": gain, "minimum_score": None, "targets": {}})
    assert verdict_on(clone, gate).verdict is not Verdict.PASS


def test_a_clone_of_the_base_drawn_anew_never_passes_in_a_hundred_tries():
    """Other seeds, other answers, the same model: a hundred suites of 300, and none is promoted."""
    world, rng = World(), np.random.default_rng(100)
    subject = Subject(adapter="a", suite="s", alpha=0.03)
    assert not any(judge(draw(world, rng), make_gate(), subject).verdict is Verdict.PASS for _ in range(100))


def test_a_better_answer_never_hurts():
    """Turning a wrong answer right never turns a pass into anything else."""
    rng = random.Random(3)
    evidence = draw(World(problems=150, effect=0.12), np.random.default_rng(3))
    gate = make_gate(minimum_score=0.3)
    assert judge(evidence, gate, SUBJECT).verdict is Verdict.PASS
    for _ in range(10):
        at = rng.randrange(len(evidence))
        better = replace(evidence[at].roles["candidate"], scores=(1.0,) * 4)
        evidence[at] = replace(evidence[at], roles={**evidence[at].roles, "candidate": better})
        assert judge(evidence, gate, SUBJECT).verdict is Verdict.PASS
