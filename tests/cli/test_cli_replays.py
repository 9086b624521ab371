"""`flywheel policy replay | diff` as a person types them, on decisions that the daemon's own hand wrote down."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli_house import Said

from flywheel.cli.moments import moment_of
from flywheel.core.clocks import ManualClock
from flywheel.core.errors import MisuseError
from flywheel.core.facts import Value
from flywheel.core.intents import Intent
from flywheel.core.rooms import Proposal
from flywheel.daemon.decisions import Decisions
from flywheel.daemon.places import shipped
from flywheel.policy.judging import judge
from flywheel.policy.line_facts import facts_of_line
from flywheel.policy.loading import load_policies
from flywheel.store.past_decisions import past_decisions
from flywheel.store.stores import open_store, sqlite_url

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LINE = "tool-calling"
GOOD: dict[str, Value] = {
    "base.fingerprint_is_frozen": True, "base.is_adapter": False, "base.layers": 0, "base.parameters_billion": 7.0,
    "clock.in_idle_window": True, "dataset.is_of_base": True, "dataset.judgements": 0, "dataset.pairs": 0,
    "dataset.largest_domain_share": 0.1, "dataset.largest_foreign_repo_share": 0.05,
    "dataset.largest_session_share": 0.005, "dataset.lost_examples": 0, "dataset.new_group_share": 0.5,
    "dataset.replay_share": 0.15, "dataset.shares_with_suites": 0, "dataset.teacher_share": 0.5,
    "ladder.lowest_other_rung": 3, "line.failed_runs": 0, "line.rounds_without_gain": 0, "line.runs_today": 0,
    "line.is_paused": False, "machine.free_disk_gib": 100.0, "machine.gpus": 0, "parent.exists": True,
    "suite.alpha_left": 0.05, "suite.exists": True, "suite.problems": 200,
}  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A home whose daemon decided on five runs of a line, an hour apart: the first two were too small."""
    policies = load_policies(shipped("policies"))
    clock = ManualClock(NOON)
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store:
        hand = Decisions(store, clock)
        for number, examples in enumerate((20, 90, 120, 180, 500)):
            facts = {**GOOD, **facts_of_line(policies.lines[LINE]), "dataset.examples": examples}
            intent = Intent(kind="train.start_run", line=LINE, subject=f"run-{number}", why="fresh examples")
            hand.record(Proposal(intent=intent, facts=facts), judge(intent, facts, policies))
            clock.advance(3600)
    path = tmp_path / "flywheel.toml"
    path.write_text(f'home = "{tmp_path}"\nlines = ["{LINE}"]\n')
    return path


@pytest.fixture
def tried(tmp_path: Path) -> Path:
    """Policies under which the line needs 150 examples, and one session may have all of them."""
    folder = tmp_path / "tried"
    shutil.copytree(shipped("policies"), folder)
    line = folder / "lines" / f"{LINE}.toml"
    needed = load_policies(folder).lines[LINE].dataset.minimum_examples
    text = line.read_text()
    assert f"minimum_examples = {needed}" in text
    line.write_text(text.replace(f"minimum_examples = {needed}", "minimum_examples = 150"))
    for name in ("session-cap.toml", "session-cap.cases.toml"):
        (folder / "guardrails" / name).unlink()
    return folder


@pytest.fixture
def policy(config: Path, typed: Callable[..., Said]) -> Callable[..., str]:
    """Run `flywheel policy …` on that home and return what it said."""

    def run(*arguments: str) -> str:
        said = typed("policy", *arguments, "--config", config)
        assert said.status == 0, said
        return said.out

    return run


def test_the_policies_in_force_differ_nowhere(policy: Callable[..., str]) -> None:
    """What the daemon decided it would decide again; that is said in one line, and as JSON."""
    assert "none would have gone differently" in policy("replay")
    told = json.loads(policy("replay", "--json"))
    assert (told["decisions"], told["different"], told["other_reasons"], told["guardrails"]) == (5, 0, 0, [])


def test_other_policies_are_told_by_guardrail(policy: Callable[..., str], tried: Path) -> None:
    """One more run would have been refused; the guardrail is named, with the run, its number and the sentence."""
    text = policy("replay", "--policies", str(tried))
    assert "5 decisions (#1 to #5)" in text
    assert "1 would have gone differently" in text
    assert "1  allow to refuse" in text
    assert "minimum-examples: would have stopped 1, decides 1" in text
    assert f"#3 2026-01-01 14:00 train.start_run {LINE} run-2" in text
    assert "dataset.examples is 120, needs at least line.minimum_examples (150)" in text
    told = json.loads(policy("replay", "--policies", str(tried), "--json"))
    assert told["ways"] == {"allow to refuse": 1}
    assert [one["guardrail"] for one in told["guardrails"]] == ["minimum-examples"]


def test_only_the_time_and_line_asked_for(policy: Callable[..., str], tried: Path) -> None:
    """What was decided before is not looked at; a line without decisions says that there is nothing."""
    told = json.loads(policy("replay", "--policies", str(tried), "--since", "2026-01-01T14:30", "--json"))
    assert (told["decisions"], told["first"], told["different"]) == (2, 4, 0)
    assert "nothing was decided" in policy("replay", "--line", "plan")


def test_the_difference_of_two_folders_is_told(policy: Callable[..., str], tried: Path) -> None:
    """With one folder it is set beside the settings' own; with two the second is the newer."""
    text = policy("diff", str(tried))
    assert "guardrails/session-cap.toml: removed (looser)" in text
    assert "dataset.minimum_examples (the fewest examples a run may be started on): was " in text
    assert "becomes 150" in text
    back = json.loads(policy("diff", str(tried), str(shipped("policies")), "--json"))
    assert {change["how"] for change in back["changes"]} == {"added", "changed"}
    assert "they say the same" in policy("diff", str(shipped("policies")))


def test_pages_of_the_ledger_leave_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the ledger is, every decision comes once, oldest first, and nothing that is none."""
    from flywheel.core.events import Event
    from flywheel.store import past_decisions as module
    from flywheel.store.ledger import append

    monkeypatch.setattr(module, "_PAGE", 7)
    kinds = ("policy.intent_allowed", "daemon.started", "policy.intent_held", "policy.intent_refused")
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store:
        with store.write() as session:
            for number in range(60):
                append(session, Event(kind=kinds[number % 4], at=NOON + timedelta(hours=number), line="ab"[number % 2]))
        found = [event.seq for event in past_decisions(store)]
        assert found == [number + 1 for number in range(60) if number % 4 != 1]
        late = [event.seq for event in past_decisions(store, NOON + timedelta(hours=50), "a")]
        assert late == [number + 1 for number in range(50, 60) if number % 2 == 0]


def test_moments_are_read_as_people_type_them() -> None:
    """So long ago, or a date; what is neither is misuse in one line."""
    assert moment_of("90m", NOON) == NOON - timedelta(minutes=90)
    assert moment_of("2w", NOON) == NOON - timedelta(weeks=2)
    assert moment_of("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)
    assert moment_of("2026-01-31T12:00+02:00") == datetime(2026, 1, 31, 10, tzinfo=UTC)
    for text in ("", "yesterday", "3y", "99999999999999d", "m"):
        with pytest.raises(MisuseError, match="is not a time"):
            moment_of(text, NOON)
