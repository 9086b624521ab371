"""Poor messages of good commits, written anew."""

import json
from types import SimpleNamespace

import pytest
from histories_house import History
from hypothesis import given, settings
from hypothesis import strategies as st
from judgement_house import ALL, drive, line, material

from flywheel.bootstrap.chunk_miners import Order, Way, mine_chunk
from flywheel.bootstrap.commit_messages import fault_of
from flywheel.bootstrap.formed_answers import NO_FORM, NO_JUDGE, NO_JUDGEMENT, SCORED_LOW
from flywheel.bootstrap.message_rewordings import (
    LONGEST_DIFF,
    MESSAGES,
    NO_LINE,
    SAME,
    TOO_LONG,
    UNSEEN,
    _work,
    reject,
)
from flywheel.bootstrap.poor_commits import clone_mark, marks_of
from flywheel.bootstrap.repos import look_at
from flywheel.core.labels import judge
from flywheel.core.outcomes import Label

BEFORE = "def head(row):\n    return row[0]\n\n\ndef rest(row):\n    return row\n"
AFTER = BEFORE.replace("return row\n", "return row[1:]\n")
GOOD = "Return the rest of the row without its head"
HIGH = {"accurate": 9, "whole": 8, "clear": 10, "reason": "It is so."}


def poor(diff="+    return row[1:]", message="wip"):
    return SimpleNamespace(repo="org/pkg", hash="c" * 40, message=message, diff=diff, fault=fault_of(message))


@pytest.fixture
def mined(home, tmp_path):
    """What a task is given: a history with one good commit whose message is poor."""
    history = History(tmp_path / "clone")
    history.commit("Add the first two functions", {"rows.py": BEFORE})
    names = (history.commit("wip", {"rows.py": AFTER}),)
    repo, way = look_at(history.path), Way(own=True)
    chunk = mine_chunk(Order(repo, way, names))
    with material(home, line("execute_implement")) as given:
        given.shelf.put({}, {**marks_of(repo.name, chunk), f"mine/{repo.name}": {"clone": clone_mark(repo, way)}})
        yield given


def test_an_accepted_message_makes_a_lesson_of_its_commit(mined):
    """All that a good message would have made, with who wrote and who judged it."""
    (subject,) = MESSAGES.subjects(mined)
    questions = []
    end = drive(subject.work(), {"primary": [{"message": GOOD}], "judge": [HIGH]}, questions)
    assert end.kind == "believed"
    made = {one.call_type: one for one in end.makings}
    assert {"task_analysis", "scope", "precision", "execute_plan", "execute_implement"} <= made.keys()
    for one in end.makings:
        assert GOOD in one.messages[0].content
        assert one.about["message"] == {"teacher": "large", "model": "large-1", "judge": "judge", "score": 8}
    assert judge(made["execute_implement"].signals).label is Label.POSITIVE
    assert [one.role for one in questions] == ["primary", "judge"]
    assert "return row[1:]" in questions[1].messages[1].content
    assert subject.place == f"mine/{subject.key}"


@pytest.mark.parametrize("low", ["accurate", "whole", "clear"])
def test_one_low_score_is_enough_against_it(mined, low):
    """Kept only when the judge scores it high in everything."""
    (subject,) = MESSAGES.subjects(mined)
    end = drive(subject.work(), {"primary": [{"message": GOOD}], "judge": [{**HIGH, low: 7}]})
    assert (end.kind, end.reason, end.makings) == ("refused", SCORED_LOW, ())


def test_whoever_judges_itself_has_to_be_surer(monkeypatch):
    """The same teacher as writer and judge is believed from nine of ten."""
    import judgement_house

    monkeypatch.setitem(judgement_house.TEACHERS, "judge", "large")
    given = SimpleNamespace(roles=ALL)
    end = drive(_work(given, poor()), {"primary": [{"message": GOOD}], "judge": [HIGH]})
    assert (end.kind, end.reason) == ("refused", SCORED_LOW)


def test_without_a_judge_nothing_is_asked():
    """What only a judge could make good is not paid for."""
    asked = []
    end = drive(_work(SimpleNamespace(roles=ALL - {"judge"}), poor()), {}, asked)
    assert (end.kind, end.reason, asked) == ("waiting", NO_JUDGE, [])


def test_what_cannot_be_read_ends_as_such():
    """The writer's answer is refused, the judge's waits; each after a second try."""
    given = SimpleNamespace(roles=ALL)
    assert drive(_work(given, poor()), {"primary": ["Add it", "Add it"]}).reason == NO_FORM
    end = drive(_work(given, poor()), {"primary": ["no", {"message": GOOD}], "judge": ["9", "it is good"]})
    assert (end.kind, end.reason) == ("waiting", NO_JUDGEMENT)


def test_a_huge_diff_is_not_asked_about():
    """Two hundred lines may be of any length."""
    assert drive(_work(SimpleNamespace(roles=ALL), poor("x" * (LONGEST_DIFF + 1))), {}).reason == TOO_LONG


@pytest.mark.parametrize(("message", "reason"), [
    (GOOD, ""),
    ("Fix it", NO_LINE),
    ("Return the rest\nof the row", NO_LINE),
    ("Return the rest of the row" + " and so on" * 9, NO_LINE),
    ("Wip  on the rest", SAME),
    ("Return the rest by `take_rest` now", UNSEEN),
    ("Return the rest by take_rest now", UNSEEN),
    ("Return the rest from rows.helper now", UNSEEN),
    ("Return the rest as RestOfRow now", UNSEEN),
    ("Make `row[1:]` the rest of it", ""),
    ("Returned the rest of the row", "message does not begin with an imperative verb"),
    ("Update the rest of the row", "generic message"),
    ("Return it all again", "message without an object"),
])  # fmt: skip
def test_what_a_message_must_not_be(message, reason):
    """Before a judge sees it: one line, another one, an order as any other, and no name that the diff does not show."""
    assert reject(message, poor(message="WIP on the rest")) == reason


WORDS = st.lists(st.sampled_from(["Add", "row", "`x`", "a_b", "the", "\n", "B.c"])).map(" ".join)


@settings(max_examples=80)
@given(message=st.text(max_size=120) | WORDS)
def test_what_passes_is_a_lesson(message):
    """Whatever a teacher writes: what is not turned down is one printable line that the filter of histories takes."""
    if not reject(message, poor()):
        assert "\n" not in message
        assert message.isprintable()
        assert not fault_of(message)
        json.dumps(message).encode()


def test_lines_that_learn_nothing_of_commits_do_not_ask():
    """Without a name a task is done where it suits."""
    assert MESSAGES.suits(line("scope"))
    assert not MESSAGES.suits(line("tool_call"))
