"""Judgements of scope and precision with their reasons."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judgement_house import drive, ends, line, material

from flywheel.bootstrap.derivations import derive
from flywheel.bootstrap.reflections import (
    INVENTED,
    ONE_SIDED,
    OTHERWISE,
    REFLECTIONS,
    Reflection,
    reject,
    rendered,
)
from flywheel.bootstrap.strict_answers import read_answer
from flywheel.core.labels import judge
from flywheel.core.outcomes import Label

from test_bootstrap_derivations import RUN, commit  # isort: skip - the history that derivations are tested with

SAID = {
    "evidence": ["Return twice the value"],
    "speaks_for": "It holds what has to change.",
    "speaks_against": "Only its name fits.",
}


@pytest.fixture
def shelved(home):
    """What a task is given: a commit on the shelf, and a line that judges scope and precision."""
    with material(home, line("scope", "precision")) as given:
        given.shelf.put({"mine/org/pkg/c": derive(commit(RUN))})
        yield given


def verdict(word, **fields):
    return {"thinking": [{**SAID, "verdict": word, **fields}]}


def of(end):
    (making,) = end.makings
    return making


def test_a_judgement_that_the_change_bears_out_is_learned(shelved):
    """Asked blind, believed because it says what was changed: with reasons, of the same kind of call, for the line."""
    found = ends(REFLECTIONS.subjects(shelved), lambda one: verdict("no" if "far" in one.key else "yes"))
    made = of(found["mine/org/pkg/c/scope/pkg/far.py"])
    assert (made.call_type, made.line, made.recipe, made.origin) == ("scope", "own", "teach", "teacher")
    assert json.loads(made.response) == {**SAID, "verdict": "no"}
    assert list(json.loads(made.response))[-1] == "verdict"
    assert judge(made.signals).label is Label.POSITIVE
    assert made.about["teacher"] == "large"
    assert made.about["repo"] == "org/pkg"
    assert made.messages[-1].content.startswith("Task: Return twice the value from run\n\nFile: pkg/far.py")
    assert "Answer yes or no." not in made.messages[-1].content


def test_the_teacher_is_not_told_the_answer(shelved):
    """The question is the one that is learned, and holds nothing of what was changed."""
    questions = []
    for subject in REFLECTIONS.subjects(shelved):
        end = drive(subject.work(), verdict("yes"), questions)
        assert [one.messages for one in end.makings] in ([], [questions[-1].messages])
    assert {one.role for one in questions} == {"thinking"}
    assert len({one.messages for one in questions}) == len(questions)


def test_another_verdict_teaches_nothing(shelved):
    """Whoever is wrong, nobody learns from it."""
    found = ends(REFLECTIONS.subjects(shelved), lambda _: verdict("no"))
    end = found["mine/org/pkg/c/scope/pkg/core.py"]
    assert (end.kind, end.reason, end.makings) == ("refused", OTHERWISE, ())


def test_evidence_that_is_not_there_teaches_nothing(shelved):
    """A quote stands word for word in the question; white space aside."""
    found = ends(REFLECTIONS.subjects(shelved), lambda _: verdict("yes", evidence=["it was changed lately"]))
    assert {(end.kind, end.reason) for end in found.values()} == {("refused", INVENTED)}
    found = ends(REFLECTIONS.subjects(shelved), lambda _: verdict("yes", evidence=["Return  twice\nthe value"]))
    assert found["mine/org/pkg/c/scope/pkg/core.py"].kind == "believed"


def test_reasons_have_two_sides(shelved):
    """Who says the same for and against has weighed nothing."""
    found = ends(
        REFLECTIONS.subjects(shelved), lambda _: verdict("yes", speaks_for="So it is.", speaks_against="so it  is.")
    )
    assert {(end.kind, end.reason) for end in found.values()} == {("refused", ONE_SIDED)}


def test_an_answer_out_of_form_is_asked_for_once_more(shelved):
    """As another take; a second one ends it."""
    subject = next(one for one in REFLECTIONS.subjects(shelved) if one.key.endswith("core.py"))
    questions = []
    good = {**SAID, "verdict": "yes"}
    end = drive(subject.work(), {"thinking": ["yes, because it is", good]}, questions)
    assert end.kind == "believed"
    assert [one.take for one in questions] == [0, 1]
    assert drive(subject.work(), {"thinking": ["yes", "no"]}).kind == "refused"


def test_other_kinds_of_calls_are_no_subjects(shelved):
    """Plans and edits are not judged by yes and no."""
    assert {one.key.split("/")[4] for one in REFLECTIONS.subjects(shelved)} == {"scope", "precision"}
    assert REFLECTIONS.suits(line("scope"))
    assert not REFLECTIONS.suits(line("execute_plan"))


WORDS = st.text(alphabet="ab c", min_size=1, max_size=20)
QUOTES = st.text("abc ", min_size=2, max_size=6).filter(lambda text: len(text.strip()) > 1)
VERDICTS = st.sampled_from(["yes", "no"])


@settings(max_examples=60)
@given(quotes=st.lists(QUOTES, min_size=1, max_size=4), asked=WORDS, verdict=VERDICTS, truth=VERDICTS)
def test_what_is_believed_is_true_and_quoted(quotes, asked, verdict, truth):
    """Nothing but the verdict of the change with quotes that stand there; and it is read back as it was rendered."""
    said = Reflection(evidence=tuple(quotes), speaks_for="f", speaks_against="a", verdict=verdict)
    fits = verdict == truth and all(" ".join(one.split()) in " ".join(asked.split()) for one in quotes)
    assert (reject(said, asked, truth) == "") == fits
    assert read_answer(rendered(said), Reflection) == said
