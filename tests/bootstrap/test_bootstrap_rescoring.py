"""What the line's own model said, judged by a teacher."""

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judgement_house import ALL, MOMENT, drive, line, material, said

from flywheel.bootstrap.derivations import KEPT
from flywheel.bootstrap.formed_answers import HIGH, LOW, NO_JUDGE, NO_JUDGEMENT
from flywheel.bootstrap.prompts import Prompt
from flywheel.bootstrap.rescoring_tasks import (
    DOES_NOT_RUN,
    KNOWN_BY_NOW,
    NOT_IN_FORM,
    RESCORING,
    Own,
    _examined,
    is_own,
)
from flywheel.bootstrap.rescorings import SAME_AGAIN, TOO_LONG, UNSURE, WRONG, Verdict, is_content, is_low, wrong_by
from flywheel.bootstrap.teacher_tasks import Prove, Told, Try
from flywheel.core.labels import judge
from flywheel.core.ladders import rung_asked
from flywheel.core.makings import Making
from flywheel.core.outcomes import Label, Labelled, Message, Outcome, Signal
from flywheel.sandbox.programs import Ending, Run
from flywheel.store.outcomes import store_outcomes

ASKED = (Message(role="user", content="Say in one sentence what changes."),)
OWN = line("task_analysis", "scope", rung=2)
RIGHT = {"right": 9, "whole": 9, "in_form": 10, "faults": [], "reason": "It is so."}
LOW_SCORE = {"right": 1, "whole": 5, "in_form": 10, "faults": ["It names the wrong file."], "reason": "It is not so."}
BETWEEN = {"right": 6, "whole": 7, "in_form": 10, "faults": ["It is vague."], "reason": "Who knows."}


def outcome(number=0, label=Label.UNKNOWN, **fields):
    return Outcome(**{
        "key": f"k{number}", "source": "agent", "task": f"t{number}", "session": f"s{number}", "group": "repo",
        "call_type": "task_analysis", "at": MOMENT + timedelta(seconds=number), "model": "own@3",
        "messages": (Message(role="user", content=f"{ASKED[0].content} ({number})"),),
        "response": f"The file {number}.",
        "labelled": Labelled(label=label, confidence=0.0 if label is Label.UNKNOWN else 0.9), "line": "own", **fields,
    })  # fmt: skip


def making(call_type, answer, asked=ASKED, **fields):
    return Making(**{
        "key": "a", "recipe": "mine", "origin": "synthetic", "group": "repo", "call_type": call_type, "at": MOMENT,
        "model": "git", "messages": asked, "response": answer, "signals": (KEPT,), **fields,
    })  # fmt: skip


@pytest.fixture
def given_store(home, store):
    with material(home, OWN, store=store, roles=ALL - {"student"}) as given:
        yield given


def bring(store, *outcomes):
    with store.write() as session:
        store_outcomes(session, outcomes)


def keys(given):
    return [subject.key for subject in RESCORING.subjects(given)]


def labels(end):
    return {one.key: judge(one.signals).label for one in end.makings}


def test_logged_answers_that_nobody_knows_of_are_judged(given_store, store):
    """Those of the line's own model or base, with words in them; what is known already is left alone."""
    bring(store, outcome(0), outcome(1, Label.POSITIVE), outcome(2, model="gpt"), outcome(3, response=" "),
          outcome(4, model="m", extra={"answered_by": "main"}), outcome(5, model="other@1"), outcome(6, line="other"),
          outcome(7, origin="harness"))  # fmt: skip
    assert keys(given_store) == ["logged/k4", "logged/k0"]


def test_many_are_gone_through(given_store, store):
    """More than a page, each once."""
    bring(store, *(outcome(number) for number in range(450)))
    assert len(set(keys(given_store))) == 450


def test_what_is_accepted_becomes_positive(given_store, store):
    """The model's own words with the judge's evidence: same question, same answer, no teacher's origin."""
    bring(store, outcome())
    (subject,) = RESCORING.subjects(given_store)
    questions = []
    end = drive(subject.work(), {"judge": [RIGHT]}, questions)
    (made,) = end.makings
    assert end.kind == "believed"
    assert labels(end) == {"own": Label.POSITIVE}
    assert (made.response, made.messages) == ("The file 0.", outcome().messages)
    assert (made.origin, made.model, made.line) == ("harness", "own@3", "own")
    assert rung_asked(made.origin) == 2
    assert made.about == {"outcome": "k0", "source": "agent", "task_there": "t0", "model": "own@3", "task": "rescoring",
                          "judge": "judge"}  # fmt: skip
    assert [one.role for one in questions] == ["judge"]
    assert "The file 0." in questions[0].messages[1].content


