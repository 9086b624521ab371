"""The gates that ship have the numbers of the documents, and a report that fails by them changes the next run."""

from pathlib import Path

import pytest

from flywheel.core.lines import Gate
from flywheel.core.verdicts import Verdict
from flywheel.core.weaknesses import diagnose
from flywheel.gate.evidence import Compared, Samples
from flywheel.gate.metrics.registry import METRICS
from flywheel.gate.verdicts import Subject, judge
from flywheel.policy.loading import check_policies, load_policies
from flywheel.policy.remedies import treat

POLICIES = load_policies(Path(__file__).parents[2] / "policies")
GATES = POLICIES.gates


@pytest.mark.parametrize(("name", "domain", "target"), [("python-lora", "python", 0.40), ("math-lora", "math", 0.35)])
def test_the_fleets_gates_ask_what_its_document_asks(name: str, domain: str, target: float) -> None:
    """SF7, SF8: pass@1 by execution at 0.8, 5 s a test; > 0.35, > 5 points, < 10 % slower, < 5 % errors; targets."""
    gate = GATES[name]
    assert gate.metric in {"code_io", "code_calls"}
    assert (gate.sampling.temperature, gate.test_seconds) == (0.8, 5.0)
    assert (gate.minimum_score, gate.minimum_gain, gate.strictly) == (0.35, 0.05, True)
    assert (gate.largest_latency_increase, gate.judge_latency, gate.largest_error_rate) == (0.10, True, 0.05)
    assert gate.targets == {domain: target}
    assert gate.categories[domain] == ("*",)


def test_the_targeted_gate_asks_by_category() -> None:
    """LY3: domain 80 %, several tools 60 %, and no category regresses."""
    gate = GATES["targeted"]
    assert gate.targets == {"domain": 0.80, "multi-tool": 0.60}
    assert gate.of_base == {"*": 1.0}
    assert POLICIES.lines["tool-calling-targeted"].gate == "targeted"


def test_the_readiness_gate_asks_for_all_targets() -> None:
    """RD5: 92.9 % over all, 95 % of calls, all of the base's code and reasoning, and a red flag below 85 %."""
    gate = GATES["tool-calling-readiness"]
    assert (gate.minimum_score, gate.red_flag) == (0.929, 0.85)
    assert gate.targets == {"tool-calling": 0.95}
    assert gate.of_base == {"code": 1.0, "reasoning": 1.0}
    named = {pattern.removeprefix("kind:") for patterns in gate.categories.values() for pattern in patterns}
    assert named == {"tool_call", "code_*", "edit", "choice", "exact", "items"}


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
def test_every_gate_that_ships_is_sound(gate: Gate) -> None:
    """Its metric exists, alpha is 5 %, samples are drawn, and cheating and planted strings are looked for."""
    assert gate.metric in METRICS
    assert gate.alpha == 0.05
    assert gate.sampling.samples >= 2
    assert gate.suspicions.judged
    assert gate.planted.problems >= 8
    assert set(gate.categories) <= set(gate.targets) | set(gate.of_base)


@pytest.mark.parametrize(("text", "key"), [
    ("[targets]\ndomain = 1.2", "targets.domain"), ('targets = ["domain"]', "targets"), ("targts = 1", "targts"),
    ('[categories]\ndomain = "read"', "categories.domain"), ("[suspicions]\nlongest_ratio = 0.5", "longest_ratio"),
    ("[planted]\nproblems = 1000", "problems"),
])  # fmt: skip
def test_what_is_wrong_in_a_gate_is_told_by_its_key(tmp_path: Path, text: str, key: str) -> None:
    """A floor above one, a misspelt table, a list in the wrong place: each is one line that names the key."""
    (tmp_path / "guardrails").mkdir()
    (tmp_path / "gates").mkdir()
    (tmp_path / "gates" / "mine.toml").write_text(f'why = "tests"\n{text}\n')
    problems = check_policies(tmp_path)
    assert problems
    assert any(key in str(problem.key) + problem.wrong for problem in problems)


def _evidence(fallen: float) -> list[Compared]:
    """Return evidence where one of four tools lost this much and the others gained."""
    return [
        Compared(f"p{n}", f"tool-{n % 4}", f"g{n % 30}", {
            "base": Samples((1.0, 0.0, float(n % 3 > 0), 1.0)),
            "candidate": Samples((1.0, 1.0, 1.0, 1.0) if n % 4 or n % 10 >= 10 * fallen else (0.0, 0.0, 0.0, 1.0)),
        })
        for n in range(200)
    ]  # fmt: skip


def test_a_regression_discards_the_adapter_and_slows_the_next_run() -> None:
    """LY3: a fallen category fails by its name, and the next run of any line has half the learning rate."""
    gate = GATES["targeted"].model_copy(update={"targets": {}, "judge_latency": False})
    report = judge(_evidence(1.0), gate, Subject(adapter="a", suite="s", alpha=0.03))
    assert report.verdict is Verdict.FAIL
    assert "tool-0 lost" in report.sentence
    facts = diagnose([report])
    assert (facts["report.category_fell"], facts["report.falls_in_a_row"]) == (True, 1)
    line = POLICIES.lines["tool-calling-targeted"]
    treated = treat(line, facts, POLICIES.remedies.values())
    slower = treated.line.train.hyperparameters.learning_rate / line.train.hyperparameters.learning_rate
    assert slower == pytest.approx(0.5)
    assert "gentler-after-a-fall" in treated.remedies


def test_a_fall_that_is_proven_counts_even_where_it_is_small() -> None:
    """A category that is proven to be below the base is a fall, also where the estimate tolerates it."""
    gate = GATES["targeted"].model_copy(update={"targets": {}, "judge_latency": False, "largest_category_loss": 0.9})
    report = judge(_evidence(1.0), gate, Subject(adapter="a", suite="s", alpha=0.03))
    assert [check.name for check in report.checks if check.verdict is Verdict.FAIL] == ["kept"]
    assert diagnose([report])["report.category_fell"] is True
    unharmed = judge(_evidence(0.0), gate, Subject(adapter="a", suite="s", alpha=0.03))
    assert unharmed.verdict is Verdict.PASS
    assert diagnose([unharmed])["report.category_fell"] is False
