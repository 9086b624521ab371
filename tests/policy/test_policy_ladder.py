"""The ladder in policies: what is told of a line that climbs, and how the past of one is judged again."""

from datetime import UTC, datetime
from pathlib import Path

from flywheel.core.decisions import Judgement
from flywheel.core.intents import Intent
from flywheel.core.lines import Line
from flywheel.policy.explaining import explain_line
from flywheel.policy.guardrails import PolicySet
from flywheel.policy.judging import judge
from flywheel.policy.line_facts import facts_of_line
from flywheel.policy.loading import load_policies
from flywheel.policy.replaying import Recorded, difference

SHIPPED = load_policies(Path(__file__).parents[2] / "policies")
LADDER = SHIPPED.model_copy(update={
    "guardrails": tuple(one for one in SHIPPED.guardrails if one.name in {"mixed-rung-mixes", "planning-last"})
})  # fmt: skip


def policies(**values: object) -> PolicySet:
    line = Line.model_validate({"name": "scope", "why": "w", "base": "b", "rung": 1, **values})
    return LADDER.model_copy(update={"lines": {"scope": line}})


def test_where_a_line_stands_is_no_fact_of_its_file_when_it_climbs() -> None:
    """A line that stays says its rung; of one that climbs only the day can tell."""
    assert facts_of_line(policies().lines["scope"])["line.rung"] == 1
    assert "line.rung" not in facts_of_line(policies(climbs_to=3).lines["scope"])


def test_explaining_a_line_tells_how_far_it_climbs_and_by_which_rules() -> None:
    """The guardrails of climbing stand there for lines that climb, and for no others."""
    told = explain_line("plan", SHIPPED)
    assert "rung 1 (climbs to 4)" in told
    for rail in ("climb-when-proven", "climb-on-own-answers", "climb-to-production", "planning-climbs-last"):
        assert rail in told
    assert "curate.climb_rung" not in explain_line("tool-calling", SHIPPED)
    assert "planning-climbs-last" not in explain_line("scope", SHIPPED)


def test_the_past_of_a_line_that_climbed_is_judged_on_the_rung_it_stood_on() -> None:
    """Under the policies of then nothing differs, though the file's rung is another; a file without a climb differs."""
    then = policies(climbs_to=3)
    intent = Intent(kind="train.start_run", line="scope", subject="r", why="w")
    facts = {"line.rung": 2, "dataset.others_share": 0.0, "line.is_planning": False}
    decision = judge(intent, facts, then)
    assert decision.judgement is Judgement.REFUSE
    past = Recorded(seq=1, at=datetime(2026, 1, 1, tzinfo=UTC), intent=intent, facts=facts, decision=decision)
    assert difference(past, then) is None
    found = difference(past, policies(rung=3))
    assert found is not None
    assert (found.before, found.after) == (Judgement.REFUSE, Judgement.ALLOW)
