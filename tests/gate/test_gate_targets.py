"""Floors by name: what is reached, what is not, what is not proven either way, and what must be kept of the base."""

import random
from dataclasses import replace

import pytest
from gate_house import make_gate, simulate

from flywheel.core.verdicts import Verdict
from flywheel.gate.evidence import Compared, Samples
from flywheel.gate.targets import belongs, kept, score, targets
from flywheel.gate.verdicts import Subject, judge


def measured(category, right, count=60, base=0.5, kind="tool_call"):
    """Evidence on a category in which this part of the answers is right, problem by problem as even as can be."""
    rng = random.Random(f"{category} {right} {base}")

    def answers(chance):
        return Samples(tuple(float(rng.random() < chance) for _ in range(4)), (False,) * 4)

    both = [{"base": answers(base), "candidate": answers(right)} for _ in range(count)]
    return [Compared(f"{category}-{n}", category, f"{category}-{n % 20}", roles, kind) for n, roles in enumerate(both)]


LAYERED = make_gate(
    targets={"domain": 0.8, "multi-tool": 0.6}, of_base={"*": 1.0},
    categories={"domain": ("*", "!multi-tool", "!edge*")},
)  # fmt: skip


def test_every_named_target_must_be_reached():
    """80 in 100 of the domain and 60 in 100 with several tools: both reached pass, and the closest is told."""
    found = targets([*measured("read", 0.95), *measured("multi-tool", 0.8)], LAYERED)
    assert found.verdict is Verdict.PASS
    assert "every target was reached; closest is" in found.sentence


@pytest.mark.parametrize(("right", "count", "verdict", "said"), [
    (0.5, 60, Verdict.FAIL, "80.0 % asked for"), (0.77, 14, Verdict.INSUFFICIENT, "it may be chance"),
    (0.95, 5, Verdict.INSUFFICIENT, "domain has 5 problems in the suite, 5 more are needed"),
    (0.0, 0, Verdict.INSUFFICIENT, "domain has 0 problems in the suite, 10 more are needed"),
])  # fmt: skip
def test_a_missed_target_fails_only_when_it_is_proven(right, count, verdict, said):
    """Clearly below fails, what chance could explain is open, and too few problems say nothing; always by name."""
    found = targets([*measured("read", right, count), *measured("multi-tool", 0.9)], LAYERED)
    assert found.verdict is verdict
    assert said in found.sentence


def test_all_right_is_no_interval_of_nothing():
    """Where every answer is right the interval is that of shares, not a point."""
    found = targets(measured("read", 1.0), make_gate(targets={"read": 0.8}))
    assert found.verdict is Verdict.PASS
    assert "95 %: 94.0 % to 100.0 %" in found.sentence


def test_patterns_name_sets_of_categories():
    """Stars, exclusions and kinds: what belongs and what does not."""
    edge = Compared("p", "edge-empty", "g", {}, "tool_call")
    code = Compared("p", "easy", "g", {}, "code_io")
    assert belongs(edge, ("*",))
    assert not belongs(edge, LAYERED.categories["domain"])
    assert belongs(code, ("kind:code_*",))
    assert not belongs(edge, ("kind:code_*",))
    assert not belongs(code, ("!easy", "*"))


def test_what_is_kept_is_not_proven_to_fall():
    """Unmoved categories pass; one that lost thirty points fails by its name, whatever the others gained."""
    same = [one for name in "abcd" for one in measured(name, 0.5)]
    assert kept(same, LAYERED).verdict is Verdict.PASS
    assert "nothing was proven to fall below the base" in kept(same, LAYERED).sentence
    fallen = kept([*same, *measured("write", 0.4, base=0.8)], LAYERED)
    assert fallen.verdict is Verdict.FAIL
    assert "write 37.5 % right, the base 81.2 %" in fallen.sentence
    assert "below 100.0 % of the base" in fallen.sentence


def test_a_part_of_the_base_may_be_enough():
    """Who asks for nine tenths of the base tolerates what lies between."""
    evidence = measured("a", 0.72, base=0.8, count=400)
    assert kept(evidence, make_gate(of_base={"a": 1.0})).verdict is Verdict.FAIL
    assert kept(evidence, make_gate(of_base={"a": 0.8})).verdict is Verdict.PASS
    assert kept(evidence, make_gate(of_base={"b": 1.0})).verdict is Verdict.INSUFFICIENT
    assert kept([], make_gate(of_base={"*": 1.0})).verdict is Verdict.INSUFFICIENT


def exactly(right, base, count=100):
    """Evidence in which exactly so many problems are right."""
    both = [{"base": Samples((float(n < base),)), "candidate": Samples((float(n < right),))} for n in range(count)]
    return [Compared(f"p{n}", "c", f"g{n % 20}", roles) for n, roles in enumerate(both)]


@pytest.mark.parametrize(("right", "loosely", "strictly"), [
    (34, Verdict.FAIL, Verdict.FAIL), (35, Verdict.PASS, Verdict.FAIL), (36, Verdict.PASS, Verdict.PASS),
])  # fmt: skip
def test_exactly_the_floor_is_enough_unless_more_is_asked_for(right, loosely, strictly):
    """`strictly` makes 0.35 too little, and five points as well; rounding decides neither."""
    for strict, verdict in ((False, loosely), (True, strictly)):
        gate = make_gate(minimum_score=0.35, minimum_gain=0.05, strictly=strict)
        report = judge(exactly(right, 30), gate, Subject(adapter="a", suite="s", alpha=0.5))
        assert score(exactly(right, 30), gate).verdict is verdict
        assert next(check for check in report.checks if check.name == "points gained").verdict is verdict


def test_a_red_flag_says_where_to_look():
    """Below 85 in 100 it is the data or the format, and that is said; between flag and floor it is not."""
    gate = make_gate(minimum_score=0.929, red_flag=0.85)
    flagged, low = score(exactly(80, 70), gate), score(exactly(90, 70), gate)
    assert flagged.verdict is low.verdict is Verdict.FAIL
    assert "look at the data and the format" in flagged.sentence
    assert "look at the data and the format" not in low.sentence
    assert score(exactly(93, 70), gate).verdict is Verdict.PASS
    assert score(exactly(80, 70), make_gate(red_flag=0.85)).verdict is Verdict.FAIL
    assert score(exactly(90, 70), make_gate()) is None


def test_checks_carry_their_interval():
    """Numbers come with what they lie between, for whoever draws them."""
    report = judge(simulate(1, gain=0.3), make_gate(minimum_score=0.5), Subject(adapter="a", suite="s", alpha=0.03))
    for name in ("points gained", "score"):
        check = next(check for check in report.checks if check.name == name)
        assert check.low < check.seen < check.high


def test_without_names_there_are_no_such_checks():
    """A gate that names nothing asks for nothing of the sort."""
    evidence = [replace(one) for one in simulate(1)]
    assert targets(evidence, make_gate()) is kept(evidence, make_gate()) is score(evidence, make_gate()) is None
