"""Tool-calling events: what was retried, corrected, confirmed, merged or rolled back decides label and weight."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.clocks import parse_time
from flywheel.core.outcomes import Label
from flywheel.sources.settings import ToolEventsSource
from flywheel.sources.tool_event_labels import Aftermath, label_call, weight_of
from flywheel.sources.tool_events import ToolEventsReader

AT = parse_time("2026-01-01T10:00:00Z")


class Session:
    """A session's events, written the way the agent writes them."""

    def __init__(self, root, name="shop/s1"):
        self.path = root / f"{name}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.count = 0

    def write(self, event, **fields):
        """Append one event."""
        self.count += 1
        at = f"2026-01-{1 + self.count // 1000:02}T10:{self.count // 60:02}:{self.count % 60:02}Z"
        with self.path.open("a") as file:
            file.write(json.dumps({"event": event, "at": at, "surplus": {"of": "fields"}, **fields}) + "\n")

    def call(self, name="read_file", asked="do it", **fields):
        """Append a tool call."""
        self.write("tool_call", **{"id": f"c{self.count}", "prompt": asked, "tool": name,
                                   "arguments": {"path": "a"}, "model": "m", **fields})  # fmt: skip


def outcomes(root, **settings):
    """What a first look finds, in order."""
    reader = ToolEventsReader(ToolEventsSource(name="punie", path=root, **settings))
    return [outcome for task in reader.read({}, None).tasks for outcome in task.outcomes]


def short(found):
    """Labels and weights."""
    return [(o.labelled.label.value, o.weight) for o in found]


def test_each_event_says_its_part(tmp_path):
    """Retried and corrected calls are negative, what came after them counts more, nothing said is unknown."""
    session = Session(tmp_path)
    session.call(asked="one")
    session.write("domain_validation", valid=True)
    session.call(asked="two")
    session.write("retry")
    session.call(asked="two")
    session.write("domain_validation", valid=True)
    session.call(asked="three")
    session.write("user_correction", text="no")
    session.call(asked="three")
    session.write("user_confirmation")
    session.call(asked="four")
    session.write("commit", sha="abc1234")
    session.call(asked="five")
    session.write("domain_validation", valid=False)
    found = outcomes(tmp_path)
    assert short(found) == [
        ("positive", 1.0), ("negative", 1.0), ("positive", 1.5), ("negative", 1.0), ("positive", 2.0), ("unknown", 1.0),
        ("negative", 1.0),
    ]  # fmt: skip
    assert found[1].chain == found[2].chain != found[3].chain == found[4].chain
    assert len({o.chain for o in found}) == 5
    first = found[0]
    assert (first.group, first.session, first.task, first.call_type) == ("shop", "s1", "shop/s1", "tool_call")
    assert first.response == '<tool_call>\n{"name": "read_file", "arguments": {"path": "a"}}\n</tool_call>'


def test_several_tools_merges_and_closings_weigh(tmp_path):
    """A turn of several tools, a merged and a closed branch multiply the weight."""
    session = Session(tmp_path)
    session.call(asked="a", branch="good")
    session.call("run_command", asked="a", branch="good")
    session.call(asked="b", branch="bad")
    session.write("branch_merged", branch="good")
    session.write("branch_closed", branch="bad")
    assert [o.weight for o in outcomes(tmp_path)] == [1.56, 1.56, 0.5]


def test_a_branch_is_followed_into_other_sessions(tmp_path):
    """A merge told by another session of the project reaches the calls on that branch, and no other project."""
    for name in ("shop/s1", "other/s1"):
        session = Session(tmp_path, name)
        session.call()
        session.write("commit", sha="abcdef1234", branch="feature")
    reader = ToolEventsReader(ToolEventsSource(name="punie", path=tmp_path))
    first = reader.read({}, None)
    assert [o.weight for task in first.tasks for o in task.outcomes] == [1.0, 1.0]
    Session(tmp_path, "shop/s2").write("branch_merged", branch="feature")
    assert reader.changed()
    second = reader.read(first.cursor, None)
    assert {task.task: [o.weight for o in task.outcomes] for task in second.tasks} == {"shop/s1": [1.2], "shop/s2": []}
    restarted = ToolEventsReader(ToolEventsSource(name="punie", path=tmp_path))
    Session(tmp_path, "shop/s3").write("rollback", commit="abcdef1")
    third = restarted.read(second.cursor, None)
    assert {task.task: [o.labelled.label.value for o in task.outcomes] for task in third.tasks} == {
        "shop/s1": ["negative"], "shop/s3": [],
    }  # fmt: skip


