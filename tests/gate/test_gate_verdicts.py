import random
import re
from dataclasses import replace

import pytest
from gate_house import make_gate, simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.lines import Gate, Sampling
from flywheel.core.verdicts import Verdict
from flywheel.gate.evidence import Compared, Samples
from flywheel.gate.statistics import alpha_for
from flywheel.gate.verdicts import Subject, judge, without_numbers

GATE = Gate(name="tool-calling", why="tests", judge_latency=False)
FIRST = alpha_for(1, 0.05)


def verdict_on(evidence, gate=GATE, alpha=FIRST):
    return judge(evidence, gate, Subject(adapter="adapter-hash", suite="suite-hash", alpha=alpha))


def check(report, name):
    return next(check for check in report.checks if check.name == name)


def with_roles(evidence, **roles):
    return [replace(one, roles={**one.roles, **roles}) for one in evidence]


def test_a_clear_gain_passes_and_says_by_how_much():
    """Thirty points over three hundred problems pass, and the sentence claims only what the bound says."""
    report = verdict_on(simulate(1, gain=0.3))
    assert report.verdict is Verdict.PASS
    assert "proven better by more than 5.0 points" in report.sentence
    assert report.alpha_spent == FIRST
    assert {c.verdict for c in report.checks} == {Verdict.PASS}
    assert report.numbers["candidate.score"] - report.numbers["base.score"] == pytest.approx(report.numbers["gain"])


def test_a_base_clone_never_passes():
    """A hundred candidates that are the base itself, drawn anew, are never promoted."""
    assert all(verdict_on(simulate(seed, gain=0.0)).verdict is not Verdict.PASS for seed in range(100))


def test_the_very_same_answers_never_pass():
    """A candidate that answers word for word as the base gained nothing, whatever the gate asks for."""
    evidence = [replace(one, roles={**one.roles, "candidate": one.roles["base"]}) for one in simulate(1)]
    report = verdict_on(evidence, make_gate(minimum_gain=0.0))
    assert (report.verdict, check(report, "points gained").verdict) == (Verdict.FAIL, Verdict.FAIL)


def test_false_promotions_stay_below_alpha_over_twenty_null_candidates():
    """Forty suites with twenty null candidates each, alpha spent in order: false promotions are rare."""
    promoted = 0
    for suite in range(40):
        promoted += any(
            verdict_on(simulate(suite * 1000 + index, 100, 0.0), alpha=alpha_for(index, 0.05)).verdict is Verdict.PASS
            for index in range(1, 21)
        )
    assert promoted / 40 <= 0.15  # 5 % promised; 40 suites are a modest look


def test_ten_points_are_found():
    """A true gain of ten points on 300 problems passes nine times in ten and more, categories and all."""
    passed = sum(verdict_on(simulate(seed, 300, 0.13)).verdict is Verdict.PASS for seed in range(60))
    gains = [verdict_on(simulate(seed, 300, 0.13)).numbers["gain"] for seed in range(5)]
    assert 0.07 < sum(gains) / 5 < 0.13  # ceilings eat a part of 13 points: about ten are left
    assert passed >= 54


@pytest.mark.parametrize(("count", "clusters", "missing"), [
    (60, 40, "40 more problems"), (300, 4, "6 more groups"), (20, 3, "80 more problems and 7 more groups"),
])  # fmt: skip
def test_too_little_evidence_is_never_a_pass_nor_a_fail(count, clusters, missing):
    """Too few problems or groups decide nothing, however good or bad the numbers look, and it says what is missing."""
    for gain in (0.4, 0.0):
        report = verdict_on(simulate(3, count, gain, clusters=clusters))
        assert report.verdict is Verdict.INSUFFICIENT
        assert missing in report.sentence


def test_no_evidence_at_all_is_insufficient():
    """Nothing measured is no pass: 0 of 0 proves nothing."""
    assert verdict_on([]).verdict is Verdict.INSUFFICIENT


def test_an_unproven_gain_says_how_many_problems_would_decide():
    """A gain that chance could explain names the number of problems that would settle it."""
    evidence = simulate(11, 100, 0.13, samples=1)
    report = verdict_on(evidence, make_gate(minimum_gain=0.01, minimum_problems=50), alpha=1e-6)
    assert report.verdict is Verdict.INSUFFICIENT
    more = int(re.search(r"about (\d+) more problems would decide this", report.sentence).group(1))
    assert 50 < more < 5000


def test_errors_must_be_proven_rare():
    """Eight useless candidates in 300 pass, nine need more problems, a tenth of them fails."""
    for faulty, expected in ((8, Verdict.PASS), (9, Verdict.INSUFFICIENT), (30, Verdict.FAIL)):
        evidence = [
            with_roles([one], candidate=replace(one.roles["candidate"], unusable=(n < faulty,) * 4))[0]
            for n, one in enumerate(simulate(5, gain=0.3))
        ]
        report = verdict_on(evidence)
        assert check(report, "error rate").verdict is expected
        assert ("more problems would decide" in check(report, "error rate").sentence) == (
            expected is Verdict.INSUFFICIENT
        )


