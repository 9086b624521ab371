"""Answers in JSON, read strictly."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.bootstrap.code_orders import Altered, Order, OrderScores
from flywheel.bootstrap.formed_answers import Scores, shown
from flywheel.bootstrap.message_rewordings import MessageScores, Rewording
from flywheel.bootstrap.reflections import Reflection
from flywheel.bootstrap.rescorings import Verdict
from flywheel.bootstrap.strict_answers import LONGEST, AnswerError, read_answer
from flywheel.core.frozen import Frozen

#: Every form that a teacher of judgements is asked for, with an answer in it.
FORMS: dict[type[Frozen], dict[str, Any]] = {
    Rewording: {"message": "Return the rest of the row"},
    MessageScores: {"accurate": 9, "whole": 8, "clear": 10, "reason": "It says it all."},
    Reflection: {"evidence": ["def run"], "speaks_for": "It is called.", "speaks_against": "Far.", "verdict": "yes"},
    Order: {"task": "Write a parser of rows."},
    Altered: {"task": "Rows lose their end.", "start": "fn row() {\n}\n"},
    OrderScores: {"done": 9, "clear": 9, "natural": 8, "reason": "So it is."},
    Verdict: {"right": 2, "whole": 3, "in_form": 10, "faults": ["It divides by zero."], "reason": "It fails."},
}  # fmt: skip
every_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@every_form
def test_what_is_in_its_form_is_read(form):
    """Bare, with white space around it, and in one fence."""
    told = json.dumps(FORMS[form], indent=1)
    for text in (told, f"\n {told}\n\n", f"```json\n{told}\n```", f"```\n{told}\n```\n"):
        assert json.loads(read_answer(text, form).model_dump_json()) == FORMS[form]


@every_form
@pytest.mark.parametrize(
    "around",
    ["Sure: {}", "{} I hope this helps", "{}{}", "[{}]", "```json\n{}\n```\nDone.", "", "null", "{{", "'{}'"],
)
def test_anything_around_it_is_no_answer(form, around):
    """Words before or behind, two objects, a list, nothing, half of one."""
    with pytest.raises(AnswerError):
        read_answer(around.replace("{}", json.dumps(FORMS[form])), form)


@settings(max_examples=80)
@given(data=st.data())
def test_a_key_more_less_or_otherwise_is_no_answer(data):
    """Nothing is filled in, dropped or turned into what it should be."""
    form = data.draw(st.sampled_from(list(FORMS)))
    told = dict(FORMS[form])
    key = data.draw(st.sampled_from(sorted(told)))
    what = data.draw(st.sampled_from(["gone", "more", "otherwise"]))
    if what == "gone":
        del told[key]
    elif what == "more":
        told[data.draw(st.text().filter(lambda name: name not in told))] = 1
    else:
        kind = type(told[key])
        told[key] = data.draw(JSON.filter(lambda value: type(value) is not kind))
    with pytest.raises(AnswerError):
        read_answer(json.dumps(told), form)


@every_form
def test_a_key_that_stands_twice_is_no_answer(form):
    """Which of the two is meant nobody knows."""
    told = json.dumps(FORMS[form])
    first = json.dumps(dict([next(iter(FORMS[form].items()))]))
    with pytest.raises(AnswerError, match="twice"):
        read_answer(f"{told[:-1]}, {first[1:]}", form)


@pytest.mark.parametrize("score", [-1, 11, 9.0, 8.5, "9", True, None, 10**30])
def test_a_score_is_a_whole_number_from_0_to_10(score):
    """And neither a text nor a boolean."""
    with pytest.raises(AnswerError):
        read_answer(json.dumps({**FORMS[MessageScores], "clear": score}), MessageScores)


@pytest.mark.parametrize("text", ['{"message": "a\\u0000bcdef ghi"}', '{"message": "a \\ud800 b"}', '{"message": NaN}',
                                  '{"message": "a\nb"}', '{"message": ' + "[" * 5000 + "]" * 5000 + "}", "{" * 100_000,
                                  '{"message": 1' + "0" * 5000 + "}", '{"message": "' + "a" * LONGEST + '"}',
                                  "```\n" * 20_000])  # fmt: skip
def test_odd_bytes_and_depths_are_no_answer(text):
    """Zero bytes, half characters, NaN, raw line breaks, deep nests and long texts end the same way."""
    with pytest.raises(AnswerError):
        read_answer(text, Rewording)


OBJECTS = st.dictionaries(st.text(max_size=4), JSON)


@settings(max_examples=80)
@given(form=st.sampled_from(list(FORMS)), text=st.text() | (JSON | OBJECTS).map(json.dumps))
def test_nothing_else_is_ever_raised(form, text):
    """Whatever comes: an answer in its form, or AnswerError."""
    try:
        found = read_answer(text, form)
    except AnswerError:
        return
    assert isinstance(found, form)


@settings(max_examples=40)
@given(text=st.text(alphabet='{}":,[]0a\\n \n`', max_size=80))
def test_broken_json_is_no_answer(text):
    """Close to JSON is not enough."""
    try:
        read_answer(text, Rewording)
    except AnswerError:
        return
    assert json.loads(text.strip().strip("`").removeprefix("json"))


def test_the_error_tells_nothing_of_the_answer():
    """It goes into counts and reports."""
    with pytest.raises(AnswerError) as caught:
        read_answer('{"a secret name": 1}', Rewording)
    assert "secret" not in str(caught.value)


def test_the_lowest_score_counts():
    """One fault is enough, and the reason is no score."""
    assert issubclass(MessageScores, Scores)
    assert read_answer(json.dumps(FORMS[MessageScores]), MessageScores).least == 8


@settings(max_examples=60)
@given(text=st.text() | st.lists(st.sampled_from(["</code>", "<code>", "</code_>", "x"])).map("".join))
def test_what_is_shown_cannot_end_its_tags(text):
    """Whatever stands in a diff or a file, it stands between its tags."""
    told = shown("code", text)
    name = told[1 : told.index(">")]
    assert told == f"<{name}>\n{text}\n</{name}>"
    assert told.count(f"</{name}>") == 1