def test_what_is_said_of_somebody_elses_repo_stays_theirs(given_store, store):
    """The caps on foreign repositories hold for what was judged, too."""
    bring(store, outcome(extra={"foreign": True, "licence": "MIT"}))
    (subject,) = RESCORING.subjects(given_store)
    (made,) = drive(subject.work(), {"judge": [RIGHT]}).makings
    assert (made.about["foreign"], made.licence, made.session) == (True, "MIT", "s0")


def test_what_is_wrong_is_corrected_and_makes_a_pair(given_store, store):
    """The same question with a better answer and a worse one, sure enough to be a pair."""
    bring(store, outcome())
    (subject,) = RESCORING.subjects(given_store)
    questions = []
    end = drive(subject.work(), {"judge": [LOW_SCORE, RIGHT], "primary": ["The file 1."]}, questions)
    assert labels(end) == {"corrected": Label.POSITIVE, "own": Label.NEGATIVE}
    good, bad = end.makings
    assert good.messages == bad.messages == outcome().messages
    assert (good.response, bad.response) == ("The file 1.", "The file 0.")
    assert (good.origin, bad.origin) == ("teacher", "harness")
    assert all(judge(one.signals).confidence >= OWN.labels.minimum_confidence for one in end.makings)
    assert "It names the wrong file." in questions[1].messages[-1].content


@pytest.mark.parametrize(("answers", "kind", "reason", "makings"), [
    ({"judge": [BETWEEN]}, "waiting", UNSURE, 0),
    ({"judge": ["no", "no"]}, "waiting", NO_JUDGEMENT, 0),
    ({"judge": [{**LOW_SCORE, "faults": []}]}, "waiting", UNSURE, 0),
    ({"judge": [{**RIGHT, "faults": ["A little one."]}]}, "waiting", UNSURE, 0),
    ({"judge": [LOW_SCORE, BETWEEN], "primary": ["The file 1."]}, "refused", WRONG, 1),
    ({"judge": [LOW_SCORE, "no", "no"], "primary": ["The file 1."]}, "refused", WRONG, 1),
    ({"judge": [LOW_SCORE], "primary": [None]}, "refused", WRONG, 1),
    ({"judge": [LOW_SCORE], "primary": ["The  file 0. "]}, "waiting", SAME_AGAIN, 0),
    ({"judge": [LOW_SCORE], "primary": ["<think>hm</think> "]}, "refused", WRONG, 1),
])  # fmt: skip
def test_doubt_teaches_nothing(given_store, store, answers, kind, reason, makings):
    """Only a judge who is sure is heard; a correction that does not hold leaves the bad example alone."""
    bring(store, outcome())
    (subject,) = RESCORING.subjects(given_store)
    end = drive(subject.work(), answers)
    assert (end.kind, end.reason, len(end.makings)) == (kind, reason, makings)
    assert all(label is Label.NEGATIVE for label in labels(end).values())


def test_the_agents_own_evidence_comes_before_a_judge(given_store, store):
    """What was judged and is known by now is taken back, and not judged again."""
    bring(store, outcome())
    (subject,) = RESCORING.subjects(given_store)
    given_store.shelf.put({f"teach/rescoring/own/{subject.key}": drive(subject.work(), {"judge": [RIGHT]}).makings})
    assert keys(given_store) == ["logged/k0"]
    bring(store, outcome(0, Label.NEGATIVE))
    (subject,) = RESCORING.subjects(given_store)
    end = drive(subject.work(), {})
    assert (subject.key, end.kind, end.reason, end.makings) == ("logged/k0", "refused", KNOWN_BY_NOW, ())


def test_without_a_judge_logged_answers_wait(home, store):
    """And nothing is asked."""
    bring(store, outcome())
    with material(home, OWN, store=store, roles=frozenset({"primary"})) as given:
        (subject,) = RESCORING.subjects(given)
        assert drive(subject.work(), {}).reason == NO_JUDGE


def test_a_line_without_a_store_has_the_shelf(home):
    """A cold start has no outcomes: the line's model is asked the shelf's questions, where the settings name it."""
    with material(home, OWN) as given:
        given.shelf.put({"mine/a": [making("task_analysis", "The file 1.")]})
        assert keys(given) == ["asked/mine/a/a"]
        assert keys(given._replace(roles=ALL - {"student"})) == []
        (subject,) = RESCORING.subjects(given)
        questions = []
        end = drive(subject.work(), {"student": ["The file 2."], "judge": [RIGHT]}, questions)
        assert labels(end) == {"own": Label.POSITIVE}
        assert "The file 1." in questions[1].messages[1].content
        assert "The file 1." not in questions[0].messages[0].content
        end = drive(subject.work(), {"student": ["The file 2."], "judge": [LOW_SCORE]})
        assert labels(end) == {"own": Label.NEGATIVE}


