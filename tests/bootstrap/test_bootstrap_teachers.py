"""Who teaches: their settings, places, keys, prices, and how long they are left alone."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from teacher_house import questions, teacher

from flywheel.bootstrap.pauses import pause_before
from flywheel.bootstrap.prices import PICOS, picos, picos_a_token
from flywheel.bootstrap.prices import told as told_amount
from flywheel.bootstrap.questions import Question, bound_of, key_of, request_of
from flywheel.bootstrap.teacher_answers import Said, read_answer, retry_after
from flywheel.bootstrap.teacher_keys import read_key
from flywheel.bootstrap.teachers import Teacher, check_staff, teachers_for
from flywheel.core.errors import SettingsError
from flywheel.core.outcomes import Message
from flywheel.daemon.settings import load_settings

URL = "http://127.0.0.1:9/v1"


def test_one_without_a_bound_that_costs_money_is_refused() -> None:
    """Whoever costs something has a bound for the month; one that is free needs none; prices are always said."""
    with pytest.raises(ValidationError, match="set budget_month"):
        Teacher(name="a", base_url=URL, model="m", price_in=1, price_out=0)
    assert Teacher(name="a", base_url=URL, model="m", price_in=0, price_out=0).month_picos is None
    with pytest.raises(ValidationError, match="price_out"):
        Teacher.model_validate({"name": "a", "base_url": URL, "model": "m", "price_in": 0})


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"key_env": "A", "key_file": "/k"}, "one of key_env"),
        ({"body": {"max_tokens": 3}}, "is said by what is asked"),
        ({"roles": ["primary", "cross"]}, "second opinion"),
        ({"base_url": "ftp://x"}, "is not where an API is"),
        ({"base_url": "http://u:p@x/v1"}, "holds a password"),
        ({"roles": ["teacher"]}, "primary"),
        ({"price_in": "0.0000001"}, "decimal"),
        ({"nmae": "x"}, "nmae"),
    ],
)
def test_what_cannot_be_is_refused(fields, why) -> None:
    """A setting that contradicts itself or is not known is an error that says what is wrong."""
    with pytest.raises(ValidationError, match=why):
        Teacher.model_validate({"name": "a", "base_url": URL, "model": "m", "price_in": 0, "price_out": 0} | fields)


def test_who_names_a_line_comes_first() -> None:
    """A line's own teacher stands before one of all lines; the primary one may think and code, but not judge."""
    everyone = [
        teacher(URL, name="own", lines=["plan"]),
        teacher(URL, name="all"),
        teacher(URL, name="judge", roles=["judge"]),
    ]
    check_staff(everyone)
    plan, code = teachers_for(everyone, "plan"), teachers_for(everyone, "code")
    assert plan.of("thinking").name == plan.of("coder").name == "own"
    assert code.of("primary").name == "all"
    assert plan.of("judge").name == "judge"
    assert plan.of("cross") is None
    assert {one.name for one in plan.teachers} == {"own", "judge"}


def test_two_in_one_place_are_refused() -> None:
    """Two of one name, or two in the same role of the same lines, contradict each other."""
    with pytest.raises(ValueError, match="two teachers are called"):
        check_staff([teacher(URL), teacher(URL, roles=["judge"])])
    with pytest.raises(ValueError, match="primary of all lines"):
        check_staff([teacher(URL), teacher(URL, name="b")])


def test_settings_hold_teachers(tmp_path) -> None:
    """The file's teachers are checked together with the rest; a misspelt key names the right one."""
    path = tmp_path / "flywheel.toml"
    head = f'[[teachers]]\nname = "a"\nbase_url = "{URL}"\nmodel = "m"\nprice_in = 0.075\nbudget_month = 2\n'
    path.write_text(head + "price_out = 0.3\n")
    assert picos_a_token(load_settings(path).teachers[0].price_in) == 75_000
    path.write_text(head + "price_aut = 0.3\n")
    with pytest.raises(SettingsError, match="price_out"):
        load_settings(path)


