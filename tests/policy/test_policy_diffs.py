"""Diff: every key that differs is one sentence, and a set differs in nothing from itself."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flywheel.policy.diffing import diff
from flywheel.policy.guardrails import PolicySet
from flywheel.policy.loading import load_policies

SHIPPED = Path(__file__).parents[2] / "policies"
Spoil = Callable[[str, str, str], None]


@pytest.fixture
def before(policies: Path) -> PolicySet:
    return load_policies(policies)


def said(before: PolicySet, folder: Path) -> list[str]:
    return [change.sentence for change in diff(before, load_policies(folder))]


def test_a_set_differs_in_nothing_from_itself(before: PolicySet, policies: Path) -> None:
    """Comments, white space and the order of keys are no difference; the shipped set is the same, too."""
    file = policies / "lines" / "tools.toml"
    file.write_text("# a comment\n" + "\n".join(reversed(file.read_text().splitlines())))
    assert said(before, policies) == []
    assert diff(load_policies(SHIPPED), load_policies(SHIPPED)) == ()


def test_a_number_is_told_with_its_meaning(before: PolicySet, policies: Path) -> None:
    """A key below a table has its whole name, what it means, what it was and what it becomes."""
    with (policies / "lines" / "tools.toml").open("a") as file:
        file.write("[trigger]\nfresh_examples = 20\nafter_days = 2.5\n")
    told = [sentence.removeprefix("lines/tools.toml: trigger.") for sentence in said(before, policies)]
    assert told == [
        "fresh_examples (how many new examples make the line want an adapter): was 100, becomes 20",
        "after_days (after how many days anything new is enough): was unset, becomes 2.50",
    ]


def test_conditions_are_told_in_words(before: PolicySet, policies: Path, spoil: Spoil) -> None:
    """A changed bound is read as it is in decisions, not as TOML."""
    spoil("guardrails/replay.toml", "low = 0.1", "low = 0.05")
    (sentence,) = said(before, policies)
    assert sentence.endswith(
        "was 'dataset.replay_share is 0.10 to 0.20', becomes 'dataset.replay_share is 0.05 to 0.20'"
    )


def test_which_way_a_guardrail_moved_is_told_where_it_is_plain(before: PolicySet, policies: Path, spoil: Spoil) -> None:
    """Holding instead of refusing is looser, a file that came is stricter; an observer stops nothing and is neither."""
    spoil("guardrails/replay.toml", "why ", 'verdict = "hold"\nwhy ')
    text = (policies / "guardrails" / "replay.toml").read_text()
    (policies / "guardrails" / "more.toml").write_text(text)
    (policies / "guardrails" / "watch.toml").write_text(text + '\nmode = "observe"\n')
    changes = {change.file: (change.how, change.strictness) for change in diff(before, load_policies(policies))}
    assert changes == {
        "guardrails/more.toml": ("added", "stricter"),
        "guardrails/replay.toml": ("changed", "looser"),
        "guardrails/watch.toml": ("added", ""),
    }
    back = {change.file: (change.how, change.strictness) for change in diff(load_policies(policies), before)}
    assert back["guardrails/more.toml"] == ("removed", "looser")
    assert back["guardrails/replay.toml"] == ("changed", "stricter")


def test_tables_are_told_key_by_key(before: PolicySet, policies: Path) -> None:
    """A gate's targets are compared one by one, not as a whole."""
    gate = policies / "gates" / "exam.toml"
    gate.write_text(gate.read_text() + "[targets]\nrust = 0.5\nmath = 0.4\n")
    earlier = load_policies(policies)
    gate.write_text(gate.read_text().replace("0.5", "0.6"))
    (sentence,) = said(earlier, policies)
    assert "targets.rust (" in sentence
    assert sentence.endswith("was 0.50, becomes 0.60")


def test_other_hash_other_words(policies: Path) -> None:
    """Whatever differs in words differs in the hash."""
    shipped, other = load_policies(SHIPPED), load_policies(policies)
    assert shipped.hash != other.hash
    files = {change.file for change in diff(shipped, other)}
    assert "lines/tools.toml" in files
    assert {f"guardrails/{each.name}.toml" for each in shipped.guardrails} <= files
