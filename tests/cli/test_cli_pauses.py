"""`flywheel pause` and `flywheel resume`: a request, satisfied by the next cycle, and said in the status."""

import json


def test_a_line_is_paused_by_a_cycle_and_goes_on_by_another(say):
    """What is asked is kept; the next cycle does it; the status says who paused and how to go on."""
    asked = say("pause", "tool-calling", "--reason", "a look", "--wait", "0")
    assert (asked.status, "no answer yet" in asked.out) == (0, True)
    assert "tool-calling is paused" in say("cycle").out
    (line,) = json.loads(say("status", "--json").out)["lines"]
    assert "a look (`flywheel resume tool-calling`)" in line["paused"]
    resumed = json.loads(say("resume", "tool-calling", "--wait", "0", "--json").out)
    assert (resumed["kind"], resumed["state"]) == ("resume", "open")
    assert "tool-calling goes on" in say("cycle").out
    told = json.loads(say("decisions", "--kind", "operator.line", "--json").out)
    assert [event["kind"] for event in told] == ["operator.line_paused", "operator.line_resumed"]


def test_a_line_that_is_not_on_cannot_be_paused(say):
    """The mistake is said with the lines there are, and nothing is asked."""
    say("pause", "nothing").refused(2, "'nothing' is not a line", "tool-calling")