def test_a_rollback_counts_within_its_days(tmp_path):
    """A confirmed call that is taken back in time is negative, later it stays good; git's own words are understood."""
    session = Session(tmp_path)
    session.call(at="2026-01-01T10:00:00Z")
    session.write("user_confirmation")
    session.write("commit", sha="1234567890")
    session.write(
        "commit", sha="fff0000", at="2026-01-06T10:00:00Z", message="Revert it\n\nThis reverts commit 12345678."
    )
    assert short(outcomes(tmp_path)) == [("negative", 1.0)]
    assert short(outcomes(tmp_path, rollback_days=3)) == [("positive", 1.0)]


def test_quality_below_the_minimum_is_unknown(tmp_path):
    """The agent's own number and the evidence both have to reach the minimum."""
    session = Session(tmp_path)
    for quality in (0.95, 0.79):
        session.call()
        session.write("domain_validation", quality=quality)
    assert [o.labelled.label.value for o in outcomes(tmp_path)] == ["positive", "unknown"]
    assert [o.labelled.label.value for o in outcomes(tmp_path, minimum_quality=0.9)] == ["unknown", "unknown"]


@pytest.mark.asyncio
async def test_what_is_needed_and_missing_is_refused_by_name(store, tmp_path, house):
    """Events without what they need are quarantined once; events of unknown kinds and surplus fields are left alone."""
    root = tmp_path / "events"
    session = Session(root)
    session.write("user_confirmation")
    session.call(prompt=None)
    session.call(at="yesterday")
    session.call(tool=None)
    session.call(tool_calls=[{"function": {"arguments": "{}"}}])
    session.call(arguments="{")
    session.write("domain_validation")
    session.write("", note="no event")
    session.write("lunch_break")
    session.write("retry", call="nobody")
    session.call(asked="AKIA" + "Q7" * 8)
    session.call(messages=[{"role": "user", "content": "go"}], tools=[{"name": "read_file"}])
    session.write("user_confirmation")
    made = type(house)(store, ToolEventsSource(name="punie", path=root))
    for _ in range(2):
        await made.cycle()
        made.room.ask_full_look()
    assert made.labels() == {"positive": 1}
    assert made.outcomes()[0].outcome.tools == ({"name": "read_file"},)
    rules = sorted(event.body["rule"] for event in made.events("sources.row_quarantined"))
    assert " ".join(rules) == (
        "aws-access-key no-answer no-call no-call no-event no-question no-time no-tool no-verdict not-json"
    )
    made.room.close()


@pytest.mark.asyncio
async def test_a_later_word_revises_a_label(store, tmp_path, house):
    """A growing session is followed; its calls are stored once, and a correction takes a label back."""
    root = tmp_path / "events"
    session = Session(root)
    session.call()
    session.write("user_confirmation")
    made = type(house)(store, ToolEventsSource(name="punie", path=root))
    await made.cycle()
    assert made.labels() == {"positive": 1}
    assert not made.room.changed()
    session.write("user_correction")
    assert made.room.changed()
    await made.cycle()
    assert made.labels() == {"negative": 1}
    made.room.close()


many = st.builds(
    Aftermath, success=st.none() | st.booleans(), valid=st.none() | st.booleans(),
    quality=st.none() | st.floats(0, 1), confirmed=st.booleans(), retried=st.booleans(), corrected=st.booleans(),
    committed=st.booleans(), merged=st.booleans(), closed=st.booleans(),
    rolled_back=st.just(()) | st.just((None,)), follows_retry=st.booleans(), follows_correction=st.booleans(),
    many_tools=st.booleans(),
)  # fmt: skip
RANK = {Label.NEGATIVE: 0, Label.UNKNOWN: 1, Label.POSITIVE: 2}


@given(many)
def test_worse_evidence_never_raises_a_label(after):
    """Whatever is added against a call, its label gets no better; without a good word it is never positive."""
    label = label_call(AT, after, 7, 0.8).label
    for change in (
        {"success": False}, {"valid": False}, {"retried": True}, {"corrected": True}, {"rolled_back": (AT,)},
        {"closed": True}, {"quality": 0.0},
    ):  # fmt: skip
        assert RANK[label_call(AT, after._replace(**change), 7, 0.8).label] <= RANK[label]
    if not (after.valid or after.confirmed):
        assert label is not Label.POSITIVE
    assert 0.5 <= weight_of(after) <= 4.68
