"""The policies that ship: sound, tested in all four ways, and saying what the design promises."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from flywheel.core.decisions import Judgement
from flywheel.core.facts import Facts
from flywheel.core.intents import Intent
from flywheel.core.lines import Gate, Line, RolloutPlan
from flywheel.policy.cases import gaps, run_case
from flywheel.policy.guardrails import Guardrail
from flywheel.policy.judging import judge
from flywheel.policy.loading import check_policies, load_cases, load_policies, run_cases
from flywheel.policy.meanings import MEANINGS

SHIPPED = Path(__file__).parents[2] / "policies"
POLICIES = load_policies(SHIPPED)
CASES = load_cases(SHIPPED)
RAILS = {each.name: each for each in POLICIES.guardrails}

SOUND: Facts = {
    "base.fingerprint_is_frozen": True, "base.is_adapter": False, "base.parameters_billion": 7.0,
    "clock.in_idle_window": True, "dataset.examples": 500, "dataset.largest_domain_share": None,
    "dataset.largest_foreign_repo_share": 0.0, "dataset.largest_session_share": 0.05, "dataset.lost_examples": 0,
    "dataset.new_group_share": None, "dataset.replay_share": 0.0, "dataset.shares_with_suites": 0,
    "dataset.teacher_share": 0.0, "ladder.lowest_other_rung": 3, "line.is_planning": False,
    "line.minimum_examples": 100, "line.rounds_without_gain": 0, "line.rung": 3, "line.runs_per_day": 2,
    "line.runs_today": 0, "line.spare_disk_gib": 1.0, "machine.free_disk_gib": 40.0, "machine.gpus": 1,
    "parent.exists": False, "suite.exists": True,
}  # fmt: skip


def said(kind: str, facts: Facts) -> Judgement:
    return judge(Intent(kind=kind, line="tool-calling", subject="s", why="w"), facts, POLICIES).judgement


def test_what_ships_is_sound() -> None:
    """Nothing is wrong with the shipped folder, and every case in it comes out as written."""
    assert check_policies(SHIPPED) == []
    assert [str(result) for result in run_cases(SHIPPED) if not result.passed] == []


@pytest.mark.parametrize(
    ("guardrail", "case"), [(RAILS[name], case) for name, file in CASES.items() for case in file.cases]
)
def test_each_case_comes_out_as_written(guardrail: Guardrail, case: object) -> None:
    """Facts in, the answer beside them out."""
    result = run_case(guardrail, case)  # type: ignore[arg-type]
    assert result.passed, result.sentence


@pytest.mark.parametrize("name", RAILS)
def test_every_guardrail_is_shown_in_all_four_ways(name: str) -> None:
    """Allowed, stopped, not applicable, and with a fact unknown: each guardrail has a case of each."""
    assert name in CASES
    assert gaps(RAILS[name], CASES[name].cases) == ()


def test_a_thin_test_file_has_gaps() -> None:
    """The check for the four ways finds what is missing."""
    rail, cases = RAILS["frozen-base"], CASES["frozen-base"].cases
    allowing = tuple(case for case in cases if case.expect == "allow")
    assert gaps(rail, allowing) == ("refuse", "not applicable", "unknown")


@pytest.mark.parametrize("name", RAILS)
def test_every_guardrail_gives_a_reason_worth_reading(name: str) -> None:
    """Whoever is stopped by it learns why it exists; what ships is enforced."""
    assert len(RAILS[name].why.split()) >= 12
    assert RAILS[name].enforced


def test_the_design_s_guardrails_all_ship() -> None:
    """Everything the design lists is there; two more close the gap that an unknown override would leave."""
    assert set(RAILS) == {
        "accumulate-never-replace", "base-not-an-adapter", "data-of-its-base", "disk-low", "domain-cap",
        "climb-on-own-answers", "climb-to-production", "climb-when-proven", "first-promotion-approved",
        "foreign-repo-cap", "frozen-base", "gpu-idle-window", "mined-domain-cap",
        "mined-from-many", "mined-repo-size", "minimum-examples",
        "minimum-judgements", "minimum-pairs", "mixed-rung-mixes", "planning-climbs-last",
        "sources-of-its-rung", "override-known", "paused-line", "planning-last",
        "plateau-needs-diversity", "promotions-known", "proven-before-canary", "quiet-before-training",
        "replay-share", "rotate-when-due", "runs-a-day",
        "session-cap", "suite-before-training", "suite-not-exhausted", "teacher-below-6b",
    }  # fmt: skip


def test_an_ordinary_first_run_is_allowed() -> None:
    """The guardrails together leave a way through."""
    assert said("train.start_run", SOUND) is Judgement.ALLOW


ALWAYS = sorted({f for r in RAILS.values() if not r.when and "train.start_run" in r.guards for f in r.reads})


@pytest.mark.parametrize("fact", ALWAYS)
def test_no_run_starts_while_a_required_reading_is_missing(fact: str) -> None:
    """A run that everything else speaks for still waits for each fact that is always required."""
    assert said("train.start_run", {**SOUND, fact: None}) is not Judgement.ALLOW


overrides = st.sampled_from([True, False, None])
verdicts = st.sampled_from(["pass", "fail", "insufficient evidence", "none", None])


@given(verdict=verdicts, overridden=overrides)
def test_a_canary_is_proven_or_overridden(verdict: str | None, overridden: bool | None) -> None:  # noqa: FBT001
    """Invariant 7: whatever is known or unknown, only a pass or a recorded override reaches the agent."""
    facts: Facts = {"gate.verdict": verdict, "release.overridden": overridden}
    allowed = overridden is True or (overridden is False and verdict == "pass")
    assert (said("rollout.start_canary", facts) is Judgement.ALLOW) is allowed


@given(promotions=st.none() | st.integers(0, 3), overridden=overrides, approved=overrides)
def test_the_first_promotion_is_a_person_s(
    promotions: int | None,
    overridden: bool | None,  # noqa: FBT001
    approved: bool | None,  # noqa: FBT001
) -> None:
    """Whatever is known or unknown, a first promotion has an approval or an override behind it."""
    facts: Facts = {
        "line.promotions": promotions, "release.overridden": overridden, "release.approved": approved,
    }  # fmt: skip
    if said("rollout.promote_adapter", facts) is Judgement.ALLOW:
        assert promotions is not None
        assert promotions > 0 or overridden is True or approved is True


@given(replayed=st.integers(0, 400), rows=st.integers(1, 400), parent=st.booleans())
def test_replay_is_a_tenth_to_a_fifth(replayed: int, rows: int, parent: bool) -> None:  # noqa: FBT001
    """Counted in whole rows, both ends belong to the range."""
    facts: Facts = {**SOUND, "parent.exists": parent, "dataset.replay_share": replayed / rows}
    fits = rows <= 10 * replayed and 5 * replayed <= rows
    assert (said("train.start_run", facts) is Judgement.ALLOW) is (fits or not parent)


@given(largest=st.integers(0, 100), examples=st.integers(100, 5000))
def test_a_session_has_at_most_a_hundredth(largest: int, examples: int) -> None:
    """Counted in whole examples, and only where a thousand of them make it possible."""
    facts: Facts = {**SOUND, "dataset.examples": examples, "dataset.largest_session_share": largest / examples}
    assert (said("train.start_run", facts) is Judgement.ALLOW) is (examples < 1000 or 100 * largest <= examples)


@given(today=st.integers(0, 9), most=st.integers(1, 9))
def test_runs_of_a_day_are_held_not_refused(today: int, most: int) -> None:
    """What is too much today may start tomorrow."""
    facts: Facts = {**SOUND, "line.runs_today": today, "line.runs_per_day": most}
    assert said("train.start_run", facts) is (Judgement.ALLOW if today < most else Judgement.HOLD)


def test_taking_back_is_never_guarded() -> None:
    """Nothing that ships can stand between a bad adapter and its rollback."""
    assert not POLICIES.guarded_kinds & {"rollout.roll_back_adapter", "serve.flip_aliases", "rollout.reject_adapter"}


def test_the_shipped_line_is_the_one_required() -> None:
    """RD4: 100 steps, learning rate 1e-5, rank 16, batch 4, a look every 25 steps, stop when the loss rises."""
    line = POLICIES.lines["tool-calling"]
    numbers = line.train.hyperparameters
    assert (numbers.max_steps, numbers.learning_rate, numbers.rank) == (100, 1e-5, 16)
    assert (numbers.batch_size, numbers.eval_steps, numbers.patience) == (4, 25, 1)
    assert numbers.save_steps == numbers.eval_steps
    assert (line.base, line.gate, line.rollout) == ("main", "tool-calling", "careful")
    assert 0.10 <= line.dataset.replay <= 0.20


def test_the_readiness_gate_holds_the_targets() -> None:
    """RD5: tool calling at 95 percent, and code and reasoning not below the base."""
    gate = POLICIES.gates["tool-calling-readiness"]
    assert (gate.targets["tool-calling"], set(gate.of_base.values())) == (0.95, {1.0})


def _keys(model: type[BaseModel]) -> set[str]:
    own = {f"{model.__name__}.{key}" for key in model.model_fields}
    tables = [field.annotation for field in model.model_fields.values()]
    inner = (_keys(kind) for kind in tables if isinstance(kind, type) and issubclass(kind, BaseModel))
    return own.union(*inner)


def test_every_key_of_a_line_gate_and_rollout_has_a_meaning() -> None:
    """An error about any key can say what it means, and no meaning outlives its key."""
    assert _keys(Line) | _keys(Gate) | _keys(RolloutPlan) == set(MEANINGS)
