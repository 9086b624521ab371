"""The block of overrides: whatever lines there are, the agent asks each stage of the line that learns it."""

import itertools
import tomllib
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.cli.override_blocks import CONSULTED, STAGES, is_clean_room, overrides_of, resolve
from flywheel.core.lines import Line, Select
from flywheel.daemon.places import shipped
from flywheel.policy.loading import load_policies
from flywheel.sources.write_back_rows import calls_of, role_of_call

SHIPPED = {name: line for name, line in load_policies(shipped("policies")).lines.items() if is_clean_room(line)}
BASES = {name: line.base for name, line in SHIPPED.items()}


def of(names: Iterable[str]) -> dict[str, Line]:
    """These of the shipped lines."""
    return {name: SHIPPED[name] for name in names}


def test_the_five_lines_of_the_agent_are_known() -> None:
    """Those, and none of the other agents'."""
    assert set(SHIPPED) == {"task-analysis", "scope", "precision", "plan", "code"}


@pytest.mark.parametrize("number", range(6))
def test_every_stage_asks_the_line_that_learns_it(number: int) -> None:
    """Any of the shipped lines together: their stages ask them, and no stage asks a line that does not learn it."""
    for names in itertools.combinations(SHIPPED, number):
        lines = of(names)
        found = overrides_of(lines, BASES, {})
        learned = {stage: name for name, line in lines.items() for stage in calls_of(line)}
        assert {stage: found.resolved.get(stage) for stage in learned} == learned
        assert {stage for stage, model in found.resolved.items() if model in lines} <= learned.keys()


def test_a_stage_that_no_line_learns_does_not_fall_to_the_line_of_its_role() -> None:
    """With `plan` as the default for reasoning, the stages that consult an override are sent to its base."""
    found = overrides_of(of(["plan", "scope"]), BASES, {})
    assert found.roles == {"reasoning": "plan"}
    assert found.overrides == {
        "task_analysis": "qwen3-4b", "stage_routing": "qwen3-4b", "scope": "scope", "precision": "qwen3-4b",
        "documentation": "qwen3-4b",
    }  # fmt: skip


def test_override_then_role_then_base() -> None:
    """The agent's own order; a stage that it asks no override for has none."""
    assert resolve("scope", {"scope": "a"}, {"classifier": "b"}, "classifier", "c") == "a"
    assert resolve("scope", {}, {"classifier": "b"}, "classifier", "c") == "b"
    assert resolve("scope", {}, {}, "classifier", "c") == "c"
    assert resolve("execute_plan", {"execute_plan": "a"}, {"reasoning": "b"}, "reasoning", "c") == "b"


def test_a_role_of_the_settings_wins() -> None:
    """Where the source says that a line is for another of the agent's models, that one gets it."""
    assert overrides_of(of(["plan"]), BASES, {"plan": "coding"}).roles == {"coding": "plan"}


def test_two_lines_for_one_role_are_told() -> None:
    """A role has one default: who does not get it is said, and the block does not pretend."""
    lines = {name: Line(name=name, why="w", base="b", select=Select(call_types=(stage,)))
             for name, stage in (("plans", "execute_plan"), ("changes", "execute_adjust"))}  # fmt: skip
    found = overrides_of(lines, dict.fromkeys(lines, "b"), {})
    assert len(found.notes) == 1
    assert "two lines share the default of one role" in found.notes[0]


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(SHIPPED)), unique=True), st.none() | st.integers(1, 99_999))
def test_the_block_is_toml_and_says_what_was_found(names: list[str], context: int | None) -> None:
    """The one table, each value in one of the two shapes that the agent reads."""
    found = overrides_of(of(names), BASES, {}, context)
    said = tomllib.loads(found.toml)
    assert said.keys() == {"models"}
    whole = {stage: {"model": model, "context_window": context} if context else model
             for stage, model in found.overrides.items()}  # fmt: skip
    assert said["models"] == {"overrides": whole}
    assert all(f'#   {role} = "{model}"' in found.toml for role, model in found.roles.items())


def test_every_stage_has_a_role() -> None:
    """Nothing that can be consulted is unknown to the write-back's roles."""
    assert set(CONSULTED) < set(STAGES)
    assert {role_of_call(stage) for stage in STAGES} == {"coding", "reasoning", "classifier"}