def test_keys_come_from_where_they_are_said_to_be(tmp_path) -> None:
    """From the environment, a file that nobody else may read, or systemd's credentials; a missing one is told."""
    file = tmp_path / "key"
    file.write_text("k-1\n")
    file.chmod(0o600)
    env = {"KEY": "k-2", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert read_key(teacher(URL), env) == "none"
    assert read_key(teacher(URL, key_env="KEY"), env) == "k-2"
    assert read_key(teacher(URL, key_file=file), env) == "k-1"
    assert read_key(teacher(URL, key_credential="key"), env) == "k-1"
    for wrong in ({"key_env": "KEE"}, {"key_file": tmp_path / "no"}, {"key_credential": "no"}):
        with pytest.raises(SettingsError, match="has no key"):
            read_key(teacher(URL, **wrong), env)
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_key(teacher(URL, key_file=file), env)


@settings(deadline=None)
@given(price=st.decimals(0, 1000, places=6), tokens=st.integers(0, 10**9))
def test_money_is_exact(price, tokens) -> None:
    """What so many tokens cost is their price to the last digit, and is told rounded up, never down."""
    cost = tokens * picos_a_token(price)
    assert Decimal(cost) / PICOS == price * tokens / 10**6
    assert picos(Decimal(told_amount(cost))) - cost in range(PICOS // 10**4)


@settings(deadline=None)
@given(texts=st.lists(st.text(), min_size=1), most=st.integers(1, 10**6))
def test_no_bound_is_below_a_token_for_each_byte(texts, most) -> None:
    """What is set aside is enough for every byte of the words and every token of the answer."""
    question = Question(
        role="primary", messages=tuple(Message(role="user", content=text) for text in texts), max_tokens=most
    )
    one = teacher(URL)
    assert bound_of(one, question) >= one.cost(sum(len(text.encode()) for text in texts), most)


def test_the_key_of_a_question_is_its_request() -> None:
    """Whatever the teacher gets tells questions apart, and its name; what is for us alone does not."""
    one, (question,) = teacher(URL), questions(1)
    key = key_of(one, question)
    for other in ({"max_tokens": 5}, {"temperature": 0.5}, {"as_json": True}, {"take": 1},
                  {"messages": questions(2)[1].messages}):  # fmt: skip
        assert key_of(one, question.model_copy(update=other)) != key
    assert key_of(teacher(URL, model="n"), question) != key
    assert key_of(teacher(URL, body={"seed": 1}), question) != key
    assert key_of(teacher(URL, name="b"), question) != key
    assert key_of(one, question.model_copy(update={"subject": "repo", "tag": "t"})) == key
    assert key_of(teacher("http://127.0.0.1:10/v1", price_in=9, tries=2), question) == key
    assert request_of(teacher(URL, limit_field="max_completion_tokens"), question)["max_completion_tokens"] == 1024


@settings(deadline=None)
@given(attempt=st.integers(1, 50), asked=st.none() | st.floats(0, 600), chance=st.floats(0, 1))
def test_pauses_grow_and_keep_to_what_the_server_asks(attempt, asked, chance) -> None:
    """A pause is never shorter than the server asks, nor longer than that and a minute."""
    pause = pause_before(attempt, asked, chance)
    assert (asked or 0) <= pause <= (asked or 0) + 60
    assert pause > 0 or chance == 0
    assert pause_before(attempt, 601, chance) is None


def test_retry_after_is_read_in_each_of_its_shapes() -> None:
    """Seconds, milliseconds, a date; what says nothing is nothing."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after({"retry-after": "3"}, now) == 3
    assert retry_after({"retry-after-ms": "250"}, now) == 0.25
    assert retry_after({"retry-after": "Thu, 01 Jan 2026 00:00:09 GMT"}, now) == 9
    assert retry_after({"retry-after": "Wed, 31 Dec 2025 00:00:00 GMT"}, now) == 0
    for nothing in ({}, {"retry-after": "soon"}, {"retry-after": "nan"}, {"retry-after": "-1"}):
        assert retry_after(nothing, now) is None


def told(message: object, reason: str = "stop", **more: object) -> bytes:
    """The body of a completion."""
    return json.dumps({"choices": [{"message": message, "finish_reason": reason}], **more}).encode()


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": "yes"}, "yes", ""),
        ({"content": None}, "", ""),
        ({"content": "yes", "reasoning_content": "so"}, "yes", "so"),
        ({"content": "yes", "reasoning": "so"}, "yes", "so"),
        ({"content": "<think>\nso\n</think>\n\nyes"}, "yes", "so"),
        ({"content": "so\n</think>\nyes"}, "yes", "so"),
        ({"content": "<think>so, and"}, "", "so, and"),
        ({"content": "write `<think>` and `</think>`"}, "write `<think>` and `</think>`", ""),
        ({"content": [{"type": "thinking"}, {"type": "text", "text": "y"}, {"type": "text", "text": "es"}]}, "yes", ""),
        ({"content": "half \ud800 a pair"}, "half ? a pair", ""),
    ],
)
def test_words_and_thoughts_are_found_where_servers_put_them(message, text, reasoning) -> None:
    """What was thought is told apart from what was said, whatever the server's way."""
    said = read_answer(told(message, usage={"prompt_tokens": 3, "completion_tokens": 4}), "application/json")
    assert said == Said(text, reasoning, "stop", (3, 4))


@pytest.mark.parametrize(
    ("content", "kind", "trouble", "may_cost"),
    [
        (b"<html>", "text/html; charset=utf-8", "shut", False),
        (b"{", "application/json", "malformed", True),
        (b"[" * 100_000, "application/json", "malformed", True),
        (b"", "application/json", "malformed", True),
        (b'{"choices": []}', "application/json", "malformed", True),
        (told({"content": 7}), "application/json", "malformed", True),
        (b'{"error": {"code": 429, "message": "slow down"}}', "application/json", "passing", False),
        (b'{"error": {"code": "x", "message": "?"}}', "application/json", "passing", False),
        (b'{"error": {"code": 402, "message": "empty"}}', "application/json", "shut", False),
        (told({"content": "ye"}, "error"), "application/json", "passing", True),
    ],
)
def test_what_is_no_answer_is_told_as_what_it_is(content, kind, trouble, may_cost) -> None:
    """An error that was said with a 200, a web page, broken JSON: each has its own consequence."""
    unsaid = read_answer(content, kind)
    assert (unsaid.trouble, unsaid.may_cost) == (trouble, may_cost)


@pytest.mark.parametrize("usage", [None, 3, {}, {"prompt_tokens": -1, "completion_tokens": 2}, {"prompt_tokens": "3"}])
def test_a_count_that_is_none_is_not_believed(usage) -> None:
    """Without a sound count there is none; the answer is then booked at its bound."""
    assert read_answer(told({"content": "yes"}, usage=usage), "application/json").usage is None