def test_a_broken_category_fails_by_name():
    """The whole may gain thirty points: the tool that fell from always to half is named and fails it."""
    evidence = [
        replace(one, roles={"base": Samples((1.0,) * 4), "candidate": Samples((1.0, 0.0, 0.0, 1.0))})
        if one.category == "tool-3" else one
        for one in simulate(6, gain=0.4)
    ]  # fmt: skip
    report = verdict_on(evidence)
    assert report.verdict is Verdict.FAIL
    assert "tool-3 lost 50.0 points on 50 problems" in report.sentence
    assert check(report, "points gained").verdict is Verdict.PASS


def test_true_gains_everywhere_are_seldom_blocked_by_categories():
    """An adapter that is better by ten points in every category passes its category check."""
    blocked = sum(
        check(verdict_on(simulate(seed, 300, 0.13)), "categories").verdict is not Verdict.PASS for seed in range(40)
    )
    assert blocked <= 3


def test_the_active_adapter_is_not_replaced_by_a_worse_one():
    """A candidate that beats the base but loses eleven points to the active adapter fails with the interval."""
    best = with_roles(simulate(8, gain=0.2, active=True), active=Samples((1.0, 1.0, 1.0, 1.0)))
    report = verdict_on(best)
    found = check(report, "against the active adapter")
    assert (report.verdict, found.verdict) == (Verdict.FAIL, Verdict.FAIL)
    assert re.search(r"lost \d+\.\d points against the active adapter \(95 %: -\d", found.sentence)
    assert check(verdict_on(simulate(8, gain=0.2, active=True)), "against the active adapter").verdict is Verdict.PASS


def test_a_minimum_score_is_asked_for_whatever_the_base_does():
    """A gate with a floor fails what gains but stays below it."""
    report = verdict_on(simulate(9, gain=0.2), GATE.model_copy(update={"minimum_score": 0.95}))
    assert check(report, "score").verdict is Verdict.FAIL
    assert "95.0 % asked for" in report.sentence


@pytest.mark.parametrize(
    ("factor", "expected"), [(1.0, Verdict.PASS), (1.09, Verdict.INSUFFICIENT), (1.3, Verdict.FAIL)]
)
def test_latency_is_compared_problem_by_problem(factor, expected):
    """As fast passes, clearly slower fails, and what lies between asks for more problems."""
    rng = random.Random(10)
    evidence = []
    for one in simulate(10, 150, 0.3):
        base = tuple(rng.lognormvariate(0, 0.4) for _ in range(4))
        slow = tuple(second * factor * rng.lognormvariate(0, 0.2) for second in base)
        roles = {
            "base": replace(one.roles["base"], seconds=base),
            "candidate": replace(one.roles["candidate"], seconds=slow),
        }
        evidence.append(replace(one, roles=roles))
    gate = GATE.model_copy(update={"judge_latency": True})
    assert check(verdict_on(evidence, gate), "latency").verdict is expected


def test_no_times_give_no_latency_verdict():
    """A gate that judges latency does not pass on answers without times."""
    evidence = [
        replace(one, roles={r: replace(s, seconds=()) for r, s in one.roles.items()}) for one in simulate(1, gain=0.3)
    ]
    assert verdict_on(evidence, GATE.model_copy(update={"judge_latency": True})).verdict is Verdict.INSUFFICIENT


def test_a_failed_measurement_spends_nothing_and_proves_nothing():
    """An adapter that could not be measured has no evidence against it, and its suite lost no alpha."""
    report = without_numbers(GATE, Subject(adapter="a", suite="s", alpha=FIRST), "3 attempts at measuring failed")
    assert (report.verdict, report.alpha_spent) == (Verdict.INSUFFICIENT, 0.0)


SCORES = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=3).map(tuple)
SAMPLES = st.builds(
    Samples, scores=SCORES, unusable=st.lists(st.booleans(), max_size=3).map(tuple),
    seconds=st.lists(st.floats(0.001, 100), max_size=3).map(tuple),
)  # fmt: skip
EVIDENCE = st.lists(
    st.builds(
        Compared, problem=st.text(max_size=3), category=st.sampled_from(["read", "run"]), group=st.sampled_from("abc"),
        roles=st.fixed_dictionaries({"base": SAMPLES, "candidate": SAMPLES}, optional={"active": SAMPLES}),
    ),
    max_size=15,
)  # fmt: skip
GATES = st.builds(
    make_gate, minimum_problems=st.integers(2, 8), minimum_gain=st.sampled_from([0.0, 0.05]),
    judge_latency=st.booleans(), minimum_score=st.none() | st.just(0.5), sampling=st.just(Sampling()),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(EVIDENCE, GATES)
def test_every_report_is_whole(evidence, gate):
    """Whatever was measured: a pass needs every check, every sentence names a number, the same gives the same."""
    report = verdict_on(evidence, gate)
    assert (report.verdict is Verdict.PASS) == all(c.verdict is Verdict.PASS for c in report.checks)
    assert all(re.search(r"\d", c.sentence) for c in report.checks)
    assert report.verdict.value in report.sentence
    assert verdict_on(evidence, gate) == report
    assert type(report).model_validate_json(report.model_dump_json()) == report
