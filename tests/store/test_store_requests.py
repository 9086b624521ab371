"""What people ask is answered once; what was last said about an intent is remembered until it is satisfied."""

from datetime import UTC, datetime, timedelta
from typing import Any

from flywheel.core.requests import Request
from flywheel.store.decisions import count_attempt, forget, last_decision, remember, rest_until, rests_until
from flywheel.store.requests import answer_request, make_request, open_requests, request_by_id
from flywheel.store.stores import Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def request(name: str, kind: Any = "promote", minutes: int = 0) -> Request:
    at = NOW + timedelta(minutes=minutes)
    return Request(id=name, kind=kind, line="l", subject="l@1", reason="why", by="ada", at=at, body={"rank": 8})


def test_requests_wait_in_order_and_by_kind(store: Store) -> None:
    """The oldest comes first, whatever it is called; kinds can be asked for alone."""
    asked = [request("b", minutes=2), request("c", "train", 1), request("a", minutes=2)]
    with store.write() as session:
        for each in asked:
            make_request(session, each)
    with store.read() as session:
        assert [found.id for found in open_requests(session)] == ["c", "a", "b"]
        assert [found.id for found in open_requests(session, "train", "retire")] == ["c"]
        assert request_by_id(session, "b") == asked[0]
        assert request_by_id(session, "nobody") is None


def test_a_request_is_answered_once(store: Store) -> None:
    """The first answer stands; an answered request no longer waits."""
    with store.write() as session:
        make_request(session, request("a"))
        make_request(session, request("b"))
        answer_request(session, "a", satisfied=True, answer="promoted l@1")
        answer_request(session, "a", satisfied=False, answer="too late")
        answer_request(session, "b", satisfied=False, answer="there is no l@1")
        assert open_requests(session) == []
    with store.read() as session:
        found = [request_by_id(session, name) for name in ("a", "b")]
    assert [(each.state, each.answer) for each in found if each] == [
        ("satisfied", "promoted l@1"), ("refused", "there is no l@1"),
    ]  # fmt: skip


def test_the_last_decision_is_remembered_until_forgotten(store: Store) -> None:
    """The newest digest and number replace the ones before; forgetting forgets the rest as well."""
    with store.write() as session:
        assert last_decision(session, "i") is None
        remember(session, "i", "d1", 1)
        remember(session, "i", "d2", 2)
        remember(session, "other", "d3", 3)
    with store.write() as session:
        assert last_decision(session, "i") == ("d2", 2)
        count_attempt(session, "i", "no disk")
        rest_until(session, "i", NOW)
        forget(session, "i")
    with store.read() as session:
        assert last_decision(session, "i") is None
        assert rests_until(session, "i") is None
        assert last_decision(session, "other") == ("d3", 3)


def test_attempts_are_counted_and_a_new_reason_is_news(store: Store) -> None:
    """The count grows with every failure; only a changed reason is worth telling."""
    with store.write() as session:
        found = [count_attempt(session, "i", reason) for reason in ("no disk", "no disk", "no GPU", "no disk")]
        assert found == [(0, True), (1, False), (2, True), (3, True)]
        remember(session, "i", "d", 5)
        assert count_attempt(session, "i", "no disk") == (4, False)


def test_an_intent_rests_until_its_moment(store: Store) -> None:
    """The moment reads back aware; an intent that never failed does not rest."""
    with store.write() as session:
        rest_until(session, "nobody", NOW)
        assert rests_until(session, "nobody") is None
        count_attempt(session, "i", "x")
        rest_until(session, "i", NOW)
    with store.read() as session:
        assert rests_until(session, "i") == NOW
