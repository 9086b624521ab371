"""Remedies: what a line's last reports change about its next run."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.facts import FACTS, Facts
from flywheel.core.lines import Line
from flywheel.core.training import Hyperparameters
from flywheel.core.verdicts import Check, Report, Verdict
from flywheel.core.weaknesses import diagnose
from flywheel.policy.loading import check_policies, load_policies
from flywheel.policy.remedies import Changes, Factors, Remedy, treat

ROOT = Path(__file__).parents[2]
SHIPPED = load_policies(ROOT / "policies")
LINE = SHIPPED.lines["tool-calling"]
GOOD: Facts = {
    "report.exists": True, "report.verdict": "pass", "report.in_format": 0.99, "report.weakest_category": 0.9,
    "report.category_fell": False, "report.falls_in_a_row": 0,
}  # fmt: skip


def numbers(facts: Facts, line: Line = LINE) -> tuple[Hyperparameters, float, tuple[str, ...]]:
    """Return the hyperparameters, the focus and the remedies that a line gets from the shipped ones."""
    treated = treat(line, facts, SHIPPED.remedies.values())
    return treated.line.train.hyperparameters, treated.line.dataset.focus, treated.remedies


def report(in_format: float | None = 0.9, fell: bool = False, **scores: float) -> Report:  # noqa: FBT001, FBT002 - a fixture
    """Return a report with these numbers."""
    verdict = Verdict.FAIL if fell else Verdict.PASS
    check = Check(name="categories", verdict=verdict, seen=None, needs="", sentence="")
    return Report(
        adapter="a", suite="s", gate="g", verdict=verdict, sentence="", checks=(check,), alpha_spent=0.0,
        numbers={"candidate.in_format": in_format},
        categories={name: {"candidate": score, "base": 0.5} for name, score in scores.items()},
    )  # fmt: skip


def test_a_line_without_reports_or_with_good_ones_is_as_it_was_declared() -> None:
    """Nothing is changed without a reason, and what is unknown is none."""
    for facts in ({}, {"report.exists": False}, GOOD):
        assert treat(LINE, facts, SHIPPED.remedies.values()) == (LINE, ())


def test_a_format_that_was_not_learned_escalates_once() -> None:
    """Rank 32, 200 steps and a learning rate of 2e-5, as the line's own file says."""
    found, focus, names = numbers({**GOOD, "report.in_format": 0.4, "report.weakest_category": 0.1})
    assert (found.rank, found.alpha, found.max_steps, found.learning_rate) == (32, 64, 200, 2e-5)
    assert (focus, names) == (LINE.dataset.focus, ("format-not-learned",))


@pytest.mark.parametrize(("falls", "factor"), [(1, 0.5), (2, 0.25), (3, 0.125)])
def test_after_a_fall_the_next_run_takes_smaller_steps(falls: int, factor: float) -> None:
    """Half after one report with a worse category, a quarter after two in a row; of any line."""
    facts: Facts = {**GOOD, "report.category_fell": True, "report.falls_in_a_row": falls}
    found, _, names = numbers(facts)
    assert found.learning_rate == pytest.approx(LINE.train.hyperparameters.learning_rate * factor)
    assert found.model_copy(update={"learning_rate": 1.0}) == LINE.train.hyperparameters.model_copy(
        update={"learning_rate": 1.0}
    )
    assert names == ("gentler-after-a-fall",)


def test_a_weak_category_is_aimed_at() -> None:
    """300 steps at 5e-5 on the last 8 layers, accumulating 4, with more rows of what is weak."""
    found, focus, names = numbers({**GOOD, "report.weakest_category": 0.55})
    assert (found.max_steps, found.learning_rate, found.layers, found.accumulation) == (300, 5e-5, 8, 4)
    assert (found.save_steps, focus, names) == (100, 0.5, ("weak-spots",))


def test_factors_come_after_what_is_set() -> None:
    """A targeted run after a fall starts from the targeted learning rate."""
    facts: Facts = {**GOOD, "report.weakest_category": 0.1, "report.category_fell": True, "report.falls_in_a_row": 1}
    found, _, names = numbers(facts)
    assert found.learning_rate == pytest.approx(2.5e-5)
    assert names == ("gentler-after-a-fall", "weak-spots")


@given(st.integers(0, 1000))
def test_a_learning_rate_never_grows_nor_vanishes(falls: int) -> None:
    """However often a line fails, its learning rate stays above nothing and at most what was declared."""
    found, _, _ = numbers({**GOOD, "report.category_fell": True, "report.falls_in_a_row": falls})
    assert 0 < found.learning_rate <= LINE.train.hyperparameters.learning_rate


@given(st.sets(st.sampled_from(sorted(GOOD))))
def test_what_is_unknown_is_no_reason(known: set[str]) -> None:
    """Taking facts away never adds a remedy."""
    bad: Facts = {**GOOD, "report.in_format": 0.2, "report.weakest_category": 0.1, "report.category_fell": True}
    every = set(treat(LINE, bad, SHIPPED.remedies.values()).remedies)
    some = set(treat(LINE, {name: bad[name] for name in known}, SHIPPED.remedies.values()).remedies)
    assert some <= every


def test_reports_become_facts() -> None:
    """The last report counts, and how many in a row fell; every fact is declared."""
    facts = diagnose([report(0.5, fell=True, read=0.4, write=0.8), report(fell=True), report(), report(fell=True)])
    assert facts == {
        "report.exists": True, "report.verdict": "fail", "report.in_format": 0.5, "report.weakest_category": 0.4,
        "report.category_fell": True, "report.falls_in_a_row": 2,
    }  # fmt: skip
    assert set(facts) <= set(FACTS)
    assert diagnose([report(None)])["report.weakest_category"] is None


def test_a_remedy_that_does_nothing_is_refused() -> None:
    """Neither a change nor a factor, or a repetition of nothing."""
    when = ({"kind": "equals", "fact": "report.exists", "value": True},)
    with pytest.raises(ValueError, match="changes nothing"):
        Remedy.model_validate({"name": "x", "why": "y", "when": when})
    with pytest.raises(ValueError, match="there is no 'times'"):
        Remedy.model_validate(
            {"name": "x", "why": "y", "when": when, "change": {"rank": 8}, "repeat": "report.falls_in_a_row"}
        )


def test_every_key_names_a_key_of_a_line() -> None:
    """What a remedy changes is there to be changed, and its meaning is that key's place."""
    for model in (Changes, Factors):
        for name, field in model.model_fields.items():
            table, key = str(field.description).rsplit(".", 1)
            owner = {"train.hyperparameters": LINE.train.hyperparameters, "dataset": LINE.dataset}[table]
            assert key == name
            assert key in type(owner).model_fields


def test_a_remedy_for_a_line_nobody_declared_is_a_mistake(tmp_path: Path) -> None:
    """The nearest right name is told."""
    for folder in ("guardrails", "lines", "gates", "rollouts"):
        (tmp_path / folder).symlink_to(ROOT / "policies" / folder)
    (tmp_path / "remedies").mkdir()
    text = (ROOT / "policies" / "remedies" / "weak-spots.toml").read_text().replace("tool-calling", "tool-caling")
    (tmp_path / "remedies" / "weak-spots.toml").write_text(text)
    (problem,) = check_policies(tmp_path)
    assert problem.sentence.startswith("remedies/weak-spots.toml: lines (the lines it is for; empty means all): ")
    assert "no line is called 'tool-caling', did you mean 'tool-calling'?" in problem.sentence