@pytest.mark.parametrize(("truth", "answer", "ends"), [
    ("yes", "yes", {}), ("no", " no\n", {}), ("yes", "no", {"own": Label.NEGATIVE}),
    ("yes", "Yes.", {"own": Label.NEGATIVE}), ("no", "<think>is it?</think>no", {}),
])  # fmt: skip
def test_a_plain_yes_or_no_needs_no_judge(home, truth, answer, ends):
    """To the letter, as the agent reads it: `Yes.` is no yes there."""
    with material(home, OWN, roles=frozenset({"student"})) as given:
        given.shelf.put({"mine/a": [making("scope", truth)]})
        (subject,) = RESCORING.subjects(given)
        assert labels(drive(subject.work(), {"student": [answer]})) == ends


def run(work, *steps):
    """Drive a work by these replies to its steps; return the kinds of steps and the end."""
    kinds, told = [], None
    replies = iter(steps)
    while True:
        try:
            kinds.append(type(work.send(told)))
        except StopIteration as end:
            return kinds, end.value
        told = next(replies)


TESTED = Prompt(
    messages=ASKED, call_type="execute_implement", group="g", tests={"tests": [{"stdin": "1", "stdout": "2"}]}
)
PROGRAM = "```python\nprint(int(input()) + 1)\n```"


def own(prompt, text):
    return Own(OWN, prompt, said("student", text))


def test_tests_decide_where_there_are_any():
    """No judge is asked about a program that can be proved."""
    passed = Signal(name="tests_passed", points=1, strength=0.95)
    kinds, end = run(_examined(own(TESTED, PROGRAM)), Told(evidence=passed))
    assert (kinds, end.kind, labels(end)) == ([Prove], "believed", {"own": Label.POSITIVE})
    kinds, end = run(_examined(own(TESTED, PROGRAM)), Told(fault="its program fails a test"))
    assert (kinds, end.kind, labels(end)) == ([Prove], "refused", {"own": Label.NEGATIVE})
    assert run(_examined(own(TESTED, PROGRAM)), Told(fault="its tests are too many"))[1].kind == "waiting"


def test_code_is_run_before_it_is_judged():
    """What does not run is wrong without a judge, and is corrected."""
    prompt = TESTED.model_copy(update={"tests": None})
    raised = Told(runs=(Run(ending=Ending.RAISED, detail="ValueError: no"),))
    fixed = Told(answers=(said("coder", PROGRAM),))
    good = Told(answers=(said("judge", json.dumps(RIGHT)),))
    kinds, end = run(_examined(own(prompt, "```python\nraise ValueError\n```")), raised, fixed,
                     Told(runs=(Run(ending=Ending.FINISHED),)), good)  # fmt: skip
    assert kinds[0] is Try
    assert kinds[2] is Try
    assert labels(end) == {"corrected": Label.POSITIVE, "own": Label.NEGATIVE}
    assert DOES_NOT_RUN != NOT_IN_FORM


def test_what_is_too_long_is_not_judged():
    """A judge sees all of it or nothing."""
    assert drive(_examined(own(TESTED.model_copy(update={"tests": None}), "x" * 70_000)), {}).reason == TOO_LONG


@settings(max_examples=60)
@given(scores=st.tuples(*[st.integers(0, 10)] * 3), faults=st.lists(st.sampled_from(["a", "b"]), max_size=5))
def test_no_answer_is_both(scores, faults):
    """Right, wrong or unsure: one of them, by the lowest score; what speaks against is sure enough for a pair."""
    verdict = Verdict(right=scores[0], whole=scores[1], in_form=scores[2], faults=tuple(faults), reason="r")
    assert not (is_content(verdict) and is_low(verdict))
    if is_low(verdict):
        assert min(scores) <= LOW
        assert judge((wrong_by(verdict.least),)).confidence >= 0.7
    if is_content(verdict):
        assert min(scores) >= HIGH


def test_only_its_own_answers_are_on_policy():
    """An adapter of the line, the name it answers under, or its base; never somebody else's model."""
    names = ("own@1", "own", "main", "own@01", "main@1", "", "OWN")
    assert [name for name in names if is_own(OWN, outcome(model=name))] == ["own@1", "own", "main"]
    assert RESCORING.suits(OWN)
    assert not RESCORING.suits(line("scope", rung=1))
